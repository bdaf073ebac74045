"""Planes along one axis of a stack, read one at a time.

What carries an object through a stack, or embeds a stack ahead, needs no more of it than this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from napari_sam.image import Plane


class Planes(Protocol):
    """A row of planes of one shape, window and spacing."""

    def __len__(self) -> int:
        """Count the planes."""

    def __getitem__(self, index: int, /) -> Plane:
        """Read one plane; only this one is touched."""


@dataclass(frozen=True, slots=True, eq=False)
class ArrayPlanes:
    """The planes of an n-D array along one of its axes.

    Parameters
    ----------
    data : array-like
        Anything that NumPy indexing reads: numpy, dask, zarr, tensorstore, ... Colour, if any, is the last axis.
    axis : int
        The data axis that the planes follow each other along.
    index : tuple of (int or None)
        For each data axis, without colour, its index; None for the two axes of the plane, rows first. The index at
        `axis` does not count.
    contrast_limits, gamma, spacing
        See `napari_sam.image.Plane`; the same for all planes.
    """

    data: Any
    axis: int
    index: tuple[int | None, ...]
    contrast_limits: tuple[float, float] | None = None
    gamma: float = 1.0
    spacing: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if self.index.count(None) != 2 or self.index[self.axis] is None:
            raise ValueError(f"a plane has two axes, and another one that planes follow each other along: {self}")

    def __len__(self) -> int:
        return int(self.data.shape[self.axis])

    def __getitem__(self, index: int, /) -> Plane:
        if not 0 <= index < len(self):
            raise IndexError(f"plane {index} of {len(self)}")
        at = [slice(None) if place is None else place for place in self.index]
        at[self.axis] = index
        return Plane(np.asarray(self.data[tuple(at)]), self.contrast_limits, self.gamma, self.spacing)
