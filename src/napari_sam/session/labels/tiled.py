"""Labels too large for memory: only the tiles that hold some exist, on disk as zarr, and in memory while used.

Reading a zarr array asks the disk for every chunk, also for those that were never written; a plane of a large volume is
thousands of them, and napari reads on the GUI thread. This knows which there are.
"""

from __future__ import annotations

import math
import os
import shutil
import threading
import weakref
from collections import deque
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from cachetools import LRUCache

from napari_sam.files import home
from napari_sam.session.labels.tile_index import group_by_tile, overlapping_tiles, parse_coordinates, parse_ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from napari_sam.session.labels.tile_index import Tile

DTYPE = np.dtype(np.int32)
"""Type of labels that are made here."""
_CACHE_BYTES = 2**28
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
        most = max(1, _CACHE_BYTES // (math.prod(self.chunks) * self.dtype.itemsize))
        self._cache: LRUCache[Tile, NDArray[Any]] = LRUCache(most)
        self.tiles: dict[Tile, int] = {}
        """The tiles that hold labels, by their place in the grid of tiles, and the largest label in each."""
        # napari may slice layers on a thread of its own.
        self._lock = threading.RLock()

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    @property
    def max_label(self) -> int:
        """The largest label; 0 when there is none."""
        with self._lock:
            return max(self.tiles.values(), default=0)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<TiledLabels {self.shape} {self.dtype.name}, {len(self.tiles)} tiles in {self.folder}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> TiledLabels:
        # napari duplicates layers by copying their data; two layers must not write into one folder.
        return self.duplicate()

    def duplicate(self) -> TiledLabels:
        """Copy these labels, tile by tile, into a folder of their own."""
        [twin] = make_tiled([self.shape], [self.chunks], {})
        with self._lock:
            for tile in self.tiles:
                twin[self.region(tile)] = self._tile(tile)
        return twin

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype=dtype)

    def __getitem__(self, key: Any) -> Any:
        with self._lock:
            if (points := parse_coordinates(key, self.shape)) is not None:
                return self._read_points(points)
            _, ranges, shape = parse_ranges(key, self.shape)
            out = np.zeros([len(r) for r in ranges], dtype=self.dtype)
            for tile, inside, outside in overlapping_tiles(ranges, self.chunks, self.tiles):
                if tile in self.tiles:
                    out[outside] = self._tile(tile)[inside]
            # One pixel comes as a number, as from NumPy.
            return out.reshape(shape)[()]

    def __setitem__(self, key: Any, value: Any) -> None:
        with self._lock:
            if (points := parse_coordinates(key, self.shape)) is not None:
                self._write_points(points, np.asarray(value, dtype=self.dtype))
                return
            axes, ranges, shape = parse_ranges(key, self.shape)
            given = np.asarray(value, dtype=self.dtype)
            values = np.broadcast_to(given, shape)
            # Axes of ints come back, as those that hold one pixel.
            values = values[tuple(np.newaxis if isinstance(at, int) else slice(None) for at in axes)]
            with self._all_or_nothing() as write:
                # Zeros change nothing in tiles that do not exist.
                existing = None if given.any() else self.tiles
                for tile, inside, outside in overlapping_tiles(ranges, self.chunks, existing):
                    if tile in self.tiles or values[outside].any():
                        # A copy: the tile as it is may have to be put back.
                        changed = self._tile(tile).copy()
                        changed[inside] = values[outside]
                        write(tile, changed)

    def _read_points(self, points: list[NDArray[np.int64]]) -> NDArray[Any]:
        out = np.zeros(points[0].size, dtype=self.dtype)
        for tile, which, inside in group_by_tile(points, self.shape, self.chunks):
            if tile in self.tiles:
                out[which] = self._tile(tile)[inside]
        return out.reshape(points[0].shape)

    def _write_points(self, points: list[NDArray[np.int64]], value: NDArray[Any]) -> None:
        values = np.broadcast_to(value, points[0].shape)
        flat = values.reshape(-1) if value.ndim else None
        with self._all_or_nothing() as write:
            for tile, which, inside in group_by_tile(points, self.shape, self.chunks):
                changed = self._tile(tile).copy()
                changed[inside] = value if flat is None else flat[which]
                write(tile, changed)

    # -- tiles ------------------------------------------------------------------------------------

    def region(self, tile: Tile) -> tuple[slice, ...]:
        """Return where a tile lies; those at the far edges are cut."""
        edges = zip(tile, self.chunks, self.shape, strict=True)
        return tuple(slice(at * side, min((at + 1) * side, size)) for at, side, size in edges)

    def _tile(self, tile: Tile) -> NDArray[Any]:
        """Return the pixels of a tile, not to be written."""
        if tile not in self.tiles:
            return np.zeros([at.stop - at.start for at in self.region(tile)], dtype=self.dtype)
        if tile not in self._cache:
            self._cache[tile] = np.asarray(self.store[self.region(tile)])
        return self._cache[tile]

    @contextmanager
    def _all_or_nothing(self) -> Iterator[Callable[[Tile, NDArray[Any]], None]]:
        """Give a function that writes tiles; if one cannot be written, those before it are put back."""
        before: deque[tuple[Tile, NDArray[Any]]] = deque(maxlen=_PUT_BACK)

        def write(tile: Tile, pixels: NDArray[Any]) -> None:
            old = self._tile(tile)
            self._write_tile(tile, pixels)
            before.append((tile, old))

        try:
            yield write
        except OSError:
            for tile, old in reversed(before):
                with suppress(OSError):
                    self._write_tile(tile, old)
            raise

    def _write_tile(self, tile: Tile, pixels: NDArray[Any]) -> None:
        """Replace the pixels of a tile, on the disk first: a full disk then changes nothing."""
        self.store[self.region(tile)] = pixels
        if highest := int(pixels.max(initial=0)):
            self.tiles[tile] = highest
            self._cache[tile] = pixels
        else:
            self.tiles.pop(tile, None)
            self._cache.pop(tile, None)


