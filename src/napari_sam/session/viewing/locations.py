"""Where in an image something is drawn or written, and whether the plane on screen shows it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.labels.edit import LabelEdit
    from napari_sam.session.objects.tracked import Index
    from napari_sam.session.prompts.drawing import DrawnPoints, DrawnShapes


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

    index: Index
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
        return cls(_index(place, axes), place, place)

    @classmethod
    def of_shape(cls, vertices: NDArray[np.float64]) -> Location:
        """Describe a shape, (M, D) data pixels: its plane is that of its two longest sides."""
        low, high = np.round(vertices.min(axis=0)), np.round(vertices.max(axis=0))
        first, second = sorted(np.argsort(np.ptp(vertices, axis=0), kind="stable")[-2:].tolist())
        return cls(_index(low, (first, second)), low, high, cut=False)

    @classmethod
    def of_written(cls, written: LabelEdit) -> Location:
        """Describe what was written on one plane."""
        region = written.change.region
        index = tuple(None if isinstance(at, slice) else int(at) for at in region)
        low = np.array([at.start if isinstance(at, slice) else at for at in region], dtype=np.float64)
        high = np.array([at.stop - 1 if isinstance(at, slice) else at for at in region], dtype=np.float64)
        return cls(index, low, high)

    def seen_on(self, view: PlaneIndex) -> bool:
        """Tell whether a plane shows any of it."""
        if not self.cut and self.axes != view.axes:
            return False
        return all(
            at is None or low <= at <= high for at, low, high in zip(view.index, self.low, self.high, strict=True)
        )


def new_points(older: DrawnPoints | None, newer: DrawnPoints | None) -> list[int]:
    """List the rows of points that are not among older ones, or have another polarity than there."""
    return [] if newer is None else _new(_points(older), _points(newer))


def new_shapes(older: DrawnShapes | None, newer: DrawnShapes | None) -> list[int]:
    """List the rows of shapes that are not among older ones."""
    return [] if newer is None else _new(_shapes(older), _shapes(newer))


def _new(older: Sequence[bytes], newer: Sequence[bytes]) -> list[int]:
    left = Counter(older)
    found = []
    for row, key in enumerate(newer):
        if left[key]:
            left[key] -= 1
        else:
            found.append(row)
    return found


def _points(drawn: DrawnPoints | None) -> list[bytes]:
    if drawn is None:
        return []
    return [
        at.tobytes() + bytes([positive]) for at, positive in zip(drawn.positions, drawn.positive.tolist(), strict=True)
    ]


def _shapes(drawn: DrawnShapes | None) -> list[bytes]:
    return [] if drawn is None else [vertices.tobytes() + kind.encode() for vertices, kind in drawn.shapes]


def _index(place: NDArray[np.float64], axes: tuple[int, int]) -> Index:
    """Name the plane along two axes that a place, (D,) whole numbers or NaN, lies on."""
    finite = np.nan_to_num(place)
    return tuple(None if axis in axes else int(at) for axis, at in enumerate(finite))
