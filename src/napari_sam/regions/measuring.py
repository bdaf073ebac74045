"""Where each object of a labels image is, and how large: measured block by block, kept up to date box by box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

Box = tuple[tuple[int, ...], tuple[int, ...]]
"""First pixel of a box, and the first beyond its end, along each axis."""


@dataclass(frozen=True, slots=True, eq=False)
class RegionTable:
    """What was measured of the objects of a labels image.

    Attributes
    ----------
    labels : numpy.ndarray, shape (n,), int64
        Their ids, ascending.
    area : numpy.ndarray, shape (n,), int64
        Pixels that carry the id.
    low, high : numpy.ndarray, shape (n, D), int64
        First pixel of the bounding box, and the first beyond its end.
    total : numpy.ndarray, shape (n, D), float64
        Sum of the positions of the pixels.
    """

    labels: NDArray[np.int64]
    area: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    total: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def empty(cls, ndim: int) -> RegionTable:
        """Return a table of no objects."""
        none, corners = np.zeros(0, np.int64), np.zeros((0, ndim), np.int64)
        return cls(none, none, corners, corners, corners.astype(np.float64))

    @property
    def ndim(self) -> int:
        """Number of axes of the image."""
        return int(self.low.shape[1])

    @property
    def center(self) -> NDArray[np.float64]:
        """Centres of gravity, shape (n, D), data pixels."""
        center: NDArray[np.float64] = self.total / self.area[:, None]
        return center

    def find(self, label: int) -> int | None:
        """Return the row of an id; None where there is no such object."""
        row = int(np.searchsorted(self.labels, label))
        return row if row < len(self.labels) and self.labels[row] == label else None

    def take(self, rows: NDArray[Any]) -> RegionTable:
        """Return some of the rows: their indices, ascending, or which of them."""
        return RegionTable(self.labels[rows], self.area[rows], self.low[rows], self.high[rows], self.total[rows])

    def touching(self, box: Box) -> NDArray[np.int64]:
        """Return the ids of objects whose bounding boxes meet a box."""
        low, high = np.array(box[0]), np.array(box[1])
        return self.labels[((self.low < high) & (self.high > low)).all(axis=1)]

    def updated(self, data: Any, boxes: Iterable[Box]) -> RegionTable:
        """Measure anew what changes of pixels inside some boxes may have changed.

        Parameters
        ----------
        data : array-like
            The labels image as it is now: anything that NumPy slices read.
        boxes : iterable of Box
            Pixels outside these are as they were when this was measured.
        """
        table = self
        for box in boxes:
            inside = measure(_read(data, box), box[0])
            known = np.union1d(table.touching(box), inside.labels)
            around = table._around(known, box)
            # All of an object is within what it was before and the box.
            fresh = inside if around == box else measure(_read(data, around), around[0])
            fresh = fresh.take(np.isin(fresh.labels, known, assume_unique=True))
            table = combine([table.take(~np.isin(table.labels, known, assume_unique=True)), fresh], table.ndim)
        return table

    def extent(self, boxes: Iterable[Box]) -> int:
        """Tell how many pixels `updated` would read, at least."""
        return sum(
            int(np.prod(np.subtract(high, low)))
            for low, high in (self._around(self.touching(box), box) for box in boxes)
        )

    def _around(self, labels: NDArray[np.int64], box: Box) -> Box:
        """Return the smallest box around another one and the bounding boxes of objects."""
        rows = np.isin(self.labels, labels, assume_unique=True)
        low = np.minimum(self.low[rows].min(axis=0, initial=np.iinfo(np.int64).max), box[0])
        high = np.maximum(self.high[rows].max(axis=0, initial=0), box[1])
        return tuple(low.tolist()), tuple(high.tolist())


def measure(block: ArrayLike, start: Sequence[int] | None = None) -> RegionTable:
    """Measure the objects of a block of a labels image; 0 is none.

    Parameters
    ----------
    block : array-like, integer
        The block.
    start : sequence of int, optional
        Where its first pixel lies in the image; by default at 0, ..., 0.
    """
    pixels = np.asarray(block)
    offset = np.zeros(pixels.ndim, np.int64) if start is None else np.asarray(start, dtype=np.int64)
    places = np.nonzero(pixels)
    if not len(places[0]):
        return RegionTable.empty(pixels.ndim)
    labels, numbers = _numbered(pixels[places])
    area = np.bincount(numbers, minlength=len(labels))
    total = np.stack([np.bincount(numbers, weights=axis, minlength=len(labels)) for axis in places], axis=1)
    renumbered = np.zeros(pixels.shape, dtype=np.int32)
    renumbered[places] = numbers + 1
    boxes = ndimage.find_objects(renumbered, len(labels))
    corners = np.array([[(side.start, side.stop) for side in box] for box in boxes], dtype=np.int64)
    return RegionTable(labels, area, corners[..., 0] + offset, corners[..., 1] + offset, total + area[:, None] * offset)


def combine(parts: Sequence[RegionTable], ndim: int) -> RegionTable:
    """Join what was measured of the blocks of one image; an object may have pixels in several."""
    parts = [part for part in parts if len(part)]
    if len(parts) < 2:
        return parts[0] if parts else RegionTable.empty(ndim)
    labels = np.concatenate([part.labels for part in parts])
    order = np.argsort(labels, kind="stable")
    known, first = np.unique(labels[order], return_index=True)

    def joined(name: str, how: np.ufunc) -> NDArray[Any]:
        values = np.concatenate([getattr(part, name) for part in parts])[order]
        return np.asarray(how.reduceat(values, first, axis=0))

    return RegionTable(
        known,
        joined("area", np.add),
        joined("low", np.minimum),
        joined("high", np.maximum),
        joined("total", np.add),
    )


def measure_blocks(
    data: Any, blocks: Iterable[tuple[slice, ...]], progress: Callable[[float], None], count: int
) -> RegionTable:
    """Measure the objects of an image block by block, so that no more than one is in memory.

    Parameters
    ----------
    data : array-like
        The labels image: anything that NumPy slices read.
    blocks : iterable of tuple of slice
        The blocks, which cover all that is not 0, each pixel once.
    progress : callable
        Takes the share that is done.
    count : int
        How many blocks there are.
    """
    ndim, table = len(data.shape), RegionTable.empty(len(data.shape))
    waiting: list[RegionTable] = []
    for number, block in enumerate(blocks, 1):
        waiting.append(measure(np.asarray(data[block]), [side.start for side in block]))
        if len(waiting) >= _AT_A_TIME:
            table, waiting = combine([table, *waiting], ndim), []
        progress(number / count)
    return combine([table, *waiting], ndim)


_AT_A_TIME = 64
"""Blocks whose objects are joined at a time."""


def _read(data: Any, box: Box) -> NDArray[Any]:
    return np.asarray(data[tuple(slice(start, stop) for start, stop in zip(*box, strict=True))])


def _numbered(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give ids numbers from 0 on: return those that occur, ascending, and the number of each value."""
    largest = int(values.max())
    if int(values.min()) < 0 or largest > 4 * len(values) + 2**20:
        labels, numbers = np.unique(values, return_inverse=True)
        return labels.astype(np.int64), numbers.astype(np.int64)
    # Without sorting, as ids mostly are small numbers.
    values = values.astype(np.int64, copy=False)
    labels = np.flatnonzero(np.bincount(values, minlength=largest + 1))
    place = np.zeros(largest + 1, dtype=np.int64)
    place[labels] = np.arange(len(labels))
    return labels, place[values]
