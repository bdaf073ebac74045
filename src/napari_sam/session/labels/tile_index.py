"""What an index into labels on disk means: which pixels of which tiles, as numbers, with nothing read yet."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.io.formats.lazy import full_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sam.io.formats.lazy import Key

Tile = tuple[int, ...]
"""Place of a tile in the grid of tiles."""


def parse_coordinates(key: Any, shape: tuple[int, ...]) -> list[NDArray[np.int64]] | None:
    """Return the coordinates that a key lists, one array an axis; None for a key of ints and slices.

    Raises
    ------
    IndexError
        If the key mixes lists with slices, or a coordinate lies outside.
    """
    parts = key if isinstance(key, tuple) else (key,)
    if not any(isinstance(part, (np.ndarray, list)) and np.ndim(part) for part in parts):
        return None
    if len(parts) != len(shape) or any(isinstance(part, slice) or part is Ellipsis for part in parts):
        raise IndexError("large labels take one list of coordinates for each axis, or ints and slices")
    arrays = np.broadcast_arrays(*parts)
    if any(a.dtype.kind not in "iu" for a in arrays):
        raise IndexError("coordinates of pixels are integers")
    points = []
    for array, size in zip(arrays, shape, strict=True):
        at = array.astype(np.int64)
        if at.size and not -size <= at.min() <= at.max() < size:
            raise IndexError(f"a coordinate lies outside an axis of {size} pixels")
        points.append(np.where(at < 0, at + size, at))
    return points


def parse_ranges(key: Any, shape: tuple[int, ...]) -> tuple[Key, list[range], tuple[int, ...]]:
    """Return what a key of ints and slices says for each axis, the pixels that it means, and the shape that it gives.

    Raises
    ------
    IndexError
        If there are too many indices, one lies outside, or a slice goes backwards.
    """
    axes = full_key(key, shape)
    ranges = [range(at.start, at.stop, at.step) if isinstance(at, slice) else range(at, at + 1) for at in axes]
    return axes, ranges, tuple(len(found) for found, at in zip(ranges, axes, strict=True) if isinstance(at, slice))


def group_by_tile(
    points: Sequence[NDArray[np.int64]], shape: tuple[int, ...], chunks: tuple[int, ...]
) -> Iterator[tuple[Tile, NDArray[np.intp], Any]]:
    """Sort coordinates by the tile that they lie in: the tile, which ones they are, and their places within it."""
    flat = [at.ravel() for at in points]
    if not len(flat[0]):
        return
    grid = [-(-size // side) for size, side in zip(shape, chunks, strict=True)]
    numbers = np.ravel_multi_index(tuple(at // side for at, side in zip(flat, chunks, strict=True)), grid)
    # Stable: of a pixel that is listed twice, the last value counts, as with NumPy.
    order = np.argsort(numbers, kind="stable")
    starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    for which in np.split(order, starts[1:]):
        tile = tuple(int(i) for i in np.unravel_index(numbers[which[0]], grid))
        yield tile, which, tuple(at[which] % side for at, side in zip(flat, chunks, strict=True))


def overlapping_tiles(
    ranges: Sequence[range], chunks: tuple[int, ...], existing: Collection[Tile] | None
) -> Iterator[tuple[Tile, tuple[slice, ...], tuple[slice, ...]]]:
    """Find the tiles that hold some pixels: each with where they are in it, and where among all that are meant.

    Parameters
    ----------
    ranges : sequence of range
        The pixels, along each axis.
    chunks : tuple of int
        Sides of a tile.
    existing : collection of tuple of int or None
        Only these tiles are of interest; None: all are.
    """
    if not all(ranges):
        return
    spans = [range(r[0] // side, r[-1] // side + 1) for r, side in zip(ranges, chunks, strict=True)]
    tiles: Any = itertools.product(*spans)
    # On a huge plane there are far fewer tiles than places for them.
    if existing is not None and len(existing) < math.prod(len(span) for span in spans):
        tiles = [t for t in existing if all(at in span for at, span in zip(t, spans, strict=True))]
    for tile in tiles:
        parts = [_overlap(r, at * side, side) for r, at, side in zip(ranges, tile, chunks, strict=True)]
        if all(outside.stop > outside.start for _, outside in parts):
            yield tile, tuple(inside for inside, _ in parts), tuple(outside for _, outside in parts)


def _overlap(wanted: range, start: int, side: int) -> tuple[slice, slice]:
    """Find which of some pixels of an axis lie in a tile: where they are in it, and which ones they are."""
    first = max(0, -((wanted.start - start) // wanted.step))
    last = min(len(wanted), -((wanted.start - start - side) // wanted.step))
    inside = wanted.start + first * wanted.step - start
    return slice(inside, inside + max(0, last - first) * wanted.step, wanted.step), slice(first, last)
