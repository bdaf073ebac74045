"""Looks at planes of a stack on the inference thread, to find the one that is best annotated next."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from napari_sam.errors import InputError
from napari_sam.journal.notes.decisions import read_decisions
from napari_sam.session.everything.deciding import messages as deciding_messages
from napari_sam.session.everything.deciding.lookup import JudgeOrder
from napari_sam.session.everything.deciding.plane_choice import NextPlane, choose_next
from napari_sam.session.everything.search import search

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from napari.layers import Image

    from napari_sam.inference.request import EngineFactory
    from napari_sam.journal.notes.decisions import ImageIdentity
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.progress import Progress
    from napari_sam.session.everything.search import SearchRequest, SearchResult
    from napari_sam.session.state import StackAxis

MOST_OPEN, MOST_ANNOTATED = 20, 10
"""Planes or images that are known before one is chosen, to choose from and of those that are annotated: so many,
or all, are looked at."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class SeenStack:
    """What was seen of a stack.

    Attributes
    ----------
    image : weakref.ref of Image
        Whose planes they are.
    axis : StackAxis
        What they follow each other along.
    plane : PlaneIndex
        Any of them.
    model : str
        What looked.
    results : list of SearchResult
        What was found, without masks. Only ever appended to, by the inference thread.
    """

    image: weakref.ref[Image]
    axis: StackAxis
    plane: PlaneIndex
    model: str
    results: list[SearchResult]

    def holds(self, image: Image, view: PlaneIndex, model: str) -> bool:
        """Tell whether a plane is one of the stack, and a model the one that looked."""
        along = self.axis.axis
        return self.image() is image and self.model == model and view.at(along, 0) == self.plane.at(along, 0)


@dataclass(frozen=True, slots=True, eq=False)
class PlanesToCompare:
    """Which planes to choose from.

    Attributes
    ----------
    seen : SeenStack
        What is known of them; gets what is seen.
    request : SearchRequest
        How to look at a plane: at one of them.
    journal : Path
        Where decisions are; it may not be there.
    image : ImageIdentity
        The image.
    promise : float
        Share of the confident objects that would be accepted.
    """

    seen: SeenStack
    request: SearchRequest
    journal: Path
    image: ImageIdentity
    promise: float

    def annotated(self) -> frozenset[str]:
        """Read which planes are annotated, by their index in JSON."""
        try:
            return read_decisions(self.journal, self.image).annotated if self.journal.is_file() else frozenset()
        except InputError:
            _log.warning("decisions could not be read from the journal", exc_info=True)
            return frozenset()

    def at(self, place: int) -> SearchRequest:
        """Return how to look at one of the planes."""
        source = self.request.source
        return replace(self.request, source=source.at(source.view.at(self.seen.axis.axis, place)))


def look_and_choose(
    order: PlanesToCompare, engine: EngineFactory, progress: Progress
) -> Iterator[NextPlane | str | None]:
    """Look at planes until enough of them are known, and choose the one that is best annotated next.

    Yields
    ------
    NextPlane, str or None
        None after each tile, so that somebody else can be answered in between; at last the choice, or why none.
    """
    progress(0.0)
    annotated, seen = order.annotated(), order.seen
    known = {result.request.source.view.index for result in seen.results}
    left: list[int] = []
    done: list[int] = []
    for place in range(seen.axis.size):
        index = seen.plane.at(seen.axis.axis, place).index
        (done if json.dumps(list(index)) in annotated else left).append(place)
    if not left:
        yield deciding_messages.ALL_ANNOTATED
        return
    new = still_unknown(left, done, lambda place: seen.plane.at(seen.axis.axis, place).index in known)
    loaded = engine(order.request.model, order.request.device, progress) if new else None
    for number, place in enumerate(new):

        def within(share: float, number: int = number) -> None:
            progress((number + share) / len(new))

        if loaded is not None:
            for result in search(loaded, order.at(place), within, describe=True):
                if result is not None:
                    seen.results.append(without_masks(result))
                yield None
    for found in choose_next(JudgeOrder(order.journal, order.image, tuple(seen.results), order.promise), progress):
        yield replace(found, left=len(left)) if isinstance(found, NextPlane) else found


def without_masks(result: SearchResult) -> SearchResult:
    """Keep of what was found on a plane what it is compared by: masks take nearly all of the memory."""
    return replace(result, table=replace(result.table, proposals=()))


def still_unknown(left: Sequence[int], annotated: Sequence[int], known: Callable[[int], bool]) -> list[int]:
    """Choose which planes or images to look at, so that enough of both are known; gives their places."""
    chosen: list[int] = []
    for places, most in ((left, MOST_OPEN), (annotated, MOST_ANNOTATED)):
        others = [place for place in places if not known(place)]
        chosen += _spread(others, most - (len(places) - len(others)))
    return chosen


def _spread(places: Sequence[T], most: int) -> list[T]:
    """Choose so many at most, spread over all; none where `most` is not positive."""
    if len(places) <= most:
        return list(places)
    return [places[at] for at in np.linspace(0, len(places) - 1, max(0, most)).round().astype(int).tolist()]
