"""Objects of a plane of labels, and how far those of two planes lie on each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import ndimage

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LabelPlanes(Protocol):
    """A row of planes of labels, of one shape; one is read at a time, and may be read again."""

    def __len__(self) -> int:
        """Count the planes."""

    def __getitem__(self, index: int, /) -> Any:
        """Read one plane, (H, W) integers, 0 for background."""


@dataclass(frozen=True, slots=True, eq=False)
class PlaneObjects:
    """The objects of one plane.

    Attributes
    ----------
    labels : numpy.ndarray, shape (n,), int64
        Their numbers, ascending.
    area : numpy.ndarray, shape (n,), int64
        Data pixels.
    centre : numpy.ndarray, shape (n, 2), float64
        Means of their pixels, data pixels, (y, x).
    low, high : numpy.ndarray, shape (n, 2), int64
        Boxes, data pixels, (y, x): the first pixels, and the ends.
    index : numpy.ndarray, shape (H, W), int32
        1 plus the place of each pixel's object in `labels`, 0 for background.
    """

    labels: NDArray[np.int64]
    area: NDArray[np.int64]
    centre: NDArray[np.float64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    index: NDArray[np.int32]

    @classmethod
    def of(cls, plane: Any) -> PlaneObjects:
        """Look through a plane, (H, W) integers.

        Raises
        ------
        InputError
            If these are no labels.
        """
        pixels = np.asarray(plane)
        if pixels.ndim != 2 or pixels.dtype.kind not in "iu":
            raise InputError(f"Planes to link are labels, (H, W) integers; got {pixels.shape} {pixels.dtype}.")
        inside = pixels != 0
        labels, numbers = np.unique(pixels[inside], return_inverse=True)
        index = np.zeros(pixels.shape, np.int32)
        index[inside] = numbers + 1
        boxes = ndimage.find_objects(index)
        low = np.array([[axis.start for axis in box] for box in boxes], np.int64).reshape(len(labels), 2)
        high = np.array([[axis.stop for axis in box] for box in boxes], np.int64).reshape(len(labels), 2)
        area = np.bincount(numbers, minlength=len(labels))
        places = np.nonzero(inside)
        sums = [np.bincount(numbers, weights=at, minlength=len(labels)) for at in places]
        centre = np.stack(sums, axis=1) / area[:, None]
        return cls(labels.astype(np.int64), area, centre, low, high, index)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """Pairs of objects of two planes that have pixels in common.

    Attributes
    ----------
    one, two : numpy.ndarray, shape (n,), int64
        Places of the objects in the `PlaneObjects` of the two planes.
    common : numpy.ndarray, shape (n,), int64
        Pixels that they have in common.
    shares : numpy.ndarray, shape (n, 2), float64
        `common` as a share of the first object, and of the second one.
    iou : numpy.ndarray, shape (n,), float64
        `common` as a share of their union.
    """

    one: NDArray[np.int64]
    two: NDArray[np.int64]
    common: NDArray[np.int64]
    shares: NDArray[np.float64]
    iou: NDArray[np.float64]

    @classmethod
    def of(cls, one: PlaneObjects, two: PlaneObjects) -> Overlaps:
        """Lay the objects of two planes of one shape on each other.

        Raises
        ------
        InputError
            If the shapes differ.
        """
        if one.index.shape != two.index.shape:
            raise InputError(f"Planes to link are of one shape; got {one.index.shape} and {two.index.shape}.")
        both = (one.index > 0) & (two.index > 0)
        first, second = one.index[both].astype(np.int64) - 1, two.index[both].astype(np.int64) - 1
        # One number for each pair that meets: the table of all pairs is nearly empty.
        pairs, common = np.unique(first * max(1, len(two)) + second, return_counts=True)
        first, second = pairs // max(1, len(two)), pairs % max(1, len(two))
        areas = np.stack([one.area[first], two.area[second]], axis=1)
        return cls(first, second, common, common[:, None] / areas, common / (areas.sum(axis=1) - common))
