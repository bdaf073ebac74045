"""Compares the planes of a stack that were looked at; runs on the inference thread."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.automatic.calibration import PlaneEvidence, rank_planes
from napari_sam.session.everything.deciding import messages as deciding_messages
from napari_sam.session.everything.deciding.lookup import judge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.progress import Progress
    from napari_sam.session.everything.deciding.lookup import JudgeOrder


@dataclass(frozen=True, slots=True, eq=False)
class NextPlane:
    """A plane to annotate.

    Attributes
    ----------
    view : PlaneIndex
        The plane.
    novelty : float or None
        How unlike those that are annotated it looks, 0 to 1; None where none is annotated.
    doubtful : int or None
        How many of its proposals are doubtful; None where too little was decided to say.
    of : int
        How many it has.
    compared, left : int
        Planes that it was chosen from, and all that are not annotated.
    """

    view: PlaneIndex
    novelty: float | None
    doubtful: int | None
    of: int
    compared: int
    left: int


def choose_next(order: JudgeOrder, progress: Progress) -> Iterator[NextPlane | str]:
    """Compare the planes of a stack by what is decided by now."""
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
            yield deciding_messages.ALL_ANNOTATED if all(annotated) else deciding_messages.NOTHING_ON_OTHERS
            return
        # Of planes that are alike good, as all are before anything is annotated, the one with most objects comes first.
        left.sort(key=lambda plane: -counts[plane.place])
        best = rank_planes(left, done)[0]
        novelty = best.novelty if done else None
        yield NextPlane(views[best.place], novelty, doubts[best.place], counts[best.place], len(left), len(left))


def _descriptors(found: Sequence[NDArray[np.float64] | None]) -> list[NDArray[np.float64]]:
    """Give planes on which there is nothing to describe numbers that are not known."""
    length = next((len(one) for one in found if one is not None), 0)
    return [np.full(length, np.nan) if one is None else one for one in found]
