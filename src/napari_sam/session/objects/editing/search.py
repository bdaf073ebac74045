"""Finds where objects lie in labels of any size: the boxes that hold them, plane by plane.

Only boxes are kept. Whoever changes an object reads its pixels in them anew, so that what was painted while large
labels were searched counts as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.masks import BoxedMask, bounding_box
from napari_sam.planes.source import PlaneIndex
from napari_sam.progress import no_progress
from napari_sam.session.labels.max_label import split_blocks
from napari_sam.session.labels.tiled import TiledLabels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sam.progress import Progress

AT_ONCE = 2**22
"""Pixels that are searched at once, which takes some milliseconds; more are the worker's."""

Corners = tuple[int, int, int, int]
"""Top, left, bottom and right of a box on a plane, data pixels; bottom and right are outside."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelSearch:
    """What is looked for.

    Attributes
    ----------
    data : array-like
        The labels at full resolution: anything that NumPy indexing reads.
    view : PlaneIndex
        A plane of them; those that are told apart lie along the same axes.
    labels : tuple of int
        The ids.
    whole : bool
        Whether to look on all planes, or on `view` alone.
    """

    data: Any
    view: PlaneIndex
    labels: tuple[int, ...]
    whole: bool

    @property
    def pixels(self) -> int:
        """Count the pixels that have to be read, at most."""
        if not self.whole and self.view.index.count(None) < len(self.view.index):
            return self.view.shape[0] * self.view.shape[1]
        if isinstance(self.data, TiledLabels):
            return len(self.data.tiles) * int(np.prod(self.data.chunks, dtype=np.int64))
        return int(np.prod(self.data.shape, dtype=np.int64))

    @property
    def quick(self) -> bool:
        """Whether it is done before anybody notices: few pixels, and all of them near."""
        near = isinstance(self.data, np.ndarray | TiledLabels) and not isinstance(self.data, np.memmap)
        return near and self.pixels <= AT_ONCE


def find_boxes(search: LabelSearch, progress: Progress = no_progress) -> dict[PlaneIndex, Corners]:
    """Find the planes that carry any of some ids, and a box on each that holds all of their pixels.

    Parameters
    ----------
    search : LabelSearch
        What is looked for, and where.
    progress : Progress
        Called with the share that is done; may raise `Cancelled`.

    Returns
    -------
    dict of PlaneIndex to (int, int, int, int)
        In the order of the planes.
    """
    view, found = search.view, {}  # type: PlaneIndex, dict[tuple[int | None, ...], Corners]
    for share, region in _regions(search):
        progress(share)
        block = np.asarray(search.data[region])
        hit = block == search.labels[0]
        for label in search.labels[1:]:
            hit |= block == label
        if hit.any():
            for index, corners in _planes(hit, region, view.axes):
                found[index] = _joined(found.get(index, corners), corners)
    ordered = sorted(found, key=lambda index: tuple(-1 if at is None else at for at in index))
    return {PlaneIndex(view.axes, index, view.shape, view.spacing): found[index] for index in ordered}


def read_label(data: Any, view: PlaneIndex, corners: Corners, label: int) -> NDArray[np.bool_]:
    """Read which pixels of a box on a plane carry a label now, (h, w) bool."""
    top, left, bottom, right = corners
    found: NDArray[np.bool_] = np.asarray(data[view.slices((top, left), (bottom - top, right - left))]) == label
    return found


def read_object(data: Any, view: PlaneIndex, boxes: dict[PlaneIndex, Corners], label: int) -> BoxedMask:
    """Read the pixels of an object on a plane that was searched; none where it is not there."""
    corners = boxes.get(view)
    if corners is None:
        return BoxedMask((0, 0), np.zeros((0, 0), bool), view.shape)
    cut = BoxedMask.of(read_label(data, view, corners, label))
    return BoxedMask((corners[0] + cut.origin[0], corners[1] + cut.origin[1]), cut.mask, view.shape)


def _regions(search: LabelSearch) -> Iterator[tuple[float, tuple[slice, ...]]]:
    """Cut what is to be searched into blocks, each with the share of the work that lies before it."""
    data, view = search.data, search.view
    within = [slice(0, int(size)) for size in data.shape]
    if not search.whole:
        within = [part if at is None else slice(at, at + 1) for part, at in zip(within, view.index, strict=True)]
    if isinstance(data, TiledLabels):
        least = min(search.labels)
        regions = [data.region(tile) for tile, largest in list(data.tiles.items()) if largest >= least]
        for number, region in enumerate(regions):
            if (cut := _common(region, within)) is not None:
                yield number / len(regions), cut
        return
    for share, region in split_blocks(data, within):
        yield share, region


def _common(region: Sequence[slice], within: Sequence[slice]) -> tuple[slice, ...] | None:
    """Cut a region to another one; None where they do not meet."""
    cut = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(region, within, strict=True))
    return cut if all(part.start < part.stop for part in cut) else None


def _planes(
    hit: NDArray[np.bool_], region: tuple[slice, ...], axes: tuple[int, int]
) -> Iterator[tuple[tuple[int | None, ...], Corners]]:
    """Go through the planes of a block that carry something: the index of each, and the box on it."""
    others = [axis for axis in range(hit.ndim) if axis not in axes]
    stacked = hit.transpose(*others, *axes)
    top, left = (region[axis].start for axis in axes)
    for place in np.argwhere(stacked.any(axis=(-2, -1))):
        box = bounding_box(stacked[tuple(place)])
        if box is not None:
            index: list[int | None] = [None] * hit.ndim
            for axis, at in zip(others, place, strict=True):
                index[axis] = int(at) + region[axis].start
            (y0, x0), (y1, x1) = box
            yield tuple(index), (top + y0, left + x0, top + y1, left + x1)


def _joined(one: Corners, other: Corners) -> Corners:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])
