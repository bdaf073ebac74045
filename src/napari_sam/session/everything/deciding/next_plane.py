"""Finds the plane of a stack that is best annotated next, and goes there."""

from __future__ import annotations

import json
import weakref
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_sam.automatic.calibration import PlaneEvidence, rank_planes
from napari_sam.session.everything.deciding import messages as deciding_messages
from napari_sam.session.everything.deciding.lookup import judge
from napari_sam.session.everything.runner import StepRunner
from napari_sam.session.state import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sam.automatic.calibration import RankedPlane
    from napari_sam.inference.worker import Worker
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.progress import Progress
    from napari_sam.session.everything.chooser import ObjectChooser
    from napari_sam.session.everything.deciding.lookup import JudgeOrder
    from napari_sam.session.viewing.active_image import ActiveImage


@dataclass(frozen=True, slots=True, eq=False)
class NextPlane:
    """A plane to annotate.

    Attributes
    ----------
    view : PlaneIndex
        The plane.
    ranked : RankedPlane
        Why.
    doubtful, of : int
        How many of its proposals are doubtful.
    """

    view: PlaneIndex
    ranked: RankedPlane
    doubtful: int
    of: int


class PlaneAdvisor:
    """Remembers what was found in a stack, and says which of its planes to annotate next.

    What was found is remembered beyond the search: the planes are annotated one by one, each after a search of its own.

    Parameters
    ----------
    active : ActiveImage
        What is on screen.
    chooser : ObjectChooser
        Gives a context in which changes are the session's own.
    worker : Worker
        The inference thread.
    """

    ended = Signal(Status)
    """A plane was gone to, or there is none; carries what to say about it."""

    def __init__(self, active: ActiveImage, chooser: ObjectChooser, *, worker: Worker) -> None:
        self.active = active
        """What is on screen."""
        self._chooser = chooser
        self._runner: StepRunner[NextPlane | str] = StepRunner(worker, "next plane", self._on_ended, lambda: None)
        self._image: weakref.ref[Image] | None = None
        self._order: JudgeOrder | None = None

    def remember(self, image: Image, order: JudgeOrder) -> None:
        """Remember what was found in a stack."""
        # Masks are not needed, and take nearly all of the memory.
        tables = [replace(result.table, proposals=()) for result in order.results]
        results = tuple(replace(one, table=table) for one, table in zip(order.results, tables, strict=True))
        self._image, self._order = weakref.ref(image), replace(order, results=results)

    def start(self) -> str:
        """Begin to compare planes; return why that cannot be done, "" when it can."""
        if self._order is None or self._image is None or self._image() is not self.active.image:
            return deciding_messages.NO_STACK
        self._runner.start(partial(choose_next, self._order))
        return ""

    def stop(self) -> None:
        """Stop at once."""
        self._runner.stop()

    def _on_ended(self, found: NextPlane | str | BaseException) -> None:
        if isinstance(found, BaseException):
            self.ended.emit(Status("failed", str(found)))
        elif isinstance(found, str):
            self.ended.emit(Status("idle", found))
        elif self._image is not None and self._image() is self.active.image:
            with self._chooser.mute():
                self.active.go_to(found.view.index)
            name = found.view.words(self.active.axis_names)
            text = deciding_messages.next_plane(name, found.doubtful, found.of, found.ranked.novelty)
            self.ended.emit(Status("idle", text))


def choose_next(order: JudgeOrder, progress: Progress) -> Iterator[NextPlane | str]:
    """Compare the planes of a stack by what is decided by now; runs on the inference thread."""
    for judgement in judge(order, progress):
        views = [result.request.source.view for result in order.results]
        wanted = [result.table.wanted(result.chosen) for result in order.results]
        annotated = [json.dumps(list(view.index)) in judgement.known.annotated for view in views]
        doubts: list[int | None] = [
            int(np.count_nonzero(good & ~judgement.confident[view])) if view in judgement.confident else None
            for view, good in zip(views, wanted, strict=True)
        ]
        counts = [int(np.count_nonzero(good)) for good in wanted]
        looks = _descriptors(
            [result.descriptors.background if result.descriptors else None for result in order.results]
        )
        left = [
            PlaneEvidence(place, looks[place], None if doubt is None else doubt / max(1, counts[place]))
            for place, doubt in enumerate(doubts)
            if not annotated[place] and order.results[place].descriptors is not None
        ]
        done = [look for look, known in zip(looks, annotated, strict=True) if known and np.isfinite(look).any()]
        if not left:
            yield deciding_messages.ALL_ANNOTATED
            return
        best = rank_planes(left, done)[0]
        yield NextPlane(views[best.place], best, doubts[best.place] or 0, counts[best.place])


def _descriptors(found: Sequence[NDArray[np.float64] | None]) -> list[NDArray[np.float64]]:
    """Give planes on which there is nothing to describe numbers that are not known."""
    length = next((len(one) for one in found if one is not None), 0)
    return [np.full(length, np.nan) if one is None else one for one in found]
