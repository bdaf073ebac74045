"""The contrast limits that napari starts with, for a stack that no viewer shows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

# Numbers of napari's `calc_data_range` (napari.layers.utils.layer_utils, 0.9): up to so many values it looks at all of
# them, else at three planes; of a plane with more values than that, at a patch of 62 x 62 around its middle.
_MANY = 1e7
_PATCH = 31


def default_limits(data: Any, fixed: Sequence[int | None]) -> tuple[float, float]:
    """Return the grey values that napari would show black and white by default.

    Parameters
    ----------
    data : array-like
        The stack without colour; the coarsest level of a pyramid, as napari has it. Planes are its last two axes.
    fixed : sequence of (int or None)
        One per leading axis: the index to look at, or None for all. All None is a layer of the whole stack.

    Returns
    -------
    (float, float)
        (0, 255) for uint8; else the smallest and the largest finite value of all planes, or of the first, the middle
        and the last one of a large stack.
    """
    if data.dtype == np.uint8:
        return 0.0, 255.0
    shape = [size for size, place in zip(data.shape, fixed, strict=False) if place is None]
    height, width = data.shape[-2:]
    large = math.prod(shape) * height * width > _MANY
    low, high = math.inf, -math.inf
    whole = tuple(slice(None) for _ in shape)
    for free in _samples(shape) if large else (whole,):
        places = iter(free)
        at = tuple(next(places) if place is None else place for place in fixed)
        values = np.asarray(data[(*at, *_part(height, width))])
        # NaN and infinity are no ends of a window; whole numbers have neither.
        values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    if low < high:
        return low, high
    return (min(low, 0.0), max(high, 1.0)) if low == high else (0.0, 1.0)


def _samples(shape: Sequence[int]) -> Iterator[tuple[int | slice, ...]]:
    """Give the first, the middle and the last plane."""
    yield tuple(0 for _ in shape)
    yield tuple(size // 2 for size in shape)
    yield tuple(size - 1 for size in shape)


def _part(height: int, width: int) -> tuple[slice, slice]:
    if height * width <= _MANY or min(height, width) <= 64:
        return slice(None), slice(None)
    return slice(height // 2 - _PATCH, height // 2 + _PATCH), slice(width // 2 - _PATCH, width // 2 + _PATCH)


def finite(values: NDArray[Any] | Sequence[float]) -> bool:
    """Tell whether two numbers make a window."""
    low, high = (float(value) for value in values)
    return math.isfinite(low) and math.isfinite(high) and low < high