def make_tiled(
    shapes: Sequence[tuple[int, ...]], chunks: Sequence[tuple[int, ...]], attributes: dict[str, Any]
) -> list[TiledLabels]:
    """Make empty labels in a new folder, which goes with them if they stay empty.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Shape of each resolution, finest first.
    chunks : sequence of tuple of int
        Sides of the tiles of each.
    attributes : dict
        What the folder says of itself, as zarr attributes.
    """
    import zarr  # a third of a second, which most sessions need not spend

    folder = _new_folder()
    group = zarr.open_group(str(folder), mode="w", zarr_format=2, attributes=attributes)
    levels = [
        TiledLabels(
            group.create_array(
                str(number),
                shape=shape,
                chunks=sides,
                dtype=DTYPE,
                fill_value=0,
                # One folder for each axis, as OME-Zarr 0.4 has it.
                chunk_key_encoding={"name": "v2", "separator": "/"},
                # A tile that is emptied leaves the disk.
                config={"write_empty_chunks": False},
            ),
            folder,
        )
        for number, (shape, sides) in enumerate(zip(shapes, chunks, strict=True))
    ]
    # The dictionary of tiles, not the labels: those have to be free to go.
    weakref.finalize(levels[0], _remove_if_empty, folder, levels[0].tiles)
    return levels


def _new_folder() -> Path:
    """Make a folder that nobody uses."""
    above = home() / "labels"
    above.mkdir(parents=True, exist_ok=True)
    stem = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
    for number in range(10_000):
        try:
            # It fails where another window made the same name first; looking beforehand could not tell.
            (folder := above / f"{stem}-{number}.zarr").mkdir()
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{above} is full of labels of this second")


def _remove_if_empty(folder: Path, tiles: dict[Any, int]) -> None:
    if not tiles:
        shutil.rmtree(folder, ignore_errors=True)
