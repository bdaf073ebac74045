"""A plane with the objects that a person labelled on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sam.evaluation.dataset import LabelledImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

KIND = "taught"
"""The kind of image that tables of results have for what a person labelled."""
LEAST_AREA = 4
"""Pixels of an object that can be learnt from."""
# Up to here, a list as long as the largest label costs nothing.
_DENSE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class TaughtPlane:
    """A plane that a model learns from, or is measured on.

    Attributes
    ----------
    name : str
        What a person knows it by: "cells.tif, z = 12".
    group : str
        The image or volume that it is a plane of, which is never on both sides of a split: a digest of its pixels.
    image : numpy.ndarray, shape (H, W, 3), uint8
        As the person saw it, with square pixels.
    labels : numpy.ndarray, shape (H, W), integer
        0 for background.
    complete : bool
        Whether every object of the kind is labelled, so that what is unlabelled is background.
    """

    name: str
    group: str
    image: NDArray[np.uint8]
    labels: NDArray[np.integer[Any]]
    complete: bool

    @property
    def labelled(self) -> LabelledImage:
        """The plane as training and evaluation take images."""
        return LabelledImage(self.name, KIND, self.image, self.labels)

    @property
    def objects(self) -> int:
        """How many objects are labelled."""
        return len(object_boxes(self.labels)[0])


def object_boxes(labels: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the objects of a plane.

    Parameters
    ----------
    labels : numpy.ndarray, shape (H, W), integer
        From 0 up.

    Returns
    -------
    ids : numpy.ndarray, shape (N,), int64
        In ascending order.
    boxes : numpy.ndarray, shape (N, 4), int64
        Top, left, bottom and right of each, pixels; bottom and right are outside.
    """
    known, dense = dense_labels(labels)
    found = [
        (number, rows.start, columns.start, rows.stop, columns.stop)
        for number, box in enumerate(ndimage.find_objects(dense), 1)
        if box is not None
        for rows, columns in (box,)
    ]
    table = np.array(found, dtype=np.int64).reshape(-1, 5)
    return known[table[:, 0]], table[:, 1:]


def dense_labels(labels: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Give labels new numbers where they are far apart: tables by label would be as long as the largest one.

    Returns
    -------
    ids : numpy.ndarray, int64
        For each new label, from 0 on, the one that it had.
    dense : numpy.ndarray, shape (H, W), int32
    """
    top = int(labels.max(initial=0))
    if top <= _DENSE:
        return np.arange(top + 1), labels.astype(np.int32)
    known, inverse = np.unique(labels, return_inverse=True)
    # Background is 0, also on a plane without any.
    first = int(known[0] != 0)
    ids = np.concatenate(([0] * first, known)).astype(np.int64)
    return ids, (inverse.reshape(labels.shape) + first).astype(np.int32)
