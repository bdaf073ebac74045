"""What a run through a stack is to do, and what it can find."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sam.propagation.results import Annotated, Ending, PropagationStep
from napari_sam.propagation.strategies.table import DEFAULT_STRATEGY
from napari_sam.propagation.trail import Trail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sam.planes.source import ArrayPlanes
    from napari_sam.prompts import PromptSet


@dataclass(frozen=True, slots=True)
class Stale:
    """A plane that an earlier run wrote, and that this one does not reach: the object is not there."""

    index: int


PlaneResult = Annotated | PropagationStep | Ending | Stale


@dataclass(frozen=True, slots=True)
class RunLeg:
    """A part of a run.

    Attributes
    ----------
    starts : tuple of int
        The annotated planes to start from; empty: all.
    span : range
        The planes to go through.
    """

    starts: tuple[int, ...]
    span: range


@dataclass(frozen=True, slots=True, eq=False)
class PropagationJob:
    """What a run is to do.

    Attributes
    ----------
    model, device : str
        What answers.
    planes : ArrayPlanes
        The stack.
    span : range
        The planes that were chosen.
    known : tuple of Annotated
        Planes on which the object is known.
    asked : tuple of (int, PromptSet)
        Planes on which it is said, but not answered yet; they are answered first.
    legs : tuple of RunLeg
        The parts of the run, one after the other.
    strategy : str
        A name in `STRATEGIES`.
    marks : mapping
        Stop marks by plane, as `napari_sam.propagation.propagate` takes them.
    earlier : frozenset of int
        Planes that an earlier run wrote.
    trail : Trail
        What this job had found before it was broken off.
    """

    model: str
    device: str
    planes: ArrayPlanes
    span: range
    known: tuple[Annotated, ...]
    asked: tuple[tuple[int, PromptSet], ...]
    legs: tuple[RunLeg, ...]
    strategy: str = DEFAULT_STRATEGY
    marks: Mapping[int, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    earlier: frozenset[int] = frozenset()
    trail: Trail = field(default_factory=Trail)

    def leg_from(self, place: int, direction: int) -> RunLeg | None:
        """Return the leg that goes from one plane only, in one direction, and comes by a plane; None for others."""
        for leg in self.legs:
            if len(leg.starts) == 1 and place in leg.span and (place - leg.starts[0]) * direction > 0:
                return leg
        return None
