"""A line of planes through an image, and an object on it: what is written where, and how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.masks import BoxedMask
from napari_sam.prompts import PromptSet
from napari_sam.session.labels.compressed import CompressedArray
from napari_sam.session.labels.pixels import full_resolution

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.labels.edit import LabelEdit
    from napari_sam.session.objects.remainder import RunRemainder

Index = tuple[int | None, ...]
"""What names a plane of an image: `PlaneIndex.index`."""


@dataclass(frozen=True, slots=True)
class PlaneLine:
    """The planes that follow the one on screen along one axis.

    Attributes
    ----------
    view : PlaneIndex
        One of them.
    axis : int
        The data axis that they follow each other along.
    size : int
        How many there are.
    """

    view: PlaneIndex
    axis: int
    size: int

    @property
    def place(self) -> int:
        """Which of the planes `view` is."""
        return int(self.view.index[self.axis] or 0)

    def at(self, place: int) -> PlaneIndex:
        """Return a plane of the line."""
        return self.view.at(self.axis, place)

    def find(self, index: Index) -> int | None:
        """Tell which plane of the line an index names; None when it is none of them."""
        place = index[self.axis] if self.axis < len(index) else None
        return place if place is not None and self.at(place).index == index else None


@dataclass(frozen=True, slots=True, eq=False)
class PlaneRecord:
    """The object on one plane, as it was written.

    Attributes
    ----------
    origin : (int, int)
        Upper left pixel of `mask` on the plane, data pixels, (y, x).
    drawn : CompressedArray, shape (h, w), bool
        Pixels that carry the object's label.
    score : float
        How far the mask can be trusted, 0 to 1; 1 where a person annotated it.
    weak : bool
        Whether it should be looked at.
    annotated : bool
        Whether a person annotated it, rather than a run.
    prompts : PromptSet
        What the person drew; empty for a run.
    """

    origin: tuple[int, int]
    drawn: CompressedArray
    score: float = 1.0
    weak: bool = False
    annotated: bool = True
    prompts: PromptSet = field(default_factory=PromptSet)

    @classmethod
    def of(cls, written: LabelEdit, prompts: PromptSet) -> PlaneRecord:
        """Describe what a person accepted."""
        return cls(written.origin, written.drawn, prompts=prompts)

    @classmethod
    def prompted(cls, origin: tuple[int, int], mask: NDArray[np.bool_], prompts: PromptSet) -> PlaneRecord:
        """Describe what a person accepted and the plane carried already."""
        return cls(origin, CompressedArray.of(mask), prompts=prompts)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Pixels that carry the object's label, (h, w) bool; the array may be read-only."""
        return self.drawn.array()

    def whole(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the mask of the whole plane, (H, W) bool."""
        return BoxedMask(self.origin, self.mask, shape).whole()


@dataclass(frozen=True, slots=True, eq=False)
class TrackedObject:
    """An object on some planes of an image.

    Attributes
    ----------
    layer : Labels
        The layer that it is written in.
    label : int
        Its id there.
    planes : dict
        By `PlaneIndex.index`, the planes that carry it, the newest last.
    fresh : frozenset
        Those that a person annotated, and that no run has started from yet.
    marks : mapping
        By `PlaneIndex.index`, stop marks: positions that are not the object's, data pixels, (y, x).
    remainder : RunRemainder or None
        What its last run had not done when it was broken off; None when it came to its end.
    """

    layer: Labels
    label: int
    planes: dict[Index, PlaneRecord] = field(default_factory=dict)
    fresh: frozenset[Index] = frozenset()
    marks: Mapping[Index, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    remainder: RunRemainder | None = None

    def with_prompted(self, index: Index, record: PlaneRecord) -> TrackedObject:
        """Return this with a plane that a person annotated; stop marks on it are no longer true."""
        marks = {at: places for at, places in self.marks.items() if at != index}
        return replace(
            self, planes={**self.without(index).planes, index: record}, fresh=self.fresh | {index}, marks=marks
        )

    def carried(self, index: Index, record: PlaneRecord) -> TrackedObject:
        """Return this with a plane that a run wrote."""
        # Taken out first, so that a plane that is written again is the newest.
        return replace(self, planes={**self.without(index).planes, index: record})

    def without(self, index: Index) -> TrackedObject:
        """Return this without a plane."""
        return replace(
            self,
            planes={at: record for at, record in self.planes.items() if at != index},
            fresh=self.fresh - {index},
        )

    def on(self, line: PlaneLine) -> Iterator[tuple[int, PlaneRecord]]:
        """Go through the planes of a line that carry it, in order."""
        found = ((line.find(index), record) for index, record in self.planes.items())
        yield from sorted(((place, record) for place, record in found if place is not None), key=lambda one: one[0])

    def marks_on(self, line: PlaneLine) -> dict[int, tuple[tuple[float, float], ...]]:
        """Return the stop marks on a line."""
        found = ((line.find(index), places) for index, places in self.marks.items())
        return {place: places for place, places in found if place is not None}


def is_there(current: TrackedObject, view: PlaneIndex, record: PlaneRecord) -> bool:
    """Tell whether a plane still carries anything of an object, where it was written."""
    if full_resolution(current.layer).ndim != len(view.index):
        return False
    region = view.slices(record.origin, (record.drawn.shape[0], record.drawn.shape[1]))
    return bool((np.asarray(full_resolution(current.layer)[region]) == current.label).any())
