"""The part of a plane that the preview covers: all of a normal plane, the surroundings of the mask on a huge one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.masks import bounding_box
from napari_sam.prompts import PaintPrompt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.inference.request import Candidate

_WHOLE = 2**21
"""Planes of up to this many pixels are covered as a whole: napari draws 1448 x 1448 pixels in some 50 ms."""
_SIDE = 2**11
"""The longest side of an area on a larger plane, in its own pixels: no screen shows more of it at a time."""
_GRID = 256
"""What areas are snapped to, so that masks of about one place share one of them."""
_MARGIN = 32
"""Data pixels around a mask, so that its contour is closed and the next mask may be a little larger."""


@dataclass(frozen=True, slots=True)
class PreviewArea:
    """A rectangle of a plane, in pixels as large as those of the plane or several times larger.

    Attributes
    ----------
    start : (int, int)
        Its upper left pixel on the plane, data pixels, (y, x).
    shape : (int, int)
        Height and width, in its own pixels.
    step : int
        Data pixels that one of its pixels is high and wide.
    """

    start: tuple[int, int]
    shape: tuple[int, int]
    step: int = 1

    @classmethod
    def for_plane(cls, plane: tuple[int, int]) -> PreviewArea:
        """Return the area to begin with on a plane of a shape: all of it, or a corner of a huge one."""
        if plane[0] * plane[1] <= _WHOLE:
            return cls((0, 0), plane)
        return cls((0, 0), (min(plane[0], _GRID), min(plane[1], _GRID)))

    def for_mask(self, candidate: Candidate, plane: tuple[int, int]) -> PreviewArea:
        """Return an area of a plane that covers a mask: this one where it will do."""
        if self.shape == plane or not candidate.area:  # an empty mask lies anywhere
            return self
        low, high = np.array(candidate.origin), np.add(candidate.origin, candidate.mask.shape)
        low = np.maximum((low - _MARGIN) // _GRID * _GRID, 0)
        high = np.minimum(-(-(high + _MARGIN) // _GRID) * _GRID, plane)
        step = max(1, -(-int((high - low).max()) // _SIDE))
        end = np.add(self.start, np.multiply(self.shape, self.step))
        # Another area is drawn as a whole, in this one only the pixels that change.
        if step == self.step and (low >= self.start).all() and (high <= end).all():
            return self
        height, width = -(-(high - low) // step)
        return PreviewArea((int(low[0]), int(low[1])), (int(height), int(width)), step)

    def place_mask(self, candidate: Candidate) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
        """Tell which pixels of the area a mask lies on, and give its own for each of them, the middle one of many."""
        inside, cut = [], []
        for first, size, start, most in zip(
            candidate.origin, candidate.mask.shape, self.start, self.shape, strict=True
        ):
            middle = start + self.step // 2
            begin = max(0, -((middle - first) // self.step))
            end = max(begin, min(most, -((middle - first - size) // self.step)))
            inside.append(slice(begin, end))
            at = middle + begin * self.step - first
            cut.append(slice(at, at + (end - begin) * self.step, self.step))
        return (inside[0], inside[1]), candidate.mask[cut[0], cut[1]]

    def for_strokes(
        self, candidate: Candidate | None, seen: tuple[NDArray[np.float64], NDArray[np.float64]], plane: tuple[int, int]
    ) -> PreviewArea:
        """Return an area of a plane to paint on, with a mask and all that is on the screen: this one where it will do.

        Parameters
        ----------
        candidate : Candidate or None
            The mask that is shown.
        seen : (array, array)
            Corners of what is on the screen, data pixels, (y, x).
        plane : (int, int)
            Height and width of the plane.
        """
        if self.shape == plane:
            return self
        corners = [np.clip(np.floor(seen[0]), 0, plane), np.clip(np.ceil(seen[1]) + 1, 0, plane)]
        if candidate is not None and candidate.area:
            corners += [np.array(candidate.origin), np.add(candidate.origin, candidate.mask.shape)]
        low, high = np.min(corners, axis=0).astype(int), np.max(corners, axis=0).astype(int)
        end = np.add(self.start, np.multiply(self.shape, self.step))
        # One that is much coarser than what is seen now would paint in blocks.
        fine = self.step <= max(1, -(-2 * int((high - low).max()) // _SIDE))
        if fine and (low >= self.start).all() and (np.minimum(high, plane) <= end).all():
            return self
        low = low // _GRID * _GRID
        high = np.minimum(-(-high // _GRID) * _GRID, plane)
        step = max(1, -(-int((high - low).max()) // _SIDE))
        height, width = -(-(high - low) // step)
        return PreviewArea((int(low[0]), int(low[1])), (int(height), int(width)), step)

    def covers(self, candidate: Candidate) -> bool:
        """Tell whether a mask lies in the area."""
        end = np.add(self.start, np.multiply(self.shape, self.step))
        last = np.add(candidate.origin, candidate.mask.shape)
        return bool((np.array(candidate.origin) >= self.start).all() and (last <= end).all())

    def paint_of(
        self, added: NDArray[np.bool_], erased: NDArray[np.bool_], plane: tuple[int, int]
    ) -> PaintPrompt | None:
        """Say in data pixels of a plane what was painted and erased in pixels of the area; None for nothing."""
        box = bounding_box(added | erased)
        if box is None:
            return None
        (top, left), (bottom, right) = box
        origin = self.start[0] + top * self.step, self.start[1] + left * self.step
        # The last pixels of a coarse area may reach beyond the plane.
        room = tuple(slice(side - first) for first, side in zip(origin, plane, strict=True))
        masks = [
            mask[top:bottom, left:right].repeat(self.step, axis=0).repeat(self.step, axis=1)[room]
            for mask in (added, erased)
        ]
        return PaintPrompt(origin, masks[0], masks[1])

    def contour_width(self, plane: tuple[int, int]) -> int:
        """Return the width of a contour in pixels of the area: visible when all of the area is on screen."""
        if self.shape == plane:
            return 1 if max(plane) <= 512 else 2
        # napari's time grows with the square of the width.
        return max(2, round(max(self.shape) / 512))
