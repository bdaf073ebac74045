"""What is drawn in the prompt layers, as values: taken for the history, drawn again by undo and redo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.session.prompts.style import dress_points, read_polarity

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from napari.layers import Points, Shapes
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class DrawnPoints:
    """All points of a layer, on all planes.

    Attributes
    ----------
    positions : numpy.ndarray, shape (N, D), float64
        Data pixels of the layer.
    positive : numpy.ndarray, shape (N,), bool
        Polarity of each.
    features : pandas.DataFrame, N rows
        The layer's whole table, for the columns that the person added.
    """

    positions: NDArray[np.float64]
    positive: NDArray[np.bool_]
    features: pd.DataFrame

    @classmethod
    def of(cls, layer: Points) -> DrawnPoints:
        """Copy what a layer holds."""
        return cls(np.array(layer.data, dtype=np.float64), read_polarity(layer), layer.features.copy())

    @property
    def nbytes(self) -> int:
        """Bytes that are held; of texts in the person's own columns, only the references."""
        return self.positions.nbytes + self.positive.nbytes + int(self.features.memory_usage().sum())

    def same(self, other: DrawnPoints | None) -> bool:
        """Whether the same points with the same polarity are drawn; no layer counts as an empty one."""
        if other is None:
            return not len(self.positions)
        return np.array_equal(self.positions, other.positions, equal_nan=True) and np.array_equal(
            self.positive, other.positive
        )

    def moved(self, move: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> DrawnPoints:
        """Return this with the positions put through `move`, which takes and gives (..., D) data pixels."""
        return DrawnPoints(move(self.positions), self.positive, self.features)

    def draw(self, layer: Points) -> None:
        """Put this into a layer, in place of what is there."""
        # A selection would outlive its points, and napari then fails at the next change of the current values.
        layer.selected_data = set()
        layer.data = self.positions
        layer.features = self.features.copy()
        dress_points(layer)


@dataclass(frozen=True, eq=False)
class DrawnShapes:
    """All shapes of a layer, on all planes.

    Attributes
    ----------
    shapes : tuple of (numpy.ndarray, str)
        Vertices of each, (M, D) data pixels of the layer, and its kind.
    """

    shapes: tuple[tuple[NDArray[np.float64], str], ...]

    @classmethod
    def of(cls, layer: Shapes) -> DrawnShapes:
        """Copy what a layer holds."""
        kinds = [str(kind) for kind in layer.shape_type]
        return cls(tuple((np.array(v, dtype=np.float64), kind) for v, kind in zip(layer.data, kinds, strict=True)))

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return sum(vertices.nbytes for vertices, _kind in self.shapes)

    def same(self, other: DrawnShapes | None) -> bool:
        """Whether the same shapes are drawn; no layer counts as an empty one."""
        theirs = () if other is None else other.shapes
        return len(self.shapes) == len(theirs) and all(
            kind == their_kind and np.array_equal(vertices, their_vertices)
            for (vertices, kind), (their_vertices, their_kind) in zip(self.shapes, theirs, strict=True)
        )

    def moved(self, move: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> DrawnShapes:
        """Return this with the vertices put through `move`, which takes and gives (..., D) data pixels."""
        return DrawnShapes(tuple((move(vertices), kind) for vertices, kind in self.shapes))

    def draw(self, layer: Shapes) -> None:
        """Put this into a layer, in place of what is there."""
        layer.selected_data = set()
        layer.remove(list(range(len(layer.data))))
        if self.shapes:
            layer.add([(vertices.copy(), kind) for vertices, kind in self.shapes])


@dataclass(frozen=True, eq=False)
class Contents:
    """What is drawn in both prompt layers; None for a layer that does not exist."""

    points: DrawnPoints | None = None
    shapes: DrawnShapes | None = None

    @classmethod
    def of(cls, points: Points | None, shapes: Shapes | None) -> Contents:
        """Copy what the layers hold."""
        return cls(
            None if points is None else DrawnPoints.of(points), None if shapes is None else DrawnShapes.of(shapes)
        )

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return sum(drawn.nbytes for drawn in (self.points, self.shapes) if drawn is not None)

    def same(self, other: Contents) -> bool:
        """Whether both show the same."""
        points = self.points.same(other.points) if self.points else not (other.points and len(other.points.positions))
        shapes = self.shapes.same(other.shapes) if self.shapes else not (other.shapes and other.shapes.shapes)
        return points and shapes
