"""Which pieces of neighbouring tiles are one object.

In the pixels that two tiles have in common, the same object has about the same outline in both. So a piece that is cut
off by the border of its tile is known again in the neighbour: as a part of something that lies there as a whole, and
then the piece is not needed, or as another piece of an object that no tile holds, and then the two are joined. What is
whole in several tiles is found several times; that is left to those who lay the objects, as all that overlaps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from napari_sam.automatic.tiles.pieces import Pieces
    from napari_sam.automatic.tiles.plan import Tile
    from napari_sam.masks import BoxedMask

_ALIKE = 0.5
"""Least IoU of two outlines, in the pixels that both tiles see, for them to be of one object."""
_HELD = 0.5
"""Least share of a piece that lies in an object for the piece to be nothing but a part of it."""
_TOUCHING = np.ones((3, 3), bool)  # pixels that meet at a corner belong together, too


def stitch(pieces: Pieces, done: Callable[[float], None]) -> list[NDArray[np.int64]]:
    """Sort pieces into objects.

    Parameters
    ----------
    pieces : Pieces
        What was found in all tiles.
    done : callable
        Called with the share of the tiles that were compared with their neighbours.

    Returns
    -------
    list of numpy.ndarray, shape (k,), int64
        The pieces of each object, ascending; most have one. Objects are in the order of their first pieces. Pieces
        that another tile holds as a part of something whole are in none.
    """
    dropped = np.zeros(len(pieces), bool)
    pairs: list[tuple[int, int]] = []
    tiles = pieces.masks.plan.tiles
    for tile in tiles:
        done(tile.number / len(tiles))
        for other in pieces.masks.plan.neighbours(tile):
            for piece, same in _known_again(pieces, tile, other):
                if (
                    not pieces.cut[same]
                    and _common(pieces.mask(piece), pieces.mask(same)) >= _HELD * pieces.area[piece]
                ):
                    dropped[piece] = True
                else:
                    pairs.append((piece, same))
    joined = [pair for pair in pairs if not dropped[list(pair)].any()]
    rows, columns = np.array(joined, np.int64).reshape(len(joined), 2).T
    graph = coo_array((np.ones(len(joined), bool), (rows, columns)), shape=(len(pieces), len(pieces)))
    _count, numbers = connected_components(graph, directed=False)
    kept = np.flatnonzero(~dropped)
    order = kept[np.argsort(numbers[kept], kind="stable")]
    ends = np.flatnonzero(np.diff(numbers[order])) + 1
    return sorted(np.split(order, ends), key=lambda members: int(members[0])) if len(order) else []


def _known_again(pieces: Pieces, tile: Tile, other: Tile) -> set[tuple[int, int]]:
    """Pair pieces that are cut off by the border of a tile with those that are of the same object in another tile."""
    low = np.maximum(tile.crop.start, other.crop.start).astype(int)
    high = np.minimum(tile.crop.stop, other.crop.stop).astype(int)
    ours, theirs = (np.arange(*pieces.first[at.number : at.number + 2]) for at in (tile, other))
    # Only what reaches into the pixels that both tiles see can be told to be the same.
    theirs = theirs[_meet(pieces, theirs, low, high)]
    found = set()
    for piece in ours[pieces.cut[ours] & _meet(pieces, ours, low, high)]:
        near = theirs[_meet(pieces, theirs, pieces.low[piece], pieces.high[piece])]
        for same in _same(pieces, int(piece), near, low, high):
            found.add((int(piece), same))
    return found


def _same(
    pieces: Pieces, piece: int, near: NDArray[np.int64], low: NDArray[np.int_], high: NDArray[np.int_]
) -> set[int]:
    """Find what is outlined as a piece is, within a window: for each part of the piece there, what is most like it."""
    # Part by part: what is connected outside the window may come in several parts here, and those of the neighbour
    # may be connected in another way.
    own = _Parts(pieces.mask(piece), low, high)
    best: dict[int, tuple[float, float, int]] = {}
    for candidate in near.tolist():
        mask = pieces.mask(candidate)
        if not _common(pieces.mask(piece), mask):
            continue
        # Where a window lies inside a cell and its nucleus, both fill it: scores then tell them apart.
        closeness = -abs(float(pieces.score[piece] - pieces.score[candidate]))
        for part, iou in own.alike(_Parts(mask, low, high)):
            if iou >= _ALIKE:
                best[part] = max(best.get(part, (0.0, 0.0, -1)), (iou, closeness, candidate))
    return {candidate for _iou, _closeness, candidate in best.values()}


class _Parts:
    """The connected parts of a mask within a window, data pixels."""

    def __init__(self, mask: BoxedMask, low: NDArray[np.int_], high: NDArray[np.int_]) -> None:
        self.low = np.maximum(mask.origin, low)
        self.high = np.maximum(np.minimum(np.add(mask.origin, mask.mask.shape), high), self.low)
        inside = mask.mask[_slices(self.low, self.high, mask.origin)]
        self.numbers, _count = ndimage.label(inside, _TOUCHING)
        self.areas = np.bincount(self.numbers.ravel())

    def alike(self, other: _Parts) -> list[tuple[int, float]]:
        """Return each part that has pixels in common with one of another mask, and the IoU of the two."""
        low, high = np.maximum(self.low, other.low), np.minimum(self.high, other.high)
        if (low >= high).any():
            return []
        mine = self.numbers[_slices(low, high, self.low)].ravel()
        yours = other.numbers[_slices(low, high, other.low)].ravel()
        both = (mine > 0) & (yours > 0)
        pairs, common = np.unique(mine[both] * len(other.areas) + yours[both], return_counts=True)
        one, two = pairs // len(other.areas), pairs % len(other.areas)
        shares = common / (self.areas[one] + other.areas[two] - common)
        return [(int(part), float(share)) for part, share in zip(one, shares, strict=True)]


def _common(one: BoxedMask, two: BoxedMask) -> int:
    """Count the pixels that two masks have in common."""
    low = np.maximum(one.origin, two.origin)
    high = np.minimum(np.add(one.origin, one.mask.shape), np.add(two.origin, two.mask.shape))
    if (low >= high).any():
        return 0
    return int(np.count_nonzero(one.mask[_slices(low, high, one.origin)] & two.mask[_slices(low, high, two.origin)]))


def _slices(low: NDArray[np.int_], high: NDArray[np.int_], origin: ArrayLike) -> tuple[slice, slice]:
    """Return the rows and columns of a box in an array that starts at `origin`."""
    rows, columns = (
        slice(int(a), int(b)) for a, b in zip(low - np.asarray(origin), high - np.asarray(origin), strict=True)
    )
    return rows, columns


def _meet(pieces: Pieces, which: NDArray[np.int64], low: NDArray[np.int_], high: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Tell which boxes have pixels in common with another box."""
    found: NDArray[np.bool_] = np.all((pieces.low[which] < high) & (pieces.high[which] > low), axis=1)
    return found
