"""Planes in the form that a model learns from: no specks, no enormous planes, square pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from napari_sam.training.material.taught import LEAST_AREA, dense_labels, object_boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Area = tuple[tuple[int, int], tuple[int, int]]

LARGEST_SIDE = 2048
"""Data pixels; longer planes are cut."""
MOST_PARTS = 4
"""Parts that are taken of one plane."""
_MARGIN = 64
"""Data pixels around the objects of a plane that is cut."""
_SQUARE = 1.02
"""Ratio of the spacings up to which pixels count as square."""


def without_specks(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Drop objects of fewer than four pixels, and bring labels to 32 bits; labels beyond are numbered anew."""
    known, dense = dense_labels(labels)
    kept = np.bincount(dense.ravel(), minlength=len(known)) >= LEAST_AREA
    kept[0] = False
    if int(known[-1]) > np.iinfo(np.int32).max:
        known = np.arange(len(known))
    table: NDArray[np.int32] = np.where(kept, known, 0).astype(np.int32)
    return table[dense]


def parts_with_objects(labels: NDArray[np.int32]) -> list[Area]:
    """Choose the parts of a plane that are learnt from: all of it, or where its objects are if it is enormous.

    Parameters
    ----------
    labels : numpy.ndarray, shape (H, W), int32

    Returns
    -------
    list of ((int, int), (int, int))
        First pixel and size of each, data pixels, (y, x): one of the whole plane; or at most four that do not overlap,
        of at most 2048 pixels a side: those with the most objects, from top left to bottom right.
    """
    shape = labels.shape[0], labels.shape[1]
    if max(shape) <= LARGEST_SIDE:
        return [((0, 0), shape)]
    _ids, boxes = object_boxes(labels)
    if not len(boxes):
        return []
    low = np.maximum(boxes[:, :2].min(0) - _MARGIN, 0)
    high = np.minimum(boxes[:, 2:].max(0) + _MARGIN, shape)
    edges = [_edges(int(start), int(stop)) for start, stop in zip(low, high, strict=True)]
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    counts, _rows, _columns = np.histogram2d(middles[:, 0], middles[:, 1], bins=edges)
    # Of parts with as many objects, the first ones.
    best = np.argsort(-counts.ravel(), kind="stable")[:MOST_PARTS]
    chosen = [np.unravel_index(number, counts.shape) for number in sorted(best) if counts.ravel()[number]]
    areas = []
    for row, column in chosen:
        top, left = edges[0][row], edges[1][column]
        areas.append(((top, left), (edges[0][row + 1] - top, edges[1][column + 1] - left)))
    return areas


def _edges(start: int, stop: int) -> list[int]:
    """Cut a side into as few equal pieces as can be."""
    pieces = -(-(stop - start) // LARGEST_SIDE)
    return [start + (stop - start) * number // pieces for number in range(pieces + 1)]


def part_name(name: str, area: Area, shape: tuple[int, int]) -> str:
    """Name a part of a plane, such as "cells.tif, rows 0 to 2047, columns 2048 to 4095"."""
    (top, left), (height, width) = area
    if (height, width) == shape:
        return name
    return f"{name}, rows {top} to {top + height - 1}, columns {left} to {left + width - 1}"


def square_pixels(
    image: NDArray[np.uint8], labels: NDArray[np.int32], spacing: tuple[float, float]
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Stretch a plane along its coarser axis, so that objects have the form that the screen shows.

    Parameters
    ----------
    image : numpy.ndarray, shape (H, W, 3), uint8
    labels : numpy.ndarray, shape (H, W), int32
    spacing : (float, float)
        Distance between pixels along y and x.
    """
    if not all(np.isfinite(step) and step > 0 for step in spacing) or max(spacing) <= _SQUARE * min(spacing):
        return image, labels
    sides = [
        max(1, min(round(side * step / min(spacing)), max(side, LARGEST_SIDE)))
        for side, step in zip(labels.shape, spacing, strict=True)
    ]
    picture = np.array(Image.fromarray(image).resize((sides[1], sides[0]), Image.Resampling.BILINEAR))
    # Labels are numbers, between which there is nothing: each pixel has that of the nearest one.
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64) for new, old in zip(sides, labels.shape, strict=True)
    )
    return picture, labels[np.ix_(rows, columns)]
