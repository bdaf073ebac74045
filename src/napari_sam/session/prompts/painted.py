"""What is painted by hand on the planes of an image: kept as values, since layers only show it."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sam.session.viewing.locations import Location

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from napari.layers import Image

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.prompts import PaintPrompt

    Index = tuple[int | None, ...]


@dataclass(frozen=True)
class PaintedPlanes:
    """What is painted on the planes of one image; never changed, only replaced.

    Attributes
    ----------
    planes : mapping from tuple of (int or None) to PaintPrompt
        By plane, as `PlaneIndex.index`: a plane stays the same when its image gets another scale.
    """

    planes: Mapping[Index, PaintPrompt] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return sum(paint.nbytes for paint in self.planes.values())

    def on(self, view: PlaneIndex) -> tuple[PaintPrompt, ...]:
        """Return what is painted on a plane, in a tuple; nothing where none of it lies there."""
        paint = self.planes.get(view.index)
        # Another image may have come into the layer, a smaller one.
        lies_there = paint is not None and any(boxed.mask.any() for boxed in paint.on_plane(view.shape))
        return (paint,) if paint is not None and lies_there else ()

    def with_paint(self, view: PlaneIndex, paint: PaintPrompt) -> PaintedPlanes:
        """Return this with what was painted on a plane after it."""
        before = self.planes.get(view.index)
        return PaintedPlanes({**self.planes, view.index: paint if before is None else before.then(paint)})

    def without(self, planes: Collection[Index]) -> PaintedPlanes:
        """Return this without some planes."""
        kept = {index: paint for index, paint in self.planes.items() if index not in planes}
        return self if len(kept) == len(self.planes) else PaintedPlanes(kept)

    def places_along(self, view: PlaneIndex, axis: int) -> set[int]:
        """Find the planes that follow a plane along an axis and are painted on: their indices along it."""
        found = set()
        for index in self.planes:
            place = index[axis] if len(index) == len(view.index) else None
            if place is not None and view.at(axis, place).index == index:
                found.add(place)
        return found

    def locations_beyond(self, older: PaintedPlanes) -> list[Location]:
        """Find where that is which is painted here, and was not before."""
        found = []
        for index, paint in self.planes.items():
            if older.planes.get(index) != paint:
                box = (slice(at, at + side) for at, side in zip(paint.origin, paint.added.shape, strict=True))
                found.append(Location.of_region(tuple(next(box) if at is None else at for at in index)))
        return found


class PaintingMemory:
    """What is painted on the image that is worked on, and on those before it.

    Attributes
    ----------
    now : PaintedPlanes
        On the image that is worked on.
    """

    def __init__(self) -> None:
        self.now = PaintedPlanes()
        self._image: weakref.ref[Image] | None = None
        self._others: weakref.WeakKeyDictionary[Image, PaintedPlanes] = weakref.WeakKeyDictionary()

    def turn_to(self, image: Image | None) -> None:
        """Turn to another image. Unlike prompts in layers, which stay in the world, paint stays with its pixels."""
        before = None if self._image is None else self._image()
        if before is not None:
            self._others[before] = self.now
        self._image = None if image is None else weakref.ref(image)
        self.now = PaintedPlanes() if image is None else self._others.get(image, PaintedPlanes())

    def add(self, view: PlaneIndex, paint: PaintPrompt) -> None:
        """Note what was painted on a plane."""
        self.now = self.now.with_paint(view, paint)
