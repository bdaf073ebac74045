"""What a run through a stack had found when it was broken off, so that the next one goes on from there."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.inference.request import candidate_of
from napari_sam.propagation import Ending, PropagationStep
from napari_sam.session.labels.pixels import label_mask

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from numpy.typing import NDArray

    from napari_sam.planes.source import ArrayPlanes
    from napari_sam.propagation import Annotated
    from napari_sam.session.objects.tracked import PlaneLine, TrackedObject
    from napari_sam.session.propagation.job import PropagationJob


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """A step with its mask cut to its bounding box: hundreds of whole planes would not fit into memory."""

    index: int
    origin: tuple[int, int]
    mask: NDArray[np.bool_]
    shape: tuple[int, int]
    score: float
    overlap: float
    direction: int

    @classmethod
    def of(cls, step: PropagationStep) -> _Kept:
        cut = candidate_of(step.mask, step.score)
        shape = (step.mask.shape[0], step.mask.shape[1])
        return cls(step.index, cut.origin, cut.mask.copy(), shape, step.score, step.overlap, step.direction)

    def step(self) -> PropagationStep:
        mask = np.zeros(self.shape, dtype=bool)
        (top, left), (height, width) = self.origin, self.mask.shape
        mask[top : top + height, left : left + width] = self.mask
        return PropagationStep(self.index, mask, self.score, self.overlap, self.direction)


@dataclass(frozen=True, slots=True, eq=False)
class Trail:
    """The results of a run, by the number of the leg, in their order.

    Attributes
    ----------
    legs : mapping of int to tuple
        What each leg found.
    """

    legs: Mapping[int, tuple[_Kept | Ending, ...]] = field(default_factory=dict)

    @property
    def places(self) -> frozenset[int]:
        """The planes that were answered."""
        return frozenset(one.index for results in self.legs.values() for one in results if isinstance(one, _Kept))

    def results(self, leg: int) -> Iterator[PropagationStep | Ending]:
        """Go through what a leg found, as `napari_sam.propagation.propagate` takes it."""
        return (one.step() if isinstance(one, _Kept) else one for one in self.legs.get(leg, ()))


class TrailLog:
    """Keeps a trail while a run goes on.

    Parameters
    ----------
    trail : Trail
        What an earlier run found; this one begins with it, and what comes from there is not kept twice.
    """

    def __init__(self, trail: Trail) -> None:
        self._legs = {leg: list(results) for leg, results in trail.legs.items()}
        self._passed: dict[int, int] = {}

    def add(self, leg: int, found: PropagationStep | Ending) -> None:
        """Note the next result of a leg."""
        kept = self._legs.setdefault(leg, [])
        self._passed[leg] = self._passed.get(leg, 0) + 1
        if self._passed[leg] > len(kept):
            kept.append(_Kept.of(found) if isinstance(found, PropagationStep) else found)

    @property
    def trail(self) -> Trail:
        """What there is by now."""
        return Trail({leg: tuple(results) for leg, results in self._legs.items()})


@dataclass(frozen=True, slots=True, eq=False)
class RunRemainder:
    """What is left to do of a run that was broken off.

    Attributes
    ----------
    job : PropagationJob
        What was to be done, with what is known by now; without the image, which may be replaced meanwhile.
    data : weakref or None
        The pixels of the image; None where they cannot be referred to.
    looks : hashable
        The line, and how its planes were seen.
    """

    job: PropagationJob
    data: weakref.ref[Any] | None
    looks: Hashable

    @classmethod
    def of(cls, job: PropagationJob) -> RunRemainder:
        """Keep the rest of a job."""
        planes = job.planes
        try:
            data = weakref.ref(planes.data)
        except TypeError:
            data = None
        return cls(replace(job, planes=replace(planes, data=None)), data, _looks(planes))

    def job_for(self, hand: TrackedObject, line: PlaneLine, new: PropagationJob) -> PropagationJob | None:
        """Return the job to go on with; None where things changed, so that a run has to start again.

        Parameters
        ----------
        hand : TrackedObject
            The object.
        line : PlaneLine
            The planes.
        new : PropagationJob
            What a run would do that starts again.
        """
        old = self.job
        same = (
            self.data is not None
            and self.data() is new.planes.data
            and self.looks == _looks(new.planes)
            and (old.span, old.model, old.device, old.strategy) == (new.span, new.model, new.device, new.strategy)
            and not new.asked
            and dict(old.marks) == dict(new.marks)
            and _untouched(hand, line, old.known)
        )
        return replace(old, planes=new.planes) if same else None


def _looks(planes: ArrayPlanes) -> Hashable:
    index = tuple(None if axis == planes.axis else at for axis, at in enumerate(planes.index))
    return planes.axis, index, planes.contrast_limits, planes.gamma, planes.spacing


def _untouched(hand: TrackedObject, line: PlaneLine, known: tuple[Annotated, ...]) -> bool:
    """Tell whether what a person said is what the run started from, and is in the labels as it was written."""
    said = {place: record for place, record in hand.on(line) if record.annotated}
    return said.keys() == {one.index for one in known} and all(
        said[one.index].prompts is one.prompts
        and np.array_equal(
            label_mask(hand.layer, line.at(one.index), hand.label), said[one.index].whole(line.view.shape)
        )
        for one in known
    )
