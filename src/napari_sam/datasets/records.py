"""What every format holds: images, and the objects on each with what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sam.masks import BoxedMask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# Up to here, a list as long as the largest label costs nothing.
_DENSE = 1 << 20
LARGEST_NUMBER = int(np.iinfo(np.int32).max)
"""The largest number that an object of a labels image may have."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskObject:
    """An object of an image.

    Attributes
    ----------
    mask : BoxedMask
        Its pixels; never empty.
    number : int or None
        Its label, from 1 up: the same on all planes of a stack.
    category : str or None
        What kind of object it is.
    score, stability : float or None
        What a model thought of the mask, 0 to 1: see `napari_sam.automatic.proposals.Proposal`. None for a mask that
        comes from elsewhere.
    point : (float, float) or None
        Where the model was asked, data pixels, (y, x).
    crop : ((float, float), (float, float)) or None
        The part of the plane that the model was shown: rows above and columns left of it, and its ends, data pixels;
        None for the whole plane.
    """

    mask: BoxedMask
    number: int | None = None
    category: str | None = None
    score: float | None = None
    stability: float | None = None
    point: tuple[float, float] | None = None
    crop: tuple[tuple[float, float], tuple[float, float]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImage:
    """An image, or a plane of a stack, with its objects.

    Attributes
    ----------
    name : str
        Name of the image's file, such as "cells.tif"; where none is known, that of the file with the masks.
    shape : (int, int)
        Height and width, data pixels.
    objects : tuple of MaskObject
        They may overlap.
    plane : int
        Of a stack, from 0.
    notes : tuple of str
        What a person should know: what was left out.
    """

    name: str
    shape: tuple[int, int]
    objects: tuple[MaskObject, ...]
    plane: int = 0
    notes: tuple[str, ...] = ()


def from_labels(
    name: str, labels: NDArray[np.integer[Any]], *, plane: int = 0, categories: Mapping[int, str] | None = None
) -> AnnotatedImage:
    """Take the objects out of a labels image.

    Parameters
    ----------
    name : str
        See `AnnotatedImage`.
    labels : numpy.ndarray, shape (H, W), integer
        Each number from 1 up is an object; what lies apart with one number is one object in parts.
    plane : int
    categories : mapping of int to str, optional
        Of the labels, as far as known.
    """
    dense, numbers = _dense(labels)
    objects = []
    for index, box in enumerate(ndimage.find_objects(dense)):
        if box is None:
            continue
        number = index + 1 if numbers is None else int(numbers[index])
        mask = BoxedMask((box[0].start, box[1].start), dense[box] == index + 1, (labels.shape[0], labels.shape[1]))
        objects.append(MaskObject(mask, number, (categories or {}).get(number)))
    return AnnotatedImage(name, (labels.shape[0], labels.shape[1]), tuple(objects), plane)


def _dense(labels: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int32], NDArray[np.integer[Any]] | None]:
    """Give labels that are not far apart, and those that they had; None where they are what they were."""
    if int(labels.max(initial=0)) <= _DENSE:
        return labels.astype(np.int32, copy=False), None
    numbers = np.unique(labels[labels > 0])
    return np.where(labels > 0, np.searchsorted(numbers, labels) + 1, 0).astype(np.int32), numbers


def numbers_of(image: AnnotatedImage) -> list[int]:
    """Give the objects their numbers: those that they have, or 1 to n where some are not, or two share a number."""
    given = [one.number for one in image.objects if one.number is not None and 0 < one.number <= LARGEST_NUMBER]
    return given if len(set(given)) == len(image.objects) else list(range(1, len(image.objects) + 1))


def to_labels(image: AnnotatedImage) -> NDArray[np.int32]:
    """Lay the objects on one plane, (H, W) int32, with the numbers of `numbers_of`.

    Where objects overlap, the smaller one lies on top, so that a nucleus is not lost in its cell.
    """
    labels = np.zeros(image.shape, dtype=np.int32)
    numbered = zip(numbers_of(image), image.objects, strict=True)
    for number, one in sorted(numbered, key=lambda pair: -pair[1].mask.area):
        labels[one.mask.box][one.mask.mask] = number
    return labels
