"""Linked labels, plane by plane, into a store of any size; planes on which an object is missing are filled."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from cachetools import LRUCache

from napari_sam.masks import between
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam.automatic.linking.overlaps import LabelPlanes
    from napari_sam.automatic.linking.stack import StackGraph
    from napari_sam.progress import Progress

_MARGIN = 4
"""Data pixels around an object's boxes: between two planes it may be a little farther out than on either."""

Box = tuple[int, int, int, int]
"""Top, left, bottom and right, data pixels; the last two are ends."""


class PlaneStore(Protocol):
    """Labels of a stack, (Z, H, W): a NumPy or zarr array, or anything else to which planes can be assigned."""

    def __setitem__(self, key: Any, value: Any, /) -> None:
        """Write the plane of an index."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Planes on which an object is missing, though it is there on both sides.

    Attributes
    ----------
    number : int
        The object.
    before, after : int
        The planes next to the gap.
    box : (int, int, int, int)
        Where the object lies on those two planes.
    """

    number: int
    before: int
    after: int
    box: Box


def write_linked(
    planes: LabelPlanes,
    mapping: Sequence[Mapping[int, int]],
    store: PlaneStore,
    gaps: Sequence[Gap] = (),
    progress: Progress = no_progress,
) -> None:
    """Write planes with their objects' numbers in the stack.

    Parameters
    ----------
    planes : LabelPlanes
        What was linked.
    mapping : sequence of mapping from int to int
        For each plane, the number in the stack of each of its labels.
    store : PlaneStore, shape (Z, H, W)
        Every plane is written once.
    gaps : sequence of Gap
        To be filled, where nothing else is, with the shape between those on both sides; see `find_gaps`.
    progress : Progress
        Called with the share of the planes that were written; may raise `Cancelled`.
    """
    to_fill = defaultdict(list)
    for gap in gaps:
        for index in range(gap.before + 1, gap.after):
            to_fill[index].append(gap)
    widest = max((gap.after - gap.before for gap in gaps), default=0)
    linked: LRUCache[int, NDArray[np.int32]] = LRUCache(2 * widest + 1)

    def plane(index: int) -> NDArray[np.int32]:
        if index not in linked:
            linked[index] = _renamed(np.asarray(planes[index]), mapping[index])
        return linked[index]

    for index in range(len(planes)):
        progress(index / len(planes))
        own = plane(index).copy()
        for gap in to_fill[index]:
            _fill(own, gap, plane(gap.before), plane(gap.after), (index - gap.before) / (gap.after - gap.before))
        store[index] = own
    progress(1.0)


def find_gaps(graph: StackGraph, mapping: Sequence[Mapping[int, int]]) -> list[Gap]:
    """Find the planes on which objects are missing between others, in the order of the objects."""
    places: dict[int, dict[int, Box]] = defaultdict(dict)
    boxes = np.concatenate([graph.low, graph.high], axis=1).tolist()
    for index, label, (top, left, bottom, right) in zip(graph.plane.tolist(), graph.label.tolist(), boxes, strict=True):
        own, box = places[mapping[index][label]], (top, left, bottom, right)
        own[index] = _around(own.get(index, box), box)
    return [
        Gap(number, before, after, _around(own[before], own[after]))
        for number, own in sorted(places.items())
        for before, after in zip(list(own), list(own)[1:], strict=False)
        if after - before > 1
    ]


def _around(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _renamed(labels: NDArray[np.integer], names: Mapping[int, int]) -> NDArray[np.int32]:
    """Give each object its number in the stack."""
    values, index = np.unique(labels, return_inverse=True)
    # Not a table up to the largest label: labels of large planes may be any numbers.
    found = np.array([names[value] if value else 0 for value in values.tolist()], np.int32)
    return found[index].reshape(labels.shape)


def _fill(
    plane: NDArray[np.int32], gap: Gap, before: NDArray[np.int32], after: NDArray[np.int32], share: float
) -> None:
    """Draw an object on a plane on which it is missing."""
    top, left, bottom, right = gap.box
    part = slice(max(0, top - _MARGIN), bottom + _MARGIN), slice(max(0, left - _MARGIN), right + _MARGIN)
    inside = between(before[part] == gap.number, after[part] == gap.number, share)
    under = plane[part]
    under[inside & (under == 0)] = gap.number
