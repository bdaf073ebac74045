"""Where the pixels of a layer lie in the viewer's world.

A `LayerTransform` is one affine map from data pixels to world coordinates, in the units that the viewer shows. It is
read through napari's public `Layer.data_to_world`, so scale, translate, rotate, shear and affine all count, and it
converts units itself, which `Layer.world_to_data` does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import ArrayLike, NDArray

TOLERANCE = 1e-6
"""Relative difference below which two directions count as equal."""


@dataclass(frozen=True, eq=False)
class LayerTransform:
    """An affine map from data pixels to world coordinates.

    Attributes
    ----------
    linear : numpy.ndarray, shape (D, D), float64
        Column j is the step in the world that one pixel along data axis j makes.
    offset : numpy.ndarray, shape (D,), float64
        World position of data pixel 0, ..., 0.
    units : tuple of pint.Unit, length D
        Units of the world axes.
    """

    linear: NDArray[np.float64]
    offset: NDArray[np.float64]
    units: tuple[Any, ...]

    @classmethod
    def of(cls, viewer: ViewerModel, layer: Layer) -> LayerTransform:
        """Read the transform of a layer, in the units of the viewer it is shown in.

        A viewer whose layers disagree on what an axis measures has no units; napari then takes the numbers as they are,
        and so does this.
        """
        origin = np.array(layer.data_to_world(np.zeros(layer.ndim)), dtype=np.float64)
        columns = [np.array(layer.data_to_world(step)) - origin for step in np.eye(layer.ndim)]
        linear = np.stack(columns, axis=1)
        shown = viewer.layers.units
        if shown is None:
            return cls(linear, origin, tuple(layer.units))
        into = tuple(shown[-layer.ndim :])  # axes are lined up at their ends
        if into == tuple(layer.units):
            return cls(linear, origin, into)
        factors = np.array([(1 * a).to(b).magnitude for a, b in zip(layer.units, into, strict=True)])
        return cls(factors[:, None] * linear, factors * origin, into)

    def to_world(self, positions: ArrayLike) -> NDArray[np.float64]:
        """Convert data pixels, shape (..., D), to world coordinates."""
        world: NDArray[np.float64] = np.asarray(positions, dtype=np.float64) @ self.linear.T + self.offset
        return world

    def to_data(self, positions: ArrayLike) -> NDArray[np.float64]:
        """Convert world coordinates, shape (..., D), to data pixels."""
        moved = np.asarray(positions, dtype=np.float64) - self.offset
        return np.asarray(np.linalg.solve(self.linear, moved[..., None])[..., 0], dtype=np.float64)

    def matches(self, other: LayerTransform) -> bool:
        """Whether both put the same pixels at the same places, to a thousandth of a pixel."""
        if self.linear.shape != other.linear.shape:
            return False
        steps = np.linalg.norm(self.linear, axis=0)
        same_steps = np.abs(self.linear - other.linear).max() <= TOLERANCE * steps.max()
        # Far from the origin, numbers themselves are coarser than a small pixel's fraction.
        rounding = 16 * np.finfo(np.float64).eps * np.abs(self.offset).max()
        return bool(same_steps and np.abs(self.offset - other.offset).max() <= 1e-3 * steps.min() + rounding)

    def separates(self, shown: Sequence[int]) -> bool:
        """Whether the plane of the axes `shown` keeps to itself: no other axis leans into it, nor it into another."""
        inside = np.zeros(len(self.offset), dtype=bool)
        inside[list(shown)] = True
        # As directions: small pixels along an axis must not hide that it leans.
        lean = np.abs(self.linear / np.linalg.norm(self.linear, axis=0))
        return (
            not (lean[np.ix_(inside, ~inside)] > TOLERANCE).any()
            and not (lean[np.ix_(~inside, inside)] > TOLERANCE).any()
        )

    def spacing(self, axes: tuple[int, int]) -> tuple[float, float]:
        """Distance between neighbouring pixels along two data axes, in one common unit; only the ratio has a meaning.

        Axes that measure different things, such as time and depth, have no common unit: their pixels count as square.
        """
        first, second = (self.units[axis] for axis in axes)
        if first.dimensionality != second.dimensionality:
            return 1.0, 1.0
        base = np.array([(1 * unit).to_base_units().magnitude for unit in self.units])
        one, two = np.linalg.norm(base[:, None] * self.linear[:, list(axes)], axis=0)
        return float(one), float(two)


def convert_positions(
    viewer: ViewerModel, positions: NDArray[np.float64], source: Layer, target: Layer
) -> NDArray[np.float64]:
    """Convert data pixels of one layer, shape (..., D), to those of another with as many axes, through the world."""
    own, other = LayerTransform.of(viewer, source), LayerTransform.of(viewer, target)
    # Exact where nothing has to be converted: a click must not move by a rounding error.
    return positions if own.matches(other) else other.to_data(own.to_world(positions))
