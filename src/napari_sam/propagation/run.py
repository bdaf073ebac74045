"""Carry an object from annotated planes through a stack, one plane at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.errors import InputError
from napari_sam.progress import no_progress
from napari_sam.propagation.contrast import Contrast, contrast, kept
from napari_sam.propagation.results import Annotated, Ending, PropagationStep, Reason
from napari_sam.propagation.stop_rules import DEFAULT_RULES, Rules
from napari_sam.propagation.strategies.protocol import Seen, Task
from napari_sam.propagation.strategies.table import DEFAULT_STRATEGY, STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam.inference.engine import Engine
    from napari_sam.planes.plane import Plane
    from napari_sam.planes.source import Planes
    from napari_sam.progress import Progress
    from napari_sam.propagation.strategies.protocol import Strategy

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
    closing the generator stops it.

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
    return _Run(engine, planes, chosen, rules, within, dict(marks or {}), progress).steps(given, iter(earlier))


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
        if not np.any(one.mask):
            raise InputError(f"The mask on plane {one.index} is empty. Click the object there first.")
    shape = planes[annotated[0].index].shape
    for one in annotated:
        if np.shape(one.mask) != shape:
            raise InputError(
                f"The mask on plane {one.index} has shape {np.shape(one.mask)}, but the planes are "
                f"{shape[0]} x {shape[1]} pixels. Give a mask of the whole plane."
            )


@dataclass(eq=False)
class _Front:
    """One direction, on its way."""

    start: Annotated
    ahead: Annotated | None
    direction: int
    before: tuple[Seen, ...]
    index: int = field(init=False)
    contrast: Contrast = field(init=False)

    def __post_init__(self) -> None:
        self.index = self.start.index + self.direction
        self.contrast = contrast(self.before[-1].plane, self.before[-1].mask)

    def contrast_kept(self, plane: Plane, mask: NDArray[np.bool_]) -> float:
        """Tell how much of the object's contrast is left on the next plane, 0 to 1."""
        last = self.before[-1]
        return kept(contrast(plane, mask), contrast(last.plane, last.mask), self.contrast)

    def move(self, seen: Seen) -> None:
        """Go on to the next plane."""
        self.before = (*self.before, seen)[-_REMEMBERED:]
        self.index += self.direction


@dataclass(frozen=True, eq=False)
class _Run:
    """One call of `propagate`."""

    engine: Engine
    planes: Planes
    strategy: Strategy
    rules: Rules
    span: range
    marks: Mapping[int, Sequence[tuple[float, float]]]
    progress: Progress

    def steps(
        self, annotated: Sequence[Annotated], earlier: Iterator[PropagationStep | Ending]
    ) -> Iterator[PropagationStep | Ending]:
        """Take a step in each direction in turn, until all have ended."""
        known = {one.index for one in annotated}
        total = max(1, len(set(self.span) - known))
        fronts = self._fronts(annotated)
        progress = _Rising(self.progress)
        while fronts:
            for front in tuple(fronts):
                done = len(known) - len(annotated)
                found = next(earlier, None)
                if found is None:
                    found = self._step(front, known, lambda part, done=done: progress((done + part) / total))
                elif isinstance(found, PropagationStep):
                    front.move(Seen(found.index, self.planes[found.index], found.mask))
                if isinstance(found, Ending):
                    fronts.remove(front)
                else:
                    known.add(found.index)
                yield found
        progress(1.0)

    def _fronts(self, annotated: Sequence[Annotated]) -> list[_Front]:
        fronts = []
        for number, one in enumerate(annotated):
            seen = (Seen(one.index, self.planes[one.index], np.asarray(one.mask, dtype=bool)),)
            below = annotated[number - 1] if number else None
            above = annotated[number + 1] if number + 1 < len(annotated) else None
            fronts += [_Front(one, above, 1, seen), _Front(one, below, -1, seen)]
        return fronts

    def _step(self, front: _Front, known: set[int], progress: Progress) -> PropagationStep | Ending:
        index, direction = front.index, front.direction
        if index in known:
            return Ending(index, direction, Reason.MET)
        if index not in self.span:
            return Ending(index, direction, Reason.RANGE_END)
        before, marks = front.before[-1].mask, self.marks.get(index, ())
        if _any_inside(marks, before):
            return Ending(index, direction, Reason.MARK)
        progress(0.0)
        plane = self.planes[index]
        answer = self.strategy.answer(self.engine, Task(index, plane, front.before, front.start, front.ahead), progress)
        if _any_inside(marks, answer.mask):
            return Ending(index, direction, Reason.MARK)
        if np.count_nonzero(answer.mask) < self.rules.least_area:
            return Ending(index, direction, Reason.EMPTY)
        overlap = _overlap(answer.mask, before)
        score = answer.score * front.contrast_kept(plane, answer.mask) * min(1.0, overlap / _AGREEMENT)
        step = PropagationStep(index, answer.mask, score, overlap, direction)
        reason = self._broken(step, front)
        if reason is not None:
            return Ending(index, direction, reason)
        front.move(Seen(index, plane, answer.mask))
        return step

    def _broken(self, step: PropagationStep, front: _Front) -> Reason | None:
        """Name the first rule that a mask, which is not empty, breaks."""
        rules, area, earlier = self.rules, np.count_nonzero(step.mask), np.count_nonzero(front.before[-1].mask)
        if front.ahead is not None:
            # The person has said that the object goes on; doubts show in the score.
            return None
        if max(area / earlier, earlier / area) > rules.largest_area_change:
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


def _any_inside(positions: Sequence[tuple[float, float]], mask: NDArray[np.bool_]) -> bool:
    return any(_contains(mask, position) for position in positions)


def _contains(mask: NDArray[np.bool_], position: tuple[float, float]) -> bool:
    y, x = (round(value) for value in position)
    return 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and bool(mask[y, x])


def _overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 0.0
