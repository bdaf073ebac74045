"""What is drawn by hand: paths along an object, and areas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask, deepest_pixel
from napari_sam.polygons import inside_wound
from napari_sam.prompts.kinds import BoxPrompt, position_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SCRIBBLE_POINTS = 8
"""Points along a scribble that a model is told: the bundled one gains with more, but SAM was trained with eleven."""

MOST_AREA = 1 << 28
"""Pixels of the box around an area at most: its mask takes a byte for each."""


@dataclass(frozen=True, slots=True)
class ScribblePrompt:
    """A path drawn freely along an object, or along what does not belong to it.

    It means one object, however long it is. Models know points only: see `sampled`.

    Parameters
    ----------
    path : sequence of (float, float)
        Its vertices in the order of drawing, data pixels, (y, x); at least one.
    positive : bool
        True: what lies under the path belongs to the object. False: it does not.
    """

    path: tuple[tuple[float, float], ...]
    positive: bool = True

    def __post_init__(self) -> None:
        vertices = tuple(position_of(vertex, "A vertex of a scribble") for vertex in self.path)
        if not vertices:
            raise InputError("A scribble has no vertex. Draw it along the object.")
        # Frozen: what was checked takes its place here, once.
        object.__setattr__(self, "path", vertices)
        object.__setattr__(self, "positive", bool(self.positive))

    @property
    def vertices(self) -> NDArray[np.float64]:
        """The path as an array, (N, 2) float64, data pixels, (y, x)."""
        return np.array(self.path, dtype=np.float64)

    def sampled(self, count: int = SCRIBBLE_POINTS) -> NDArray[np.float64]:
        """Place points along the path, equally far apart, and half as far from its ends.

        Parameters
        ----------
        count : int
            At least 1.

        Returns
        -------
        numpy.ndarray, shape (count, 2), float64
            Data pixels, (y, x); one point where the path has no length.
        """
        vertices = self.vertices
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(vertices, axis=0), axis=1))])
        # Away from the ends: there a hand most often slips over the border of the object.
        at = (np.arange(count) + 0.5) / count * along[-1] if along[-1] > 0 else np.zeros(1)
        return np.stack([np.interp(at, along, vertices[:, axis]) for axis in (0, 1)], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class AreaPrompt:
    """An area that was drawn, or an object that is there: a lasso, a polygon, an ellipse, a label.

    A model that takes masks gets its area, any other its box.

    Parameters
    ----------
    origin : (int, int)
        Upper left pixel of `mask` on the plane, data pixels, (y, x).
    mask : array_like, shape (h, w), bool
        The area, not empty. Copied, cut to its bounding box, and made read-only.
    positive : bool
        True: about this is the object. False: this does not belong to it, and is taken off every answer.
    """

    origin: tuple[int, int]
    mask: NDArray[np.bool_]
    positive: bool = True

    def __post_init__(self) -> None:
        y, x = position_of(self.origin, "The corner of an area")
        array = np.asarray(self.mask)
        if array.ndim != 2 or array.dtype != bool or not y.is_integer() or not x.is_integer():
            raise InputError(
                "An area prompt is a whole (y, x) and a (h, w) array of bool; "
                f"got {self.origin!r} and {array.dtype} of shape {array.shape}."
            )
        if array.size > MOST_AREA:
            raise InputError(f"An area has {MOST_AREA} pixels at most; here are {array.size}. Draw a box instead.")
        cut = BoxedMask.of(array)
        if not cut.mask.size:
            raise InputError("The area is empty. Draw it around the object.")
        cut.mask.flags.writeable = False
        object.__setattr__(self, "origin", (int(y) + cut.origin[0], int(x) + cut.origin[1]))
        object.__setattr__(self, "mask", cut.mask)
        object.__setattr__(self, "positive", bool(self.positive))

    @classmethod
    def of(cls, mask: ArrayLike, *, positive: bool = True) -> Self:
        """Make a prompt of a mask of the whole plane, (H, W) bool."""
        return cls((0, 0), np.asarray(mask), positive)

    @classmethod
    def of_polygon(cls, vertices: ArrayLike, plane: tuple[int, int], *, positive: bool = True) -> Self:
        """Make a prompt of a polygon: the pixels whose centres it goes around.

        Where its line crosses itself, as that of a hasty lasso does, nothing falls out of it: all that it goes around
        counts (nonzero winding), unless it goes around it once each way.

        Parameters
        ----------
        vertices : array_like, shape (N, 2)
            Data pixels, (y, x), pixel-centred; the last is joined to the first.
        plane : (int, int)
            Height and width of the plane; what lies outside is cut off.
        positive : bool
            See `AreaPrompt`.

        Raises
        ------
        InputError
            If it encloses no pixel of the plane, or too many.
        """
        corners = np.asarray(vertices, dtype=np.float64)
        if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
            raise InputError("A polygon has at least three vertices, (y, x), of finite numbers.")
        low = np.clip(np.floor(corners.min(axis=0) + 0.5), 0, plane).astype(np.int64)
        high = np.clip(np.ceil(corners.max(axis=0) + 0.5), 0, plane).astype(np.int64)
        if (size := high - low).min() < 1:
            raise InputError("The polygon encloses no pixel of the image. Draw it around the object.")
        if size.prod() > MOST_AREA:
            raise InputError(f"An area has {MOST_AREA} pixels at most; here are {size.prod()}. Draw a box instead.")
        # Edges instead of centres, and x before y.
        mask = inside_wound([corners[:, ::-1] + 0.5], low, size)
        return cls((int(low[0]), int(low[1])), mask, positive)

    @classmethod
    def of_ellipse(cls, corners: ArrayLike, plane: tuple[int, int], *, positive: bool = True) -> Self:
        """Make a prompt of the ellipse in a rectangle, which may be rotated or sheared.

        Parameters
        ----------
        corners : array_like, shape (4, 2)
            Of the rectangle, one after the other, data pixels, (y, x).
        plane, positive
            See `of_polygon`.

        Raises
        ------
        InputError
            As `of_polygon`.
        """
        first, second, third, fourth = np.asarray(corners, dtype=np.float64)
        half, other = (second - first) / 2, (fourth - first) / 2
        # So many that the chords stay within a twentieth of a pixel of the arcs.
        radius = max(1.0, *(float(np.linalg.norm(axis)) for axis in (half, other)))
        angles = np.linspace(0, 2 * np.pi, max(16, int(np.pi * np.sqrt(10 * radius))), endpoint=False)
        outline = (first + third) / 2 + np.cos(angles)[:, None] * half + np.sin(angles)[:, None] * other
        return cls.of_polygon(outline, plane, positive=positive)

    @property
    def deepest(self) -> tuple[float, float]:
        """The pixel of the area that is farthest from its border, data pixels, (y, x)."""
        y, x = deepest_pixel(self.mask, closed=True)
        return float(self.origin[0] + y), float(self.origin[1] + x)

    @property
    def box(self) -> BoxPrompt:
        """The box along the outer edges of the area."""
        (top, left), (height, width) = self.origin, self.mask.shape
        # Half a pixel out: corners of boxes are positions, and positions are centres of pixels.
        return BoxPrompt((top - 0.5, left - 0.5), (top + height - 0.5, left + width - 0.5))

    def on_plane(self, plane: tuple[int, int]) -> BoxedMask:
        """Return the area as a mask of a plane of (H, W) pixels, as far as it lies there."""
        inside = [
            slice(max(0, -first), max(0, min(size, side - first)))
            for first, size, side in zip(self.origin, self.mask.shape, plane, strict=True)
        ]
        top, left = (first + part.start for first, part in zip(self.origin, inside, strict=True))
        return BoxedMask((top, left), self.mask[tuple(inside)], plane)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, AreaPrompt)
            and (self.origin, self.positive) == (other.origin, other.positive)
            and np.array_equal(self.mask, other.mask)
        )

    def __hash__(self) -> int:
        return hash((self.origin, self.positive, self.mask.shape, np.packbits(self.mask).tobytes()))
