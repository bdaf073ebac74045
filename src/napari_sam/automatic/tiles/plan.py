"""Tiles of a plane: crops of one size that cover it and overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from napari_sam.errors import InputError
from napari_sam.planes import Crop


@dataclass(frozen=True, slots=True)
class Tile:
    """One of the tiles of a plane.

    Attributes
    ----------
    number : int
        Its place among all tiles, row by row, from 0.
    row, column : int
        Its place in the grid of tiles.
    crop : Crop
        What is looked at.
    """

    number: int
    row: int
    column: int
    crop: Crop


@dataclass(frozen=True)
class TilePlan:
    """How a plane is divided into tiles.

    All tiles have one size, those at the far edges too, so that a model sees pictures of one size; they share the
    plane evenly among them. Neighbours have at least two halos in common: what is no larger than that is whole in one
    of them at least.

    Attributes
    ----------
    plane : (int, int)
        Height and width of the plane, data pixels.
    side : int
        Side of a tile, data pixels; a plane that is smaller is one tile along that axis.
    halo : int
        Margin of a tile that its neighbour has a margin of as well, data pixels.
    steps : (float, float)
        Data pixels that a pixel of the picture covers, along y and x; below 1, the picture is enlarged.

    Raises
    ------
    InputError
        If two halos leave nothing of a tile.
    """

    plane: tuple[int, int]
    side: int
    halo: int
    steps: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if not 0 <= 2 * self.halo < self.side:
            raise InputError(
                f"Tiles of {self.side} pixels cannot overlap by twice {self.halo} pixels. Choose larger tiles, or a "
                "smaller overlap."
            )
        if not all(math.isfinite(step) and step > 0 for step in self.steps):
            raise InputError(f"A step is a positive number of pixels; got {self.steps!r}.")

    @cached_property
    def starts(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Where tiles start, data pixels: the first row of each row of tiles, the first column of each column."""
        rows, columns = (self._along(size) for size in self.plane)
        return rows, columns

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """All tiles, row by row."""
        rows, columns = self.starts
        shape = min(self.side, self.plane[0]), min(self.side, self.plane[1])
        return tuple(
            Tile(row * len(columns) + column, row, column, Crop((top, left), shape, self.steps))
            for row, top in enumerate(rows)
            for column, left in enumerate(columns)
        )

    def neighbours(self, tile: Tile) -> list[Tile]:
        """Return the tiles that have pixels in common with a tile, but for itself, in the order of their numbers."""
        near = [
            [place for place, start in enumerate(starts) if abs(start - own) < self.side]
            for starts, own in zip(self.starts, tile.crop.start, strict=True)
        ]
        width = len(self.starts[1])
        return [
            self.tiles[row * width + column]
            for row in near[0]
            for column in near[1]
            if (row, column) != (tile.row, tile.column)
        ]

    def _along(self, size: int) -> tuple[int, ...]:
        """Lay tiles evenly along an axis."""
        room = max(0, size - self.side)
        count = 1 + math.ceil(room / (self.side - 2 * self.halo))
        # Rounded down: two starts then are never farther apart than a tile without its halos.
        return tuple(int(at) for at in np.arange(count) * room // max(1, count - 1))
