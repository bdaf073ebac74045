"""Proposals of all tiles at hand: where each lies in memory, its mask from disk while it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from cachetools import LRUCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sam.automatic.proposals import Proposal
    from napari_sam.automatic.tiles.plan import Tile
    from napari_sam.automatic.tiles.records import TileRecords
    from napari_sam.masks import BoxedMask

_EDGE = 2
"""Pixels of the picture: a mask this near to an inner border of its tile is cut off there; see `Crop.cut_sides`."""
_CACHE_BYTES = 2**27
"""Bytes of masks that are kept in memory."""
_OVERHEAD = 1_000
"""Bytes that a proposal takes besides its mask, about."""


class PieceMasks:
    """Masks of what was found, by tile and place in the tile: read again where they are no longer in memory.

    Parameters
    ----------
    records : TileRecords
        Of which all tiles are done.
    least_score : float
        What has a lower score is left out.
    least_match : float
        What is looked for and fits nothing as well as this is left out.
    """

    def __init__(self, records: TileRecords, least_score: float = 0.0, least_match: float = 0.0) -> None:
        self.plan = records.plan
        self._records = records
        self._least = least_score
        self._least_match = least_match
        self._cache: LRUCache[int, list[Proposal]] = LRUCache(_CACHE_BYTES, _size)

    def of_tile(self, number: int) -> list[Proposal]:
        """Return what was found in a tile."""
        if (found := self._cache.get(number)) is not None:
            return found
        read = self._records.proposals(self.plan.tiles[number])
        found = [
            proposal
            for proposal in read
            if proposal.score >= self._least and max(proposal.matches, default=1.0) >= self._least_match
        ]
        # A tile that is larger than all of the memory set aside is not kept.
        if _size(found) <= self._cache.maxsize:
            self._cache[number] = found
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Where the proposals of all tiles lie, and how good they are.

    Attributes
    ----------
    masks : PieceMasks
        Their masks.
    first : numpy.ndarray, shape (tiles + 1,), int64
        The number of the first piece of each tile; pieces are numbered tile by tile.
    low, high : numpy.ndarray, shape (n, 2), int64
        Boxes, data pixels, (y, x): the first pixels, and the ends.
    area : numpy.ndarray, shape (n,), int64
        Data pixels.
    score, rank : numpy.ndarray, shape (n,), float64
        As in `Proposal`.
    cut : numpy.ndarray, shape (n,), bool
        Whether the piece goes on beyond a border of its tile, as far as can be told.
    """

    masks: PieceMasks
    first: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    area: NDArray[np.int64]
    score: NDArray[np.float64]
    rank: NDArray[np.float64]
    cut: NDArray[np.bool_]

    @classmethod
    def of(cls, masks: PieceMasks, done: Callable[[float], None]) -> Pieces:
        """Look through all tiles once; `done` is called with the share of them."""
        counts, rows = [0], []
        for tile in masks.plan.tiles:
            done(tile.number / len(masks.plan.tiles))
            found = masks.of_tile(tile.number)
            counts.append(len(found))
            rows += [
                (*proposal.mask.origin, *proposal.mask.mask.shape, proposal.mask.area, proposal.score, proposal.rank)
                for proposal in found
            ]
        table = np.array(rows, np.float64).reshape(len(rows), 7)
        low, sides = table[:, :2].astype(np.int64), table[:, 2:4].astype(np.int64)
        first, high = np.cumsum(counts), low + sides
        cut = np.zeros(len(rows), bool)
        for tile in masks.plan.tiles:
            own = slice(first[tile.number], first[tile.number + 1])
            cut[own] = _cut(tile, low[own], high[own], masks.plan.plane)
        return cls(masks, first, low, high, table[:, 4].astype(np.int64), table[:, 5], table[:, 6], cut)

    def __len__(self) -> int:
        return len(self.area)

    def tile(self, piece: int) -> int:
        """Return the number of the tile in which a piece was found."""
        return int(np.searchsorted(self.first, piece, side="right")) - 1

    def proposal(self, piece: int) -> Proposal:
        """Return what was found."""
        tile = self.tile(piece)
        return self.masks.of_tile(tile)[piece - int(self.first[tile])]

    def mask(self, piece: int) -> BoxedMask:
        """Return the mask of a piece on the plane."""
        return self.proposal(piece).mask


def _cut(tile: Tile, low: NDArray[np.int64], high: NDArray[np.int64], plane: tuple[int, int]) -> NDArray[np.bool_]:
    """Tell which boxes of a tile reach a border that is not the plane's."""
    start, stop, near = np.array(tile.crop.start), np.array(tile.crop.stop), _EDGE * np.array(tile.crop.steps)
    before, after = (start > 0) & (low < start + near), (stop < plane) & (high > stop - near)
    found: NDArray[np.bool_] = (before | after).any(axis=1)
    return found


def _size(found: list[Proposal]) -> int:
    return sum(proposal.mask.mask.nbytes + _OVERHEAD for proposal in found)
