"""When to stop: rules with names."""

from __future__ import annotations

from dataclasses import dataclass

from napari_sam.errors import InputError


@dataclass(frozen=True, slots=True)
class Rules:
    """What ends a direction.

    Attributes
    ----------
    least_overlap : float
        IoU with the mask of the plane before, 0 to 1.
    largest_area_change : float
        Factor by which the area may grow or shrink from one plane to the next, 1 or more.
    least_score : float
        Score of a plane, 0 to 1.
    least_area : int
        Data pixels; a smaller mask counts as empty.
    """

    least_overlap: float = 0.2
    largest_area_change: float = 4.0
    least_score: float = 0.55
    least_area: int = 1

    def __post_init__(self) -> None:
        for name in ("least_overlap", "least_score"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise InputError(f"{name} is a number from 0 to 1; got {value!r}.")
        if not self.largest_area_change >= 1:
            raise InputError(f"largest_area_change is a factor of 1 or more; got {self.largest_area_change!r}.")
        if self.least_area < 1:
            raise InputError(f"least_area is a number of pixels, 1 or more; got {self.least_area!r}.")


DEFAULT_RULES = Rules()
"""Chosen on volumes with known objects, see docs/stacks.md."""
