"""What a shape says: a box, an area, or a scribble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.datasets.outlines import polygons_of
from napari_sam.errors import InputError
from napari_sam.prompts import MOST_AREA, AreaPrompt, BoxPrompt, ScribblePrompt

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PATHS = frozenset({"path", "line"})
_UPRIGHT = 1e-3
"""Data pixels by which corners of a box may miss the axes: rectangles go through transforms of layers."""
_MOST_REMEMBERED = 64


@dataclass(frozen=True, slots=True, eq=False)
class DrawnShape:
    """One shape of a layer.

    Attributes
    ----------
    vertices : numpy.ndarray, shape (M, D), float64
        Data pixels.
    kind : str
        As napari calls it: "rectangle", "ellipse", "polygon", "path" or "line".
    positive : bool
        Its polarity.
    """

    vertices: NDArray[np.float64]
    kind: str
    positive: bool

    @property
    def key(self) -> bytes:
        """What tells it from others."""
        # Exact to the bit: what was dragged by a hair is another one.
        return self.vertices.tobytes() + self.kind.encode() + bytes([self.positive])

    @property
    def is_path(self) -> bool:
        """Whether it is a path, which encloses nothing."""
        return self.kind in _PATHS

    def same_as(self, other: DrawnShape) -> bool:
        """Whether another shape is drawn in the same place and way."""
        return (self.kind, self.positive) == (other.kind, other.positive) and np.array_equal(
            self.vertices, other.vertices
        )


class ShapeReader:
    """Reads shapes as prompts; areas are laid out once, as prompts are read after every event."""

    def __init__(self) -> None:
        self._areas: dict[tuple[bytes, tuple[int, int]], AreaPrompt | BoxPrompt | None] = {}

    def read(self, shape: DrawnShape, plane: tuple[int, int]) -> BoxPrompt | AreaPrompt | ScribblePrompt | None:
        """Read a shape.

        Parameters
        ----------
        shape : DrawnShape
            Vertices, (M, 2), in data pixels of the plane, (y, x).
        plane : (int, int)
            Height and width of the plane.

        Returns
        -------
        BoxPrompt, AreaPrompt, ScribblePrompt or None
            A rectangle with sides along the axes that surrounds the object is a box, as it is drawn in haste around
            something of any form. Other areas count as they are, but for one that is too large to be laid out: that is
            a box, too. None for an area with no pixel of the plane in it.
        """
        vertices = shape.vertices
        if shape.is_path:
            return ScribblePrompt(tuple((float(y), float(x)) for y, x in vertices), shape.positive)
        if shape.kind == "rectangle" and shape.positive and _is_upright(vertices):
            return _box(vertices)
        key = shape.key, plane
        if key not in self._areas:
            while len(self._areas) >= _MOST_REMEMBERED:
                del self._areas[next(iter(self._areas))]  # the oldest
            self._areas[key] = _area(shape, plane)
        return self._areas[key]


def outlines_of(area: AreaPrompt) -> list[NDArray[np.float64]]:
    """Trace an area as polygons, (N, 2) data pixels, (y, x), that enclose its very pixels: one for each part.

    Holes are joined with the outline by a cut of no width, and run against it, so that one polygon has them.
    """
    (top, left), mask = area.origin, area.mask
    boxed = area.on_plane((top + mask.shape[0], left + mask.shape[1]))
    found = []
    for outline, *holes in polygons_of(boxed):
        # There and back again: the first corner of the outline lies between all holes.
        corners = [outline, *(part for hole in holes for part in (hole, outline[:1]))]
        # Centres instead of edges, y before x, and without the last corner, which is the first.
        found.append(np.concatenate(corners)[:-1, ::-1] - 0.5)
    return found


def _area(shape: DrawnShape, plane: tuple[int, int]) -> AreaPrompt | BoxPrompt | None:
    low, high = shape.vertices.min(axis=0), shape.vertices.max(axis=0)
    if shape.positive and np.prod(high - low + 2) > MOST_AREA:
        return _box(shape.vertices)
    make = AreaPrompt.of_ellipse if shape.kind == "ellipse" else AreaPrompt.of_polygon
    try:
        return make(shape.vertices, plane, positive=shape.positive)
    except InputError:  # it lies outside, or encloses no centre of a pixel
        return None


def _box(vertices: NDArray[np.float64]) -> BoxPrompt:
    (top, left), (bottom, right) = vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist()
    return BoxPrompt((top, left), (bottom, right))


def _is_upright(vertices: NDArray[np.float64]) -> bool:
    """Tell whether the sides of a rectangle run along the axes."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return bool((np.minimum(np.abs(vertices - low), np.abs(vertices - high)) <= _UPRIGHT).all())
