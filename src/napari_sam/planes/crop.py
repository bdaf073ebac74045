"""A rectangle of a plane, how finely it is read, and how prompts and masks get into it and out again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.masks import BoxedMask, bounding_box
from napari_sam.prompts import (
    AreaPrompt,
    BoxPrompt,
    MaskPrompt,
    PaintPrompt,
    PointPrompt,
    PromptSet,
    ScribblePrompt,
    TextPrompt,
    is_on_plane,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_sam.prompts import Prompt

_EDGE = 2
"""Picture pixels: a mask this near to an edge of its crop is cut off there; models pull back a little from edges."""
_BAND = 256
"""Rows of a mask that are brought to data pixels at a time."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle of a plane, and how finely it is read.

    Its pixels as they are read are called the picture. A pixel of the picture covers `steps` data pixels.

    Attributes
    ----------
    start : (float, float)
        Upper left corner, as the number of data pixels above it and left of it; whole, except in pyramids whose levels
        do not divide each other.
    shape : (int, int)
        Height and width, in data pixels.
    steps : (float, float)
        Data pixels that one pixel of the picture covers, along y and x.
    """

    start: tuple[float, float]
    shape: tuple[int, int]
    steps: tuple[float, float] = (1.0, 1.0)

    @property
    def stop(self) -> tuple[float, float]:
        """Lower right corner: the first data pixels that do not belong to the crop."""
        return self.start[0] + self.shape[0], self.start[1] + self.shape[1]

    @property
    def picture(self) -> tuple[int, int]:
        """Height and width of the picture, in its own pixels; the last ones may cover less than a step."""
        # A hair less: a side that is whole but for rounding must not get a pixel of nothing.
        rows, columns = (math.ceil(side / step - 1e-9) for side, step in zip(self.shape, self.steps, strict=True))
        return rows, columns

    def is_whole(self, plane: tuple[int, int]) -> bool:
        """Whether the crop is all of a plane, pixel by pixel."""
        return self.start == (0, 0) and self.shape == plane and self.steps == (1, 1)

    def covers(self, plane: tuple[int, int]) -> bool:
        """Whether nothing of a plane lies outside the crop."""
        return self.start == (0, 0) and self.shape == plane

    def holds(self, low: ArrayLike, high: ArrayLike, plane: tuple[int, int]) -> bool:
        """Whether a rectangle lies in the crop, as far as it lies on the plane; pixel-centred data pixels."""
        # Edges, not centres: the outermost pixels reach half a pixel farther.
        first, last = np.array(self.start) - 0.5, np.array(self.stop) - 0.5
        inside = np.clip([low, high], -0.5, np.array(plane) - 0.5)
        return bool((inside[0] >= first).all() and (inside[1] <= last).all())

    def to_picture(self, positions: ArrayLike) -> NDArray[np.float64]:
        """Convert data pixels of the plane, (..., 2), (y, x), to pixels of the picture; both are pixel-centred."""
        moved = np.asarray(positions, dtype=np.float64) - self.start
        # Exact where nothing is scaled: a click must not move by a rounding error.
        return np.asarray(moved if self.steps == (1, 1) else (moved + 0.5) / self.steps - 0.5)

    def to_plane(self, positions: ArrayLike) -> NDArray[np.float64]:
        """Convert pixels of the picture to data pixels of the plane: the inverse of `to_picture`."""
        at = np.asarray(positions, dtype=np.float64)
        return np.asarray((at if self.steps == (1, 1) else (at + 0.5) * self.steps - 0.5) + self.start)

    def prompts(self, prompts: PromptSet) -> PromptSet:
        """Bring prompts from data pixels of the plane to pixels of the picture.

        What lies outside the crop is left out: it is background far away. Mask prompts have no place in data pixels,
        but on the canvas of one picture, and words have no place at all: both pass.
        """
        moved: list[Prompt] = []
        for prompt in prompts:
            match prompt:
                case PointPrompt(position=position, positive=positive):
                    y, x = self.to_picture(position)
                    if is_on_plane((y, x), self.picture):
                        moved.append(PointPrompt((y, x), positive))
                case ScribblePrompt(positive=positive):
                    path = tuple((float(y), float(x)) for y, x in self.to_picture(prompt.vertices))
                    if any(is_on_plane(vertex, self.picture) for vertex in path):
                        moved.append(ScribblePrompt(path, positive))
                case AreaPrompt():
                    moved += self._area(prompt)
                case PaintPrompt():
                    moved += self._paint(prompt)
                case BoxPrompt(start=start, stop=stop):
                    one, two = self.to_picture([start, stop])
                    moved.append(BoxPrompt((one[0], one[1]), (two[0], two[1])))
                case MaskPrompt() | TextPrompt():
                    moved.append(prompt)
        return PromptSet(tuple(moved))

    def _area(self, area: AreaPrompt) -> list[AreaPrompt]:
        """Bring an area to the picture; nothing where it lies outside."""
        # Beyond the plane there may be any part of an area; `on_picture` takes what lies within the picture.
        found = self.on_picture(BoxedMask(area.origin, area.mask, area.mask.shape))
        if found.any():
            return [AreaPrompt((0, 0), found, area.positive)]
        # Smaller than a pixel of a coarse picture: the pixel that holds it.
        y, x = np.rint(self.to_picture(np.mean([area.box.start, area.box.stop], axis=0))).astype(int).tolist()
        if not is_on_plane((y, x), self.picture):
            return []
        return [AreaPrompt((y, x), np.ones((1, 1), dtype=bool), area.positive)]

    def _paint(self, paint: PaintPrompt) -> list[PaintPrompt]:
        """Bring what is painted to the picture; nothing where it lies outside, or between its pixels."""
        added, erased = (
            self.on_picture(BoxedMask(paint.origin, mask, mask.shape)) for mask in (paint.added, paint.erased)
        )
        return [PaintPrompt((0, 0), added, erased)] if added.any() or erased.any() else []

    def cut_sides(self, mask: NDArray[np.bool_], plane: tuple[int, int]) -> tuple[bool, bool, bool, bool]:
        """Tell at which sides, (top, left, bottom, right), a mask on the picture goes on beyond the crop."""
        inner = (self.start[0] > 0, self.start[1] > 0, self.stop[0] < plane[0], self.stop[1] < plane[1])
        strips = (mask[:_EDGE], mask[:, :_EDGE], mask[-_EDGE:], mask[:, -_EDGE:])
        top, left, bottom, right = (within and bool(strip.any()) for within, strip in zip(inner, strips, strict=True))
        return top, left, bottom, right

    def on_plane(self, mask: NDArray[np.bool_], plane: tuple[int, int]) -> tuple[tuple[int, int], NDArray[np.bool_]]:
        """Bring a mask from the picture to the plane.

        Parameters
        ----------
        mask : numpy.ndarray, shape (h, w), bool
            On the picture.
        plane : (int, int)
            Height and width of the plane.

        Returns
        -------
        origin : (int, int)
            Upper left data pixel of the mask.
        mask : numpy.ndarray, shape (h, w), bool
            Cut to its bounding box; (0, 0) when empty. Where a pixel of the picture covers several, the border runs
            where linear interpolation between the picture's pixels crosses one half.
        """
        box = bounding_box(mask)
        if box is None:
            return (0, 0), np.zeros((0, 0), dtype=bool)
        (top, left), (bottom, right) = box
        if self.steps == (1, 1):
            # A copy: with a view, the whole picture would stay in memory.
            origin = int(self.start[0]) + top, int(self.start[1]) + left
            return origin, np.array(mask[top:bottom, left:right], dtype=bool)
        # A pixel more on every side: interpolation carries the border out there.
        low = np.maximum(np.floor(self.to_plane((top - 1, left - 1))), 0).astype(int)
        high = np.minimum(np.ceil(self.to_plane((bottom, right))) + 1, plane).astype(int)
        found = np.zeros(tuple(high - low), dtype=bool)
        columns, across = _neighbours(np.arange(low[1], high[1]), self.start[1], self.steps[1], mask.shape[1])
        values = mask.astype(np.float32)
        # In bands, or weights and values of a mask over a huge plane would take many times its memory.
        for first in range(0, len(found), _BAND):
            band = found[first : first + _BAND]
            at = np.arange(low[0] + first, low[0] + first + len(band))
            rows, down = _neighbours(at, self.start[0], self.steps[0], mask.shape[0])
            # The last row has no row after it, and is its own neighbour.
            lines = values[rows] * (1 - down[:, None]) + values[rows + 1 - (rows + 1 == len(values))] * down[:, None]
            following = columns + 1 - (columns + 1 == mask.shape[1])
            band[...] = lines[:, columns] * (1 - across) + lines[:, following] * across > 0.5
        trimmed = bounding_box(found)
        if trimmed is None:
            return (0, 0), np.zeros((0, 0), dtype=bool)
        (top, left), (bottom, right) = trimmed
        return (int(low[0]) + top, int(low[1]) + left), np.array(found[top:bottom, left:right])

    def boxed(self, mask: NDArray[np.bool_], plane: tuple[int, int]) -> BoxedMask:
        """Bring a mask from the picture to the plane, as `on_plane` does."""
        return BoxedMask(*self.on_plane(mask, plane), plane)

    def on_picture(self, boxed: BoxedMask) -> NDArray[np.bool_]:
        """Bring a mask from the plane to the picture, as far as it lies there: the inverse of `on_plane`.

        Returns
        -------
        numpy.ndarray, shape `picture`, bool
            A pixel belongs to the mask where the data pixel at its centre does.
        """
        inside, taken = [], []
        for axis, (count, first, size) in enumerate(zip(self.picture, boxed.origin, boxed.mask.shape, strict=True)):
            at = np.arange(count)
            centres = np.rint(self.to_plane(np.stack([at, at], axis=1))[:, axis]).astype(int) - first
            within = (centres >= 0) & (centres < size)
            inside.append(at[within])
            taken.append(centres[within])
        found = np.zeros(self.picture, dtype=bool)
        found[np.ix_(*inside)] = boxed.mask[np.ix_(*taken)]
        return found


def _neighbours(
    at: NDArray[np.int_], start: float, step: float, count: int
) -> tuple[NDArray[np.int_], NDArray[np.float32]]:
    """Find the picture's pixel before each data pixel along one axis, and the weight of the one after it."""
    places = np.clip((at - start + 0.5) / step - 0.5, 0, count - 1)
    before = np.floor(places).astype(int)
    return before, (places - before).astype(np.float32)
