"""What a person paints on a mask, and erases of it: pixels that are the object, or not, whatever a model says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask, bounding_box, deepest_pixel
from napari_sam.prompts.drawn import MOST_AREA
from napari_sam.prompts.kinds import BoxPrompt, position_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class PaintPrompt:
    """Pixels that were painted on a mask with a brush, and pixels that were erased of it.

    No model gets it: it is laid over each answer in the end, so that what is painted is always in, and what is erased
    never. With further prompts, the model goes on from the answer as it was painted.

    Parameters
    ----------
    origin : (int, int)
        Upper left pixel of both masks on the plane, data pixels, (y, x).
    added, erased : numpy.ndarray, shape (h, w), bool
        What belongs to the object, and what does not; no pixel is in both, and some pixel in one. Copied, cut to their
        common bounding box, and made read-only.

    Raises
    ------
    InputError
        If the masks are something else.
    """

    origin: tuple[int, int]
    added: NDArray[np.bool_]
    erased: NDArray[np.bool_]

    def __post_init__(self) -> None:
        y, x = position_of(self.origin, "The corner of what is painted")
        added, erased = np.asarray(self.added), np.asarray(self.erased)
        whole = y.is_integer() and x.is_integer()
        if added.ndim != 2 or added.shape != erased.shape or not added.dtype == erased.dtype == bool or not whole:
            raise InputError(
                "What is painted is a whole (y, x) and two (h, w) arrays of bool of one shape; got "
                f"{self.origin!r}, {added.dtype} of shape {added.shape} and {erased.dtype} of shape {erased.shape}."
            )
        if added.size > MOST_AREA:
            raise InputError(f"What is painted lies within {MOST_AREA} pixels at most; here are {added.size}.")
        if (added & erased).any():
            raise InputError("A pixel is painted or erased, not both.")
        if (box := bounding_box(added | erased)) is None:
            raise InputError("Nothing is painted, and nothing is erased.")
        (top, left), (bottom, right) = box
        # Frozen: what was checked takes its place here, once. Copies, which nobody can change.
        object.__setattr__(self, "origin", (int(y) + top, int(x) + left))
        for name, mask in (("added", added), ("erased", erased)):
            cut = np.array(mask[top:bottom, left:right])
            cut.flags.writeable = False
            object.__setattr__(self, name, cut)

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return self.added.nbytes + self.erased.nbytes

    @property
    def adds(self) -> bool:
        """Whether anything is painted, rather than erased."""
        return bool(self.added.any())

    def box(self, *, positive: bool = False) -> BoxPrompt:
        """Return the box along the outer edges of what is painted and erased, or of what is painted alone."""
        bounds = bounding_box(self.added) if positive else ((0, 0), self.added.shape)
        (top, left), (bottom, right) = bounds or ((0, 0), (0, 0))
        first, second = self.origin
        # Half a pixel out: corners of boxes are positions, and positions are centres of pixels.
        return BoxPrompt((first + top - 0.5, second + left - 0.5), (first + bottom - 0.5, second + right - 0.5))

    def deepest(self, *, positive: bool) -> tuple[float, float] | None:
        """Return the painted, or the erased, pixel that is farthest from others, (y, x); None where there is none."""
        mask = self.added if positive else self.erased
        if not mask.any():
            return None
        y, x = deepest_pixel(mask, closed=True)
        return float(self.origin[0] + y), float(self.origin[1] + x)

    def then(self, later: PaintPrompt) -> PaintPrompt:
        """Return this with what was painted and erased after it."""
        corners = [(one.origin, np.add(one.origin, one.added.shape)) for one in (self, later)]
        low = np.min([first for first, _last in corners], axis=0)
        high = np.max([last for _first, last in corners], axis=0)
        shape = int(high[0] - low[0]), int(high[1] - low[1])
        added, erased = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        for one in (self, later):
            box = tuple(slice(at, at + side) for at, side in zip(one.origin - low, one.added.shape, strict=True))
            # The later stroke goes over the earlier one.
            added[box] = added[box] & ~one.erased | one.added
            erased[box] = erased[box] & ~one.added | one.erased
        return PaintPrompt((int(low[0]), int(low[1])), added, erased)

    def on_plane(self, plane: tuple[int, int]) -> tuple[BoxedMask, BoxedMask]:
        """Return what is painted and what is erased as masks of a plane of (H, W) pixels, as far as they lie there."""
        inside = [
            slice(min(size, max(0, -first)), max(0, min(size, side - first)))
            for first, size, side in zip(self.origin, self.added.shape, plane, strict=True)
        ]
        top, left = (
            max(0, min(first + part.start, side)) for first, part, side in zip(self.origin, inside, plane, strict=True)
        )
        added, erased = (BoxedMask((top, left), mask[tuple(inside)], plane) for mask in (self.added, self.erased))
        return added, erased

    def over(self, mask: BoxedMask) -> BoxedMask:
        """Lay it over a mask: what is painted is in, what is erased is not, and nothing else changes."""
        added, erased = self.on_plane(mask.plane)
        boxes = [boxed for boxed in (mask, added) if boxed.mask.any()]
        if not boxes:
            return BoxedMask((0, 0), np.zeros((0, 0), dtype=bool), mask.plane)
        low = np.min([boxed.origin for boxed in boxes], axis=0)
        high = np.max([np.add(boxed.origin, boxed.mask.shape) for boxed in boxes], axis=0)
        laid = np.zeros(tuple(high - low), dtype=bool)
        _part(laid, low, mask)[...] |= _cut(mask, low, high)
        _part(laid, low, added)[...] |= _cut(added, low, high)
        _part(laid, low, erased)[...] &= ~_cut(erased, low, high)
        cut = BoxedMask.of(laid)
        if not cut.mask.size:
            return BoxedMask((0, 0), cut.mask, mask.plane)
        return BoxedMask((int(low[0]) + cut.origin[0], int(low[1]) + cut.origin[1]), cut.mask, mask.plane)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, PaintPrompt)
            and self.origin == other.origin
            and np.array_equal(self.added, other.added)
            and np.array_equal(self.erased, other.erased)
        )

    def __hash__(self) -> int:
        return hash(
            (self.origin, self.added.shape, np.packbits(self.added).tobytes(), np.packbits(self.erased).tobytes())
        )


def _part(laid: NDArray[np.bool_], low: NDArray[np.int64], boxed: BoxedMask) -> NDArray[np.bool_]:
    """Return the part of an array, which begins at a pixel of the plane, that the box of a mask covers: a view."""
    first = np.clip(np.subtract(boxed.origin, low), 0, laid.shape)
    last = np.clip(np.subtract(boxed.origin, low) + boxed.mask.shape, 0, laid.shape)
    return laid[first[0] : last[0], first[1] : last[1]]


def _cut(boxed: BoxedMask, low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the part of a mask that lies between two pixels of the plane."""
    first = np.clip(low - boxed.origin, 0, boxed.mask.shape)
    last = np.clip(high - boxed.origin, 0, boxed.mask.shape)
    return boxed.mask[first[0] : last[0], first[1] : last[1]]
