"""Labels of a plane that is too large for memory, a block at a time: those in use are in memory, others in a store."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_SIDE = 1024
"""Side of a block, data pixels, unless the store has chunks of its own that are larger."""
_CACHE_BYTES = 2**28
"""Bytes of labels that are kept in memory."""

Block = tuple[int, int]
"""Place in the grid of blocks: row and column."""


class LabelStore(Protocol):
    """Labels of a plane, (H, W): a NumPy or zarr array, or anything else that can be sliced and assigned."""

    def __getitem__(self, key: Any, /) -> Any:
        """Read a rectangle."""

    def __setitem__(self, key: Any, value: Any, /) -> None:
        """Write a rectangle."""


class LabelBlocks:
    """Labels that start as 0 everywhere, whatever the store held; it has them all after `finish`.

    Parameters
    ----------
    store : LabelStore
        Nobody else writes to it meanwhile.
    plane : (int, int)
        Height and width, data pixels.
    """

    def __init__(self, store: LabelStore, plane: tuple[int, int]) -> None:
        self._store = store
        self._plane = plane
        # Whole chunks, or each would be packed and unpacked many times.
        chunks = tuple(getattr(store, "chunks", None) or (1, 1))[-2:]
        self._sides = tuple(int(chunk) * max(1, _SIDE // int(chunk)) for chunk in chunks)
        self._most = max(4, _CACHE_BYTES // (4 * self._sides[0] * self._sides[1]))
        self._cache: OrderedDict[Block, NDArray[np.int32]] = OrderedDict()
        self._stored: set[Block] = set()

    def read(self, origin: tuple[int, int], shape: tuple[int, int]) -> NDArray[np.int32]:
        """Copy a rectangle, (h, w)."""
        found = np.zeros(shape, np.int32)
        for block, inside, outside in self._parts(origin, shape):
            found[outside] = self._block(block)[inside]
        return found

    def fill(self, origin: tuple[int, int], mask: NDArray[np.bool_], label: int) -> None:
        """Give the pixels of a mask that have no label yet a label; the mask lies in a rectangle at `origin`."""
        for block, inside, outside in self._parts(origin, mask.shape):
            under = self._block(block)[inside]
            under[mask[outside] & (under == 0)] = label

    def finish(self) -> None:
        """Write what is in memory alone, and 0 wherever there is nothing."""
        counts = [-(-size // side) for size, side in zip(self._plane, self._sides, strict=True)]
        for block in np.ndindex(*counts):
            at = (block[0], block[1])
            if at in self._cache:
                self._store[self._region(at)] = self._cache.pop(at)
            elif at not in self._stored:
                # The store may hold labels of an attempt that was cut short.
                self._store[self._region(at)] = 0

    def _block(self, block: Block) -> NDArray[np.int32]:
        """Return the labels of a block, to be changed in place."""
        if block in self._cache:
            self._cache.move_to_end(block)
            return self._cache[block]
        region = self._region(block)
        if block in self._stored:
            labels = np.array(self._store[region], np.int32)
        else:
            labels = np.zeros([at.stop - at.start for at in region], np.int32)
        self._cache[block] = labels
        if len(self._cache) > self._most:
            oldest, written = self._cache.popitem(last=False)
            self._store[self._region(oldest)] = written
            self._stored.add(oldest)
        return labels

    def _region(self, block: Block) -> tuple[slice, slice]:
        rows, columns = (
            slice(at * side, min((at + 1) * side, size))
            for at, side, size in zip(block, self._sides, self._plane, strict=True)
        )
        return rows, columns

    def _parts(
        self, origin: tuple[int, int], shape: tuple[int, ...]
    ) -> Iterator[tuple[Block, tuple[slice, slice], tuple[slice, slice]]]:
        """Divide a rectangle by blocks: yield each block, the pixels in it, and the same in the rectangle."""
        firsts = [at // side for at, side in zip(origin, self._sides, strict=True)]
        ends = [-(-(at + size) // side) for at, size, side in zip(origin, shape, self._sides, strict=True)]
        for row in range(firsts[0], ends[0]):
            for column in range(firsts[1], ends[1]):
                inside, outside = [], []
                for block, side, at, size in zip((row, column), self._sides, origin, shape, strict=True):
                    low, high = max(at, block * side), min(at + size, (block + 1) * side)
                    inside.append(slice(low - block * side, high - block * side))
                    outside.append(slice(low - at, high - at))
                yield (row, column), (inside[0], inside[1]), (outside[0], outside[1])
