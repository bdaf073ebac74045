"""Carry an object from annotated planes through a stack, one plane at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.errors import InputError
from napari_sam.inference.search import search_object
from napari_sam.masks import iou
from napari_sam.progress import no_progress
from napari_sam.prompts import PromptSet
from napari_sam.propagation.contrast import Contrast, contrast, kept
from napari_sam.propagation.results import Annotated, Ending, PropagationStep, Reason
from napari_sam.propagation.stack_crops import KnownPlane, StackCrops
from napari_sam.propagation.stop_rules import DEFAULT_RULES, Rules
from napari_sam.propagation.strategies.protocol import Task
from napari_sam.propagation.strategies.table import DEFAULT_STRATEGY, STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam.inference.engine import Engine
    from napari_sam.masks import BoxedMask
    from napari_sam.planes import Crop
    from napari_sam.planes.source import Planes
    from napari_sam.progress import Progress
    from napari_sam.propagation.strategies.protocol import Strategy, StrategyAnswer

_REMEMBERED = 2  # planes of a direction: the last one, and the one that tells how the object moves
_AGREEMENT = 0.5  # IoU of neighbours from which on it no longer lowers the score

WEAK = 0.7
"""Score below which a plane is worth a look."""


def propagate(
    engine: Engine,
    planes: Planes,
    annotated: Sequence[Annotated],
    *,
    strategy: str = DEFAULT_STRATEGY,
    rules: Rules = DEFAULT_RULES,
    span: range | None = None,
    marks: Mapping[int, Sequence[tuple[float, float]]] | None = None,
    progress: Progress = no_progress,
    earlier: Iterable[PropagationStep | Ending] = (),
) -> Iterator[PropagationStep | Ending]:
    """Carry an object through a stack.

    It goes both ways from each annotated plane, the nearest planes first; between two annotated planes the directions
    meet in the middle. Planes are read, embedded and answered one at a time, when the next result is asked for;
    closing the generator stops it. Of large planes only a crop around the object is read, from a coarser resolution
    where the object is large and there is one (see `napari_sam.propagation.stack_crops`).

    Parameters
    ----------
    engine : Engine
    planes : Planes
        The stack.
    annotated : sequence of Annotated
        At least one plane on which the object is known; they are not answered again.
    strategy : str
        A name of `STRATEGIES`.
    rules : Rules
        What ends a direction.
    span : range, optional
        The planes to go through, with a step of 1. Default: all.
    marks : mapping of int to sequence of (float, float), optional
        Stop marks: for each plane positions, data pixels, (y, x), that are not the object's. A direction ends at the
        plane on which the mask would contain one.
    progress : Progress
        Called with the fraction done, also while a plane is encoded; may raise `Cancelled`.
    earlier : iterable of PropagationStep or Ending
        The first results, in their order, of the same call, which was cut short: they are yielded again, and the model
        is asked from there on only.

    Yields
    ------
    PropagationStep or Ending
        A step for each plane that was answered; an ending for each direction.

    Raises
    ------
    InputError
        At once, if no plane is annotated, a mask is empty or of another shape than the planes, an index lies outside
        the stack or comes twice, or there is no such strategy.
    """
    chosen = _strategy(strategy)
    given = sorted(annotated, key=lambda one: one.index)
    _check(planes, given)
    within = _span(span, len(planes))
    # For each of the two directions from a plane: the planes that are remembered, and the one that is answered.
    crops = StackCrops(engine, planes, given[0].index, 2 * len(given) * (_REMEMBERED + 1))
    known = [KnownPlane.of(one) for one in given]
    # Only now: where planes cannot be read in part, their shape is known from reading one.
    _check_shapes(crops.shape, known)
    # Only this is a generator: wrong input is refused at once, and not at the first step.
    return _Run(engine, crops, chosen, rules, within, dict(marks or {}), progress).steps(known, iter(earlier))


def weak_planes(steps: Iterable[PropagationStep], threshold: float = WEAK) -> list[int]:
    """Return the planes, in order, whose score is below a threshold: those to look at first."""
    return sorted(step.index for step in steps if step.score < threshold)


def _strategy(name: str) -> Strategy:
    if name not in STRATEGIES:
        raise InputError(f"There is no strategy {name!r}. Choose one of: {', '.join(STRATEGIES)}.")
    return STRATEGIES[name]


def _span(span: range | None, count: int) -> range:
    if span is None:
        return range(count)
    if span.step != 1 or not 0 <= span.start < span.stop <= count:
        raise InputError(
            f"Planes {span.start} to {span.stop - 1} are not a range of this stack. Choose one within 0 to {count - 1}."
        )
    return span


def _check(planes: Planes, annotated: Sequence[Annotated]) -> None:
    if not annotated:
        raise InputError("No plane is annotated. Click the object on at least one plane first.")
    for one, following in pairwise(annotated):
        if one.index == following.index:
            raise InputError(f"Plane {one.index} is annotated twice. Put what is said about it together.")
    for one in annotated:
        if not 0 <= one.index < len(planes):
            raise InputError(
                f"Plane {one.index} is not in the stack: its planes are 0 to {len(planes) - 1}. Choose one of them."
            )


def _check_shapes(shape: tuple[int, int], known: Sequence[KnownPlane]) -> None:
    for one in known:
        if not one.boxed.area:
            raise InputError(f"The mask on plane {one.index} is empty. Click the object there first.")
    for one in known:
        if one.boxed.plane != shape:
            raise InputError(
                f"The mask on plane {one.index} has shape {one.boxed.plane}, but the planes are "
                f"{shape[0]} x {shape[1]} pixels. Give a mask of the whole plane."
            )


@dataclass(eq=False)
class _Front:
    """One direction, on its way."""

    start: KnownPlane
    ahead: KnownPlane | None
    direction: int
    before: tuple[KnownPlane, ...] = field(init=False)
    index: int = field(init=False)
    contrast: Contrast | None = None
    """On the annotated plane; measured when it is first needed."""

    def __post_init__(self) -> None:
        self.before = (self.start,)
        self.index = self.start.index + self.direction

    def move(self, known: KnownPlane) -> None:
        """Go on to the next plane."""
        self.before = (*self.before, known)[-_REMEMBERED:]
        self.index += self.direction


@dataclass(frozen=True, slots=True, eq=False)
class _OneMask:
    """What a strategy found, as `search_object` takes it."""

    masks: NDArray[np.bool_]
    scores: NDArray[np.float32]
    logits: NDArray[np.float32]

    @classmethod
    def of(cls, answer: StrategyAnswer) -> _OneMask:
        """Pass on a mask; logits are the strategy's own."""
        return cls(answer.mask[None], np.array([answer.score], np.float32), np.zeros((1, 0, 0), np.float32))


