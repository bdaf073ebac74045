"""Labels too large for memory: only the tiles that hold some exist, on disk as zarr, and in memory while used.

Reading a zarr array asks the disk for every chunk, also for those that were never written; a plane of a large volume is
thousands of them, and napari reads on the GUI thread. This knows which there are.
"""

from __future__ import annotations

import itertools
import math
import operator
import threading
from collections import OrderedDict, deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

Tile = tuple[int, ...]
_MEMORY = 2**28
"""Bytes of tiles that are kept in memory."""
_PUT_BACK = 256
"""Tiles of one write that are put back when a later one fails; more would not fit into memory."""


class TiledLabels:
    """Labels as an array-like: shape and dtype of any size, read and written by ints, slices or lists of coordinates.

    What is written is on the disk when the call returns.

    Parameters
    ----------
    store : zarr.Array
        Where the tiles are kept, one in each chunk; 0 where there is none. Empty, and nobody else writes to it.
    folder : pathlib.Path, optional
        The folder that it is in, for the person to know.
    """

    def __init__(self, store: Any, folder: Path | None = None) -> None:
        self.store = store
        self.folder = folder
        self.shape = tuple(int(n) for n in store.shape)
        self.chunks = tuple(int(n) for n in store.chunks)
        self.dtype: np.dtype[Any] = np.dtype(store.dtype)
        self.ndim = len(self.shape)
        self._kept: OrderedDict[Tile, NDArray[Any]] = OrderedDict()
        self._room = max(1, _MEMORY // (math.prod(self.chunks) * self.dtype.itemsize))
        self.tiles: dict[Tile, int] = {}
        """The tiles that hold labels, by their place in the grid of tiles, and the largest label in each."""
        # napari may slice layers on a thread of its own.
        self._lock = threading.RLock()

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    @property
    def largest(self) -> int:
        """The largest label; 0 when there is none."""
        with self._lock:
            return max(self.tiles.values(), default=0)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<TiledLabels {self.shape} {self.dtype.name}, {len(self.tiles)} tiles in {self.folder}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> TiledLabels:
        # napari duplicates layers by copying their data; two layers must not write into one folder.
        from napari_sam.session.labels.storage import duplicate

        return duplicate(self)

    def pour_into(self, other: TiledLabels) -> None:
        """Copy all tiles into labels of the same shape and tiles."""
        with self._lock:
            for tile in self.tiles:
                other._keep(tile, self._tile(tile))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype=dtype)

    def __getitem__(self, key: Any) -> Any:
        with self._lock:
            if (points := self._points(key)) is not None:
                return self._read_points(points)
            _, ranges, shape = self._ranges(key)
            out = np.zeros([len(r) for r in ranges], dtype=self.dtype)
            for tile, inside, outside in self._overlaps(ranges):
                if tile in self.tiles:
                    out[outside] = self._tile(tile)[inside]
            return out.reshape(shape)[()]

    def __setitem__(self, key: Any, value: Any) -> None:
        with self._lock:
            if (points := self._points(key)) is not None:
                self._write_points(points, np.asarray(value, dtype=self.dtype))
                return
            axes, ranges, shape = self._ranges(key)
            given = np.asarray(value, dtype=self.dtype)
            values = np.broadcast_to(given, shape)
            # Axes of ints come back, as those that hold one pixel.
            values = values[tuple(np.newaxis if isinstance(at, int) else slice(None) for at in axes)]
            with self._all_or_nothing() as keep:
                for tile, inside, outside in self._overlaps(ranges, only_existing=not given.any()):
                    if tile in self.tiles or values[outside].any():
                        changed = self._tile(tile).copy()
                        changed[inside] = values[outside]
                        keep(tile, changed)

    # -- by lists of coordinates ------------------------------------------------------------------

    def _points(self, key: Any) -> list[NDArray[np.int64]] | None:
        """Return the coordinates that a key lists, one array an axis; None for a key of ints and slices."""
        parts = key if isinstance(key, tuple) else (key,)
        if not any(isinstance(part, (np.ndarray, list)) and np.ndim(part) for part in parts):
            return None
        if len(parts) != self.ndim or any(isinstance(part, slice) or part is Ellipsis for part in parts):
            raise IndexError("large labels take one list of coordinates for each axis, or ints and slices")
        arrays = np.broadcast_arrays(*parts)
        if any(a.dtype.kind not in "iu" for a in arrays):
            raise IndexError("coordinates of pixels are integers")
        points = []
        for array, size in zip(arrays, self.shape, strict=True):
            at = array.astype(np.int64)
            if at.size and not -size <= at.min() <= at.max() < size:
                raise IndexError(f"a coordinate lies outside an axis of {size} pixels")
            points.append(np.where(at < 0, at + size, at))
        return points

    def _by_tile(self, points: list[NDArray[np.int64]]) -> Iterator[tuple[Tile, NDArray[np.intp], Any]]:
        """Sort coordinates by the tile that they lie in: the tile, which ones they are, and their places within it."""
        flat = [at.ravel() for at in points]
        if not len(flat[0]):
            return
        grid = [-(-size // side) for size, side in zip(self.shape, self.chunks, strict=True)]
        numbers = np.ravel_multi_index(tuple(at // side for at, side in zip(flat, self.chunks, strict=True)), grid)
        order = np.argsort(numbers, kind="stable")
        starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
        for which in np.split(order, starts[1:]):
            tile = tuple(int(i) for i in np.unravel_index(numbers[which[0]], grid))
            yield tile, which, tuple(at[which] % side for at, side in zip(flat, self.chunks, strict=True))

    def _read_points(self, points: list[NDArray[np.int64]]) -> NDArray[Any]:
        out = np.zeros(points[0].size, dtype=self.dtype)
        for tile, which, inside in self._by_tile(points):
            if tile in self.tiles:
                out[which] = self._tile(tile)[inside]
        return out.reshape(points[0].shape)

    def _write_points(self, points: list[NDArray[np.int64]], value: NDArray[Any]) -> None:
        values = np.broadcast_to(value, points[0].shape)
        flat = values.reshape(-1) if value.ndim else None
        with self._all_or_nothing() as keep:
            for tile, which, inside in self._by_tile(points):
                changed = self._tile(tile).copy()
                changed[inside] = value if flat is None else flat[which]
                keep(tile, changed)

    # -- by ints and slices -----------------------------------------------------------------------

    def _ranges(self, key: Any) -> tuple[list[int | slice], list[range], tuple[int, ...]]:
        """Return what a key says for each axis, the pixels that this means, and the shape of what it gives."""
        parts = list(key if isinstance(key, tuple) else (key,))
        if sum(part is Ellipsis for part in parts) > 1 or len(parts) - (Ellipsis in parts) > self.ndim:
            raise IndexError(f"too many indices for labels of {self.ndim} axes")
        gap = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
        rest = [slice(None)] * (self.ndim - len(parts) + (Ellipsis in parts))
        parts[gap : gap + 1] = rest
        axes = [part if isinstance(part, slice) else operator.index(part) for part in parts]
        ranges = []
        for at, size in zip(axes, self.shape, strict=True):
            if isinstance(at, slice):
                ranges.append(range(*at.indices(size)))
            elif -size <= at < size:
                ranges.append(range(at % size, at % size + 1))
            else:
                raise IndexError(f"{at} lies outside an axis of {size} pixels")
        if any(found.step < 0 for found in ranges):
            raise IndexError("large labels are read forwards only")
        shape = tuple(len(found) for found, at in zip(ranges, axes, strict=True) if isinstance(at, slice))
        return axes, ranges, shape

    def _overlaps(
        self, ranges: list[range], *, only_existing: bool = True
    ) -> Iterator[tuple[Tile, tuple[slice, ...], tuple[slice, ...]]]:
        """Find the tiles that hold some pixels: each with where they are in it, and where among all that are meant."""
        if not all(ranges):
            return
        spans = [range(r[0] // side, r[-1] // side + 1) for r, side in zip(ranges, self.chunks, strict=True)]
        tiles: Any = itertools.product(*spans)
        if only_existing and len(self.tiles) < math.prod(len(span) for span in spans):
            tiles = [t for t in self.tiles if all(at in span for at, span in zip(t, spans, strict=True))]
        for tile in tiles:
            parts = [_overlap(r, at * side, side) for r, at, side in zip(ranges, tile, self.chunks, strict=True)]
            if all(outside.stop > outside.start for _, outside in parts):
                yield tile, tuple(inside for inside, _ in parts), tuple(outside for _, outside in parts)

    # -- tiles ------------------------------------------------------------------------------------

    def _place(self, tile: Tile) -> tuple[slice, ...]:
        """Return where a tile lies; those at the far edges are cut."""
        edges = zip(tile, self.chunks, self.shape, strict=True)
        return tuple(slice(at * side, min((at + 1) * side, size)) for at, side, size in edges)

    def _tile(self, tile: Tile) -> NDArray[Any]:
        """Return the pixels of a tile, not to be written."""
        if tile not in self.tiles:
            return np.zeros([at.stop - at.start for at in self._place(tile)], dtype=self.dtype)
        if tile in self._kept:
            self._kept.move_to_end(tile)
        else:
            self._remember(tile, np.asarray(self.store[self._place(tile)]))
        return self._kept[tile]

    @contextmanager
    def _all_or_nothing(self) -> Iterator[Callable[[Tile, NDArray[Any]], None]]:
        """Give a function that keeps tiles; if one cannot be written, those before it are put back."""
        before: deque[tuple[Tile, NDArray[Any]]] = deque(maxlen=_PUT_BACK)

        def keep(tile: Tile, pixels: NDArray[Any]) -> None:
            old = self._tile(tile)
            self._keep(tile, pixels)
            before.append((tile, old))

        try:
            yield keep
        except OSError:
            for tile, old in reversed(before):
                with suppress(OSError):
                    self._keep(tile, old)
            raise

    def _keep(self, tile: Tile, pixels: NDArray[Any]) -> None:
        """Replace the pixels of a tile, on the disk first: a full disk then changes nothing."""
        self.store[self._place(tile)] = pixels
        if largest := int(pixels.max(initial=0)):
            self.tiles[tile] = largest
            self._remember(tile, pixels)
        else:
            self.tiles.pop(tile, None)
            self._kept.pop(tile, None)

    def _remember(self, tile: Tile, pixels: NDArray[Any]) -> None:
        self._kept[tile] = pixels
        self._kept.move_to_end(tile)
        while len(self._kept) > self._room:
            self._kept.popitem(last=False)


def _overlap(wanted: range, start: int, side: int) -> tuple[slice, slice]:
    """Find which of some pixels of an axis lie in a tile: where they are in it, and which ones they are."""
    first = max(0, -((wanted.start - start) // wanted.step))
    last = min(len(wanted), -((wanted.start - start - side) // wanted.step))
    inside = wanted.start + first * wanted.step - start
    return slice(inside, inside + max(0, last - first) * wanted.step, wanted.step), slice(first, last)
