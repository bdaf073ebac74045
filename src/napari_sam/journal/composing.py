"""Masks laid over each other in their order, plane by plane, on tiles of which only those that hold any exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.masks import decode_boxed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sam.journal.objects import JournalEntry
    from napari_sam.masks import BoxedMask

TILE = 1024
"""Side of a tile, pixels: a few megabytes."""

Base = Callable[[tuple[int | slice, ...]], "NDArray[Any]"]
"""Reads labels: takes an index of slices, each with a start and a stop, and integers."""


class PlaneCanvas:
    """The labels of one plane, of any size.

    Parameters
    ----------
    axes : (int, int)
        The axes of the plane.
    index : tuple of (int or None)
        For each axis the index of the plane; None for those of `axes`.
    base : callable
        Takes an index of the labels, such as that of a tile, and gives what is there before.
    """

    def __init__(self, axes: tuple[int, int], index: tuple[int | None, ...], base: Base) -> None:
        self.axes = axes
        self.index = index
        self._base = base
        self._tiles: dict[tuple[int, int], NDArray[np.uint32]] = {}
        self._labels: set[int] = set()  # that may be on the tiles

    def paint(self, mask: BoxedMask, label: int) -> None:
        """Let the pixels of a mask carry a label, or none where it is 0."""
        self._labels.add(label)
        for tile, inside, outside in self._overlaps(mask):
            self._need(tile, mask.plane)[inside][mask.mask[outside]] = label

    def load(self, plane: tuple[int, int]) -> None:
        """Read all of the plane, of a height and width, so that `clear` and `carries` know what was there before."""
        for row in range(-(-plane[0] // TILE)):
            for column in range(-(-plane[1] // TILE)):
                self._need((row, column), plane)

    def clear(self, label: int) -> None:
        """Take a label off the plane."""
        # Mostly it is a new one, and thousands of objects need not search for theirs.
        if label in self._labels:
            for pixels in self._tiles.values():
                pixels[pixels == label] = 0

    def carries(self, label: int) -> bool:
        """Tell whether any pixel carries a label."""
        return label in self._labels and any((pixels == label).any() for pixels in self._tiles.values())

    def carries_on(self, mask: BoxedMask, label: int) -> bool:
        """Tell whether any pixel of a mask carries a label."""
        return any(
            tile in self._tiles and bool((self._tiles[tile][inside] == label)[mask.mask[outside]].any())
            for tile, inside, outside in self._overlaps(mask)
        )

    def regions(self) -> Iterator[tuple[tuple[int | slice, ...], NDArray[np.uint32]]]:
        """Go through the tiles: where each lies in the labels, as an index of slices with a start and a stop."""
        for (row, column), pixels in sorted(self._tiles.items()):
            yield self._region((row, column), (pixels.shape[0], pixels.shape[1])), pixels

    def _need(self, tile: tuple[int, int], plane: tuple[int, int]) -> NDArray[np.uint32]:
        """Return a tile of a plane of some height and width, as it is by now."""
        pixels = self._tiles.get(tile)
        if pixels is None:
            height, width = (min(TILE, side - at * TILE) for at, side in zip(tile, plane, strict=True))
            # A copy: what is read may be the labels' own memory.
            pixels = self._tiles[tile] = np.array(self._base(self._region(tile, (height, width))), dtype=np.uint32)
            if pixels.any():
                self._labels.update(np.unique(pixels).tolist())
        return pixels

    def _region(self, tile: tuple[int, int], sides: tuple[int, int]) -> tuple[int | slice, ...]:
        region: list[int | slice] = [0 if at is None else at for at in self.index]
        for axis, at, side in zip(self.axes, tile, sides, strict=True):
            region[axis] = slice(at * TILE, at * TILE + side)
        return tuple(region)

    @staticmethod
    def _overlaps(
        mask: BoxedMask,
    ) -> Iterator[tuple[tuple[int, int], tuple[slice, slice], tuple[slice, slice]]]:
        """Give the tiles that a mask lies on, where on them, and which part of the mask that is."""
        (top, left), (height, width) = mask.origin, mask.mask.shape
        if not height or not width:
            return
        for row in range(top // TILE, (top + height - 1) // TILE + 1):
            for column in range(left // TILE, (left + width - 1) // TILE + 1):
                low = max(top, row * TILE), max(left, column * TILE)
                high = min(top + height, (row + 1) * TILE), min(left + width, (column + 1) * TILE)
                inside = (
                    slice(low[0] - row * TILE, high[0] - row * TILE),
                    slice(low[1] - column * TILE, high[1] - column * TILE),
                )
                yield (row, column), inside, (slice(low[0] - top, high[0] - top), slice(low[1] - left, high[1] - left))


@dataclass(slots=True)
class Composition:
    """Objects of one target as labels.

    Attributes
    ----------
    entries : sequence of JournalEntry
        What was written, oldest first.
    damaged : int
        Entries whose mask could not be read; known at the end of `planes`.
    """

    entries: Sequence[JournalEntry]
    damaged: int = 0
    _crossed: bool = False
    _numbers: dict[int, int] = field(default_factory=dict)

    @property
    def renumbered(self) -> int:
        """Objects that got another number, because theirs was taken: those of a layer that was deleted."""
        return len(self._numbers)

    def planes(self, base: Base) -> Iterator[PlaneCanvas]:
        """Go through the planes that carry anything; each is to be written before the next is asked for.

        A plane may come again, where objects were written on planes across it in between.

        Parameters
        ----------
        base : callable
            Reads the labels as they are by then.
        """
        for axes, run in groupby(self.entries, key=lambda entry: entry.axes):
            group = list(run)
            self._crossed = group[0] is not self.entries[0]
            # Planes side by side do not know of each other: one after the other, they fit into memory.
            if all(entry.exact for entry in group):
                group.sort(key=lambda entry: [-1 if at is None else at for at in entry.index])
                for index, written in groupby(group, key=lambda entry: entry.index):
                    canvas = PlaneCanvas(axes, index, base)
                    for entry in written:
                        self._write(canvas, entry)
                    yield canvas
            else:
                yield from self._guess(group, base)

    def _guess(self, group: Sequence[JournalEntry], base: Base) -> Iterator[PlaneCanvas]:
        """Go through all entries before any plane, because numbers that were given on one plane hold on the others."""
        canvases: dict[tuple[int | None, ...], PlaneCanvas] = {}
        # Beyond all numbers of the journal: what is new here is free on every plane.
        top = max(entry.label for entry in self.entries) + len(self._numbers)
        for entry in group:
            if entry.index not in canvases:
                canvases[entry.index] = PlaneCanvas(entry.axes, entry.index, base)
            canvas = canvases[entry.index]
            if entry.exact:
                self._write(canvas, entry)
                continue
            try:
                mask = decode_boxed(entry.mask)
            except InputError:
                self.damaged += 1
                continue
            if self._crossed:
                canvas.load(mask.plane)
            label = self._numbers.get(entry.label, entry.label)
            # What has the number lies elsewhere on the plane, so that it is another object.
            if mask.area and canvas.carries(label) and not canvas.carries_on(mask, label):
                top += 1
                label = self._numbers[entry.label] = top
            else:
                canvas.clear(label)  # a correction, or the object was taken off
            canvas.paint(mask, label)
        yield from canvases.values()

    def _write(self, canvas: PlaneCanvas, entry: JournalEntry) -> None:
        """Do what an entry says, pixel by pixel."""
        try:
            if entry.changes is None:
                mask = decode_boxed(entry.mask)
                # Objects on planes across this one may be there already.
                if self._crossed:
                    canvas.load(mask.plane)
                # What the plane carries of it now is this.
                canvas.clear(entry.label)
                canvas.paint(mask, entry.label)
            for label, encoded in entry.changes or ():
                canvas.paint(decode_boxed(encoded), label)
        except InputError:
            self.damaged += 1


def compose(entries: Sequence[JournalEntry]) -> Composition:
    """Lay the objects of one target over each other, in their order; `Composition.planes` does it."""
    return Composition(entries)