@dataclass(frozen=True, eq=False)
class _Run:
    """One call of `propagate`."""

    engine: Engine
    crops: StackCrops
    strategy: Strategy
    rules: Rules
    span: range
    marks: Mapping[int, Sequence[tuple[float, float]]]
    progress: Progress

    def steps(
        self, annotated: Sequence[KnownPlane], earlier: Iterator[PropagationStep | Ending]
    ) -> Iterator[PropagationStep | Ending]:
        """Take a step in each direction in turn, until all have ended."""
        known = {one.index for one in annotated}
        total = max(1, len(set(self.span) - known))
        fronts = _fronts(annotated)
        progress = _Rising(self.progress)
        while fronts:
            # A copy, because directions that end leave the list.
            for front in tuple(fronts):
                done = len(known) - len(annotated)
                # They come in the order in which the directions took turns, and so belong to this one.
                found = next(earlier, None)
                if found is None:
                    found = self._step(front, known, lambda part, done=done: progress((done + part) / total))
                if isinstance(found, Ending):
                    fronts.remove(front)
                else:
                    front.move(KnownPlane(found.index, found.boxed))
                    known.add(found.index)
                yield found
        progress(1.0)

    def _step(self, front: _Front, known: set[int], progress: Progress) -> PropagationStep | Ending:
        index, direction = front.index, front.direction
        if index in known:
            return Ending(index, direction, Reason.MET)
        if index not in self.span:
            return Ending(index, direction, Reason.RANGE_END)
        marks = self.marks.get(index, ())
        # The object, as it was last, covers the mark: the plane need not even be read.
        if _any_inside(marks, front.before[-1].boxed):
            return Ending(index, direction, Reason.MARK)
        progress(0.0)
        task, answer, crop = self._answer(front, progress)
        boxed, last = crop.boxed(answer.mask, self.crops.shape), task.before[-1]
        if _any_inside(marks, boxed):
            return Ending(index, direction, Reason.MARK)
        if boxed.area < self.rules.least_area:
            return Ending(index, direction, Reason.EMPTY)
        overlap = iou(answer.mask, last.mask)
        left = kept(contrast(task.plane, answer.mask), contrast(last.plane, last.mask), self._start_contrast(front))
        step = PropagationStep(index, boxed, answer.score * left * min(1.0, overlap / _AGREEMENT), overlap, direction)
        # Counted in the picture: there both masks are seen equally coarsely.
        reason = self._broken(step, front, np.count_nonzero(answer.mask) / np.count_nonzero(last.mask))
        return step if reason is None else Ending(index, direction, reason)

    def _answer(self, front: _Front, progress: Progress) -> tuple[Task, StrategyAnswer, Crop]:
        """Ask the strategy in a crop around the object, and in a larger one while the object goes on beyond it."""
        asked: dict[Crop, tuple[Task, StrategyAnswer]] = {}

        def answer(crop: Crop) -> _OneMask:
            task = self._task(front, crop)
            found = self.strategy.answer(self.engine, task, progress)
            asked[crop] = task, found
            return _OneMask.of(found)

        first = self.crops.around(self._extent(front, front.before[-1]))
        # No prompts: the crop follows from masks that are known, and grows with the mask that is found.
        (found,) = search_object(self.crops.planner, PromptSet(), first, answer)
        return *asked[found.crop], found.crop

    def _extent(self, front: _Front, known: KnownPlane) -> list[BoxedMask]:
        """List the masks that must be in the crop for the plane after one on which the object is known."""
        if front.ahead is not None and self.strategy.needs_both_ends:
            return [known.boxed, front.start.boxed, front.ahead.boxed]
        return [known.boxed]

    def _task(self, front: _Front, crop: Crop) -> Task:
        crops, ahead = self.crops, front.ahead
        return Task(
            front.index,
            crops.plane(front.index, crop),
            tuple(crops.seen(known, crop) for known in front.before),
            crops.annotated(front.start, crop),
            None if ahead is None else crops.annotated(ahead, crop),
        )

    def _start_contrast(self, front: _Front) -> Contrast:
        if front.contrast is None:
            seen = self.crops.seen(front.start, self.crops.around(self._extent(front, front.start)))
            front.contrast = contrast(seen.plane, seen.mask)
        return front.contrast

    def _broken(self, step: PropagationStep, front: _Front, growth: float) -> Reason | None:
        """Name the first rule that a mask, which is not empty, breaks; `growth` is the ratio of the areas."""
        rules = self.rules
        if front.ahead is not None:
            # The person has said that the object goes on; doubts show in the score.
            return None
        if max(growth, 1 / growth) > rules.largest_area_change:
            return Reason.AREA
        if step.overlap < rules.least_overlap:
            return Reason.OVERLAP
        if step.score < rules.least_score:
            return Reason.SCORE
        return None


@dataclass
class _Rising:
    """Progress that never goes back: a plane that ends a direction counts while it is looked at."""

    report: Progress
    highest: float = 0.0

    def __call__(self, fraction: float, /) -> None:
        self.highest = max(self.highest, fraction)
        self.report(self.highest)


def _fronts(annotated: Sequence[KnownPlane]) -> list[_Front]:
    """Go both ways from each annotated plane, in the order of planes."""
    fronts = []
    for number, one in enumerate(annotated):
        below = annotated[number - 1] if number else None
        above = annotated[number + 1] if number + 1 < len(annotated) else None
        fronts += [_Front(one, above, 1), _Front(one, below, -1)]
    return fronts


def _any_inside(positions: Sequence[tuple[float, float]], boxed: BoxedMask) -> bool:
    """Whether a position, data pixels, lies on a mask."""
    return any(_contains(boxed, position) for position in positions)


def _contains(boxed: BoxedMask, position: tuple[float, float]) -> bool:
    y, x = (round(value) - first for value, first in zip(position, boxed.origin, strict=True))
    return 0 <= y < boxed.mask.shape[0] and 0 <= x < boxed.mask.shape[1] and bool(boxed.mask[y, x])
