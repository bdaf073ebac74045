"""What a run has found so far, so that a run that was broken off goes on from there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sam.propagation.results import PropagationStep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_sam.propagation.results import Ending


@dataclass(frozen=True, slots=True, eq=False)
class Trail:
    """The results of a run, by the number of the leg, in their order.

    Attributes
    ----------
    legs : mapping of int to tuple
        What each leg found.
    """

    legs: Mapping[int, tuple[PropagationStep | Ending, ...]] = field(default_factory=dict)

    @property
    def places(self) -> frozenset[int]:
        """The planes that were answered."""
        return frozenset(
            one.index for results in self.legs.values() for one in results if isinstance(one, PropagationStep)
        )

    def results(self, leg: int) -> Iterator[PropagationStep | Ending]:
        """Go through what a leg found, as `napari_sam.propagation.propagate` takes it."""
        return iter(self.legs.get(leg, ()))


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
        # The first results of a leg are those of the trail, which `propagate` yields again.
        self._passed[leg] = self._passed.get(leg, 0) + 1
        if self._passed[leg] > len(kept):
            kept.append(found)

    @property
    def trail(self) -> Trail:
        """What there is by now."""
        # Copies, because the run goes on.
        return Trail({leg: tuple(results) for leg, results in self._legs.items()})
