"""Where in an image something is drawn or written, and whether the plane on screen shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex


@dataclass(frozen=True, slots=True, eq=False)
class Location:
    """Where one thing is.

    Attributes
    ----------
    index : tuple of (int or None)
        The plane on which it was drawn or written, as `PlaneIndex.index`.
    low, high : numpy.ndarray, shape (D,)
        The first and the last data pixel that it takes along each axis.
    cut : bool
        Whether a plane along other axes, which cuts it, shows it as well.
    """

    index: tuple[int | None, ...]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    cut: bool = True

    @property
    def axes(self) -> tuple[int, ...]:
        """The data axes of its plane, in ascending order."""
        return tuple(axis for axis, at in enumerate(self.index) if at is None)

    @classmethod
    def of_point(cls, position: NDArray[np.float64], axes: tuple[int, int]) -> Location:
        """Describe a point, (D,) data pixels, that was drawn with these axes on screen."""
        place = np.round(position)
        return cls(_plane_of(place, axes), place, place)

    @classmethod
    def of_shape(cls, vertices: NDArray[np.float64]) -> Location:
        """Describe a shape, (M, D) data pixels: its plane is that of its two longest sides."""
        low, high = np.round(vertices.min(axis=0)), np.round(vertices.max(axis=0))
        # Stable: of equal sides the last axes count, those that napari shows at first.
        first, second = sorted(np.argsort(np.ptp(vertices, axis=0), kind="stable")[-2:].tolist())
        return cls(_plane_of(low, (first, second)), low, high, cut=False)

    @classmethod
    def of_region(cls, region: tuple[int | slice, ...]) -> Location:
        """Describe a box on one plane, named by its index in an array; slices have a start and a stop."""
        index = tuple(None if isinstance(at, slice) else int(at) for at in region)
        low = np.array([at.start if isinstance(at, slice) else at for at in region], dtype=np.float64)
        high = np.array([at.stop - 1 if isinstance(at, slice) else at for at in region], dtype=np.float64)
        return cls(index, low, high)

    def is_seen_on(self, view: PlaneIndex) -> bool:
        """Tell whether a plane shows any of it."""
        if not self.cut and self.axes != view.axes:
            return False
        return all(
            at is None or low <= at <= high for at, low, high in zip(view.index, self.low, self.high, strict=True)
        )


def _plane_of(place: NDArray[np.float64], axes: tuple[int, int]) -> tuple[int | None, ...]:
    """Name the plane along two axes that a place, (D,) whole numbers or NaN, lies on."""
    # A program may put a point at NaN, which is no whole number.
    finite = np.nan_to_num(place)
    return tuple(None if axis in axes else int(at) for axis, at in enumerate(finite))
