"""What a run has found so far, so that a run that was broken off goes on from there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.inference.request import candidate_of
from napari_sam.propagation.results import Ending, PropagationStep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray


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
