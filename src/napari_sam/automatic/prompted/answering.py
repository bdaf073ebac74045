"""Answers the prompts for many objects of a plane of any size: crop by crop, and in each crop many at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.automatic.prompted.refining import refine_rough
from napari_sam.automatic.proposals import Proposal
from napari_sam.inference.crop_choice import planner_for
from napari_sam.inference.logits import KeptLogits
from napari_sam.inference.search import DOUBTFUL
from napari_sam.inference.segmenter import segment_plane
from napari_sam.inference.shaping.levels import levels_of
from napari_sam.masks import BoxedMask
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from napari_sam.automatic.prompted.objects import PromptedObject
    from napari_sam.inference.request import EngineLike
    from napari_sam.inference.search import CropPlanner
    from napari_sam.inference.shaping.levels import Level
    from napari_sam.planes import Crop
    from napari_sam.planes.plane import Plane
    from napari_sam.planes.source import PlaneSource
    from napari_sam.progress import Progress
    from napari_sam.prompts import PromptSet

_TOGETHER = 16
"""Objects after which somebody else may be answered, and after which work can be cancelled."""
_ENCODING = 0.3
"""Share of the work on a crop that is done once it is encoded."""


def answer_objects(
    engine: EngineLike,
    source: PlaneSource,
    objects: Sequence[PromptedObject],
    progress: Progress = no_progress,
    *,
    level: Level = "best",
) -> Iterator[list[Proposal]]:
    """Answer the prompts for many objects of a plane.

    A plane that is much larger than the model's canvas is looked at through crops, as by a click, and objects that are
    near each other share a crop. What a crop cuts off, or shows too near to be sure of, is looked for by itself.

    Parameters
    ----------
    engine : EngineLike
        Answers prompts on the picture of a crop.
    source : PlaneSource
        The plane.
    objects : sequence of PromptedObject
        Their prompts lie on the plane.
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`.
    level : {"best", "whole", "part", "subpart"}
        Which candidate an object of a single point is; where there is none of the level, the best one.

    Yields
    ------
    list of Proposal
        After each lot of objects, those that were found, on the plane; `Proposal.asked` is the place of the object in
        `objects`. There is none for an object of which the model finds nothing.

    Raises
    ------
    InputError, DeviceError
        As `napari_sam.predictor.Predictor.predict_many`.
    """
    planner, done = planner_for(engine, source), 0
    for crop, places in _by_crop(planner, objects).items():
        start, share = done / len(objects), len(places) / len(objects)
        progress(start)
        plane = source.read(crop)

        def encoded(fraction: float, at: float = start, part: float = share) -> None:
            progress(at + part * _ENCODING * fraction)

        embedding = engine.embed(plane, progress=encoded)
        at = start + share * _ENCODING
        for answered, lot in _lots(objects, places):

            def waiting(_fraction: float, at: float = at) -> None:
                progress(at)

            yield _CropView(engine, source, planner, crop, plane, embedding, waiting, level).answer(objects, lot)
            at = start + share * (_ENCODING + (1 - _ENCODING) * answered / len(places))
            progress(at)
        done += len(places)
    progress(1.0)


@dataclass(frozen=True, slots=True, eq=False)
class _CropView:
    """A crop of the plane, encoded; `progress` is where long work can be cancelled."""

    engine: EngineLike
    source: PlaneSource
    planner: CropPlanner
    crop: Crop
    plane: Plane
    embedding: Any
    progress: Progress
    level: Level

    def answer(self, objects: Sequence[PromptedObject], places: Sequence[int]) -> list[Proposal]:
        """Answer for some objects, which are alike in what they are prompted by."""
        some = [objects[place] for place in places]
        found = self._roughly_drawn(some) if some[0].rough is not None else self._pointed_at(some)
        return [
            Proposal(
                answer.mask,
                answer.score,
                _stability(answer.logits),
                next((point.position for point in one.prompts.points if point.positive), None),
                None if self.crop.covers(self.planner.shape) else (self.crop.start, self.crop.stop),
                asked=place,
                agreement=1.0 if one.rough is None else answer.mask.iou(one.rough),
                logits=KeptLogits.of(answer.crop, answer.logits),
            )
            for place, one, answer in zip(places, some, found, strict=True)
            if answer.mask.mask.any()
        ]

    def _pointed_at(self, objects: Sequence[PromptedObject]) -> list[_Answer]:
        sets = [self.crop.prompts(one.prompts) for one in objects]
        several, found = sets[0].ambiguous, []
        # All candidates only where one is to be chosen: drawing them takes longer than finding them.
        most = None if several and self.level != "best" else 1
        answers = self.engine.predictor.predict_many(self.embedding, sets, multimask=several, most=most)
        for one, answer in zip(objects, answers, strict=True):
            if self._may_be_wrong(answer.masks[0], float(answer.scores[0]) if several else 1.0):
                found.append(self._alone(one.prompts))
            else:
                parts, plane = zip(answer.masks, answer.scores, answer.logits, strict=True), self.planner.shape
                # As by a click: what is cut off is no choice where another is not.
                whole = [self._answer(*one) for one in parts if not any(self.crop.cut_sides(one[0], plane))]
                found.append(self._chosen(whole))
        return found

    def _answer(self, mask: NDArray[np.bool_], score: float, logits: NDArray[np.float32]) -> _Answer:
        return _Answer(self.crop.boxed(mask, self.planner.shape), float(score), self.crop, logits)

    def _chosen(self, candidates: Sequence[_Answer]) -> _Answer:
        """Choose the candidate of the level that is wanted, as a click does; the best one where there is none."""
        return candidates[levels_of([one.mask for one in candidates]).get(self.level, 0)]

    def _roughly_drawn(self, objects: Sequence[PromptedObject]) -> list[_Answer]:
        rough = [self.crop.on_picture(one.rough) for one in objects if one.rough is not None]
        answers = refine_rough(self.engine.predictor, self.plane, self.embedding, rough)
        return [self._answer(answer.mask, answer.score, answer.logits) for answer in answers]

    def _may_be_wrong(self, mask: NDArray[np.bool_], score: float) -> bool:
        """Whether more of the plane than this crop shows would tell more about an object."""
        if self.crop.covers(self.planner.shape):
            return False
        return score < DOUBTFUL or any(self.crop.cut_sides(mask, self.planner.shape))

    def _alone(self, prompts: PromptSet) -> _Answer:
        """Look for one object through as many crops as it takes."""
        found = segment_plane(self.engine, self.source, prompts, progress=self.progress)
        candidates = [
            _Answer(BoxedMask(best.origin, best.mask, self.planner.shape), best.score, one.crop, one.logits)
            for best, one in zip(found.candidates, found.found, strict=True)
        ]
        return self._chosen(candidates)


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """A candidate: its mask on the plane, its score, and the logits, (h, w), that it was drawn from in a crop."""

    mask: BoxedMask
    score: float
    crop: Crop
    logits: NDArray[np.float32]


def _by_crop(planner: CropPlanner, objects: Sequence[PromptedObject]) -> dict[Crop, list[int]]:
    """Choose the crop for each object: the places of those that share one."""
    found: dict[Crop, list[int]] = {}
    for place, one in enumerate(objects):
        known = None
        if one.rough is not None:
            low = one.rough.origin
            high = low[0] + one.rough.mask.shape[0] - 1, low[1] + one.rough.mask.shape[1] - 1
            known = low, high
        found.setdefault(planner.crop_for(one.prompts, known), []).append(place)
    return found


def _lots(objects: Sequence[PromptedObject], places: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Divide objects of a crop into lots that one call of the decoder can answer; tell how many are done after each."""
    alike: dict[tuple[bool, bool, bool], list[int]] = {}
    for place in places:
        one = objects[place]
        kind = (one.rough is None, one.prompts.box is None, one.prompts.ambiguous)
        alike.setdefault(kind, []).append(place)
    done = 0
    for same in alike.values():
        for first in range(0, len(same), _TOGETHER):
            lot = same[first : first + _TOGETHER]
            done += len(lot)
            yield done, lot


def _stability(logits: NDArray[np.float32]) -> float:
    """Measure how little a mask changes with the threshold of its logits, at their own resolution."""
    low = int(np.count_nonzero(logits > -1.0))
    return float(np.count_nonzero(logits > 1.0) / low) if low else 0.0
