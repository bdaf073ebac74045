"""Links the objects that were chosen on the planes of a stack, on the inference thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.automatic.linking import StackGraph, find_gaps, link_frames, link_planes, write_linked
from napari_sam.session.labels.compressed import CompressedArray

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from napari_sam.automatic.linking.writing import Gap
    from napari_sam.automatic.proposals import ProposalFilter
    from napari_sam.progress import Progress
    from napari_sam.session.everything.search import Link, SearchResult

_CHOSEN, _LINKED = 0.5, 0.8
"""Shares of the work that are done when objects are chosen, and when they are linked."""


@dataclass(frozen=True, slots=True, eq=False)
class PlaneChoice:
    """What the person chose on a plane.

    Attributes
    ----------
    result : SearchResult
        What was found there.
    chosen : ProposalFilter
        Which of them are wanted.
    marks : mapping from int to bool
        Which are kept or dropped whatever the filter says.
    """

    result: SearchResult
    chosen: ProposalFilter
    marks: Mapping[int, bool]


@dataclass(frozen=True, slots=True, eq=False)
class LinkOrder:
    """What to link.

    Attributes
    ----------
    planes : tuple of PlaneChoice
        Planes that follow each other.
    link : {"depth", "time", "off"}
        What their objects become.
    labels : array-like or None
        Labels of the image's shape that are in the way; None where none are.
    """

    planes: tuple[PlaneChoice, ...]
    link: Link
    labels: Any | None


@dataclass(frozen=True, slots=True, eq=False)
class LinkedPlane:
    """The objects of a stack on one of its planes.

    Attributes
    ----------
    result : SearchResult
        What was found there.
    numbers : CompressedArray, shape (h, w), int32
        Number of the object in the stack, 0 for none.
    places : mapping from int to int
        For each number the best of its proposals, by its place in the table; those that bridge a gap have none.
    """

    result: SearchResult
    numbers: CompressedArray
    places: Mapping[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class LinkedStack:
    """Objects of a stack.

    Attributes
    ----------
    planes : tuple of LinkedPlane
    link : {"depth", "time", "off"}
        What the objects are.
    count : int
        How many; they are numbered from 1.
    parents : mapping from int to list of int
        Along time, the mother of each object that came of a division.
    """

    planes: tuple[LinkedPlane, ...]
    link: Link
    count: int
    parents: Mapping[int, list[int]] = field(default_factory=dict)


class _CompressedPlanes:
    """A row of planes of numbers, each unpacked when it is read."""

    def __init__(self, planes: list[CompressedArray]) -> None:
        self.planes = planes

    def __len__(self) -> int:
        return len(self.planes)

    def __getitem__(self, place: int, /) -> NDArray[np.int32]:
        return self.planes[place].array()

    def __setitem__(self, _place: int, plane: NDArray[np.int32], /) -> None:
        self.planes.append(CompressedArray.of(plane))


def link_stack(order: LinkOrder, progress: Progress) -> Iterator[LinkedStack | None]:
    """Choose and link objects: gives None after each piece of work, and at last the objects of the stack.

    Parameters
    ----------
    order : LinkOrder
        What to link.
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`.
    """
    # Kept: whoever reads twice must find the same, while the person may paint in the labels.
    chosen = _CompressedPlanes([])
    for number, plane in enumerate(order.planes):
        progress(_CHOSEN * number / len(order.planes))
        chosen.planes.append(CompressedArray.of(_choose(plane, order.labels)))
        yield None
    mapping, parents, gaps = _link(chosen, order.link, lambda share: progress(_CHOSEN + (_LINKED - _CHOSEN) * share))
    yield None
    linked = _CompressedPlanes([])
    write_linked(chosen, mapping, linked, gaps, lambda share: progress(_LINKED + (1 - _LINKED) * share))
    planes = tuple(
        LinkedPlane(plane.result, numbers, _places(names))
        for plane, numbers, names in zip(order.planes, linked.planes, mapping, strict=True)
    )
    count = max((number for names in mapping for number in names.values()), default=0)
    yield LinkedStack(planes, order.link, count, parents)


def _choose(plane: PlaneChoice, labels: Any | None) -> NDArray[np.int32]:
    """Lay the objects that are wanted on a plane: 1 plus their places in the table."""
    request, taken = plane.result.request, None
    if labels is not None:
        taken = np.asarray(labels[request.source.view.slices(request.start, request.shape)]) != 0
    return plane.result.table.selected(plane.chosen, plane.marks, taken)


def _link(
    planes: _CompressedPlanes, link: Link, progress: Progress
) -> tuple[list[dict[int, int]], dict[int, list[int]], list[Gap]]:
    """Give the objects of each plane their numbers in the stack; return mothers of tracks, and gaps to fill, too."""
    match link:
        case "time":
            tracks = link_frames(planes, progress=progress)
            return tracks.mapping, tracks.parents, []
        case "depth":
            graph = StackGraph.of(planes, progress=progress)
            mapping = link_planes(graph)
            return mapping, {}, find_gaps(graph, mapping)
        case "off":
            alone, count = [], 0
            for plane in planes.planes:
                present = np.unique(plane.array())
                numbers = present[present > 0].tolist()
                alone.append({number: count + place for place, number in enumerate(numbers, 1)})
                count += len(numbers)
            return alone, {}, []


def _places(names: Mapping[int, int]) -> dict[int, int]:
    """Find the first proposal of each object, which is the best one: tables are in the order of ranks."""
    places: dict[int, int] = {}
    for label, number in sorted(names.items()):
        places.setdefault(number, label - 1)
    return places
