"""What is drawn in the prompt layers, as values: taken for the history, drawn again by undo and redo."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.session.napari_private import shape_being_drawn
from napari_sam.session.prompts.painted import PaintedPlanes
from napari_sam.session.prompts.shapes import DrawnShape
from napari_sam.session.prompts.style import read_polarity, style_points, style_shapes, write_polarity

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

    def shows_same(self, other: DrawnPoints | None) -> bool:
        """Whether the same points with the same polarity are drawn; no layer counts as an empty one."""
        if other is None:
            return not len(self.positions)
        # A program may put a point at NaN, which would count as a change for ever.
        return np.array_equal(self.positions, other.positions, equal_nan=True) and np.array_equal(
            self.positive, other.positive
        )

    def rows_beyond(self, older: DrawnPoints | None) -> list[int]:
        """List the rows of points that are not among older ones, or have another polarity than there."""
        return _rows_beyond([] if older is None else older.keys(), self.keys())

    def keys(self) -> list[bytes]:
        """Return what tells the points apart: position and polarity."""
        # Exact to the bit: a point that was dragged by a hair is another one.
        pairs = zip(self.positions, self.positive.tolist(), strict=True)
        return [at.tobytes() + bytes([positive]) for at, positive in pairs]

    def moved(self, move: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> DrawnPoints:
        """Return this with the positions put through `move`, which takes and gives (..., D) data pixels."""
        return DrawnPoints(move(self.positions), self.positive, self.features)

    def draw_into(self, layer: Points) -> None:
        """Put this into a layer, in place of what is there."""
        # A selection would outlive its points, and napari then fails at the next change of the current values.
        layer.selected_data = set()
        layer.data = self.positions
        # After the positions: the table has a row for each point that is there.
        layer.features = self.features.copy()
        style_points(layer)


@dataclass(frozen=True, eq=False)
class DrawnShapes:
    """All shapes of a layer, on all planes.

    Attributes
    ----------
    shapes : tuple of DrawnShape
        In data pixels of the layer.
    """

    shapes: tuple[DrawnShape, ...]

    @classmethod
    def of(cls, layer: Shapes) -> DrawnShapes:
        """Copy what a layer holds, but for a shape that is being drawn."""
        kinds, unfinished = [str(kind) for kind in layer.shape_type], shape_being_drawn(layer)
        rows = zip(layer.data, kinds, read_polarity(layer).tolist(), strict=True)
        return cls(
            tuple(
                DrawnShape(np.array(vertices, dtype=np.float64), kind, positive)
                for row, (vertices, kind, positive) in enumerate(rows)
                if row != unfinished
            )
        )

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return sum(shape.vertices.nbytes for shape in self.shapes)

    def shows_same(self, other: DrawnShapes | None) -> bool:
        """Whether the same shapes are drawn; no layer counts as an empty one."""
        theirs = () if other is None else other.shapes
        return len(self.shapes) == len(theirs) and all(map(DrawnShape.same_as, self.shapes, theirs))

    def rows_beyond(self, older: DrawnShapes | None) -> list[int]:
        """List the rows of shapes that are not among older ones."""
        return _rows_beyond([] if older is None else older.keys(), self.keys())

    def keys(self) -> list[bytes]:
        """Return what tells the shapes apart: vertices, kind and polarity."""
        return [shape.key for shape in self.shapes]

    def moved(self, move: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> DrawnShapes:
        """Return this with the vertices put through `move`, which takes and gives (..., D) data pixels."""
        return DrawnShapes(tuple(replace(shape, vertices=move(shape.vertices)) for shape in self.shapes))

    def draw_into(self, layer: Shapes) -> None:
        """Put this into a layer, in place of what is there."""
        layer.selected_data = set()
        layer.remove(list(range(len(layer.data))))
        self.add_to(layer)

    def add_to(self, layer: Shapes) -> None:
        """Add this to what is there in a layer."""
        if not self.shapes:
            return
        layer.selected_data = set()
        positive = [*read_polarity(layer).tolist(), *(shape.positive for shape in self.shapes)]
        # Copies, as this is kept for undo, and the person goes on in the layer.
        layer.add([(shape.vertices.copy(), shape.kind) for shape in self.shapes])
        write_polarity(layer, np.array(positive))
        style_shapes(layer)


@dataclass(frozen=True, eq=False)
class PromptContents:
    """What is drawn in both prompt layers, None for a layer that does not exist, and what is painted on the preview."""

    points: DrawnPoints | None = None
    shapes: DrawnShapes | None = None
    paint: PaintedPlanes = field(default_factory=PaintedPlanes)

    @classmethod
    def of(cls, points: Points | None, shapes: Shapes | None, paint: PaintedPlanes) -> PromptContents:
        """Copy what the layers hold."""
        return cls(
            None if points is None else DrawnPoints.of(points),
            None if shapes is None else DrawnShapes.of(shapes),
            paint,
        )

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return sum(drawn.nbytes for drawn in (self.points, self.shapes, self.paint) if drawn is not None)

    def shows_same(self, other: PromptContents) -> bool:
        """Whether both show the same."""
        # A layer that does not exist shows what an empty one does.
        points = self.points is None or self.points.shows_same(other.points)
        shapes = self.shapes is None or self.shapes.shows_same(other.shapes)
        if self.points is None and other.points is not None:
            points = other.points.shows_same(None)
        if self.shapes is None and other.shapes is not None:
            shapes = other.shapes.shows_same(None)
        return points and shapes and self.paint == other.paint


def _rows_beyond(older: list[bytes], newer: list[bytes]) -> list[int]:
    """List the places in `newer` of what is not in `older`; what is there twice counts twice."""
    left = Counter(older)
    found = []
    for row, key in enumerate(newer):
        if left[key]:
            left[key] -= 1
        else:
            found.append(row)
    return found
