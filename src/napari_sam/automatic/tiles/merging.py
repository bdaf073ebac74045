"""From the proposals of all tiles to labels on disk, each object once: the same whatever the order of the tiles was.

Masks are laid as `napari_sam.automatic.proposals.lay` lays them, the best first. Whether one fits depends only on what
overlaps with it, so that the order matters only among those: the merge goes from tile to tile, and keeps in memory the
labels around the tile, not of the plane.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.automatic.tiles.label_blocks import LabelBlocks
from napari_sam.automatic.tiles.merged import MergedObject
from napari_sam.automatic.tiles.pieces import PieceMasks, Pieces
from napari_sam.automatic.tiles.stitching import stitch
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sam.automatic.tiles.label_blocks import LabelStore
    from napari_sam.automatic.tiles.records import TileRecords
    from napari_sam.progress import Progress

_READ, _STITCHED = 0.2, 0.6  # shares of the work that are done after these steps
_BLOCK = 1024
"""Side of what is laid at a time of an object that was joined, data pixels."""


def merge_tiles(
    records: TileRecords,
    labels: LabelStore,
    *,
    overlap: float = 0.5,
    least_area: float = 1,
    least_score: float = 0.0,
    least_match: float = 0.0,
    first: int = 1,
    progress: Progress = no_progress,
) -> list[MergedObject]:
    """Make labels of the proposals of all tiles.

    Parameters
    ----------
    records : TileRecords
        Of which all tiles are done.
    labels : LabelStore, shape (H, W)
        Written block by block; whatever it held is replaced.
    overlap : float
        Most that two objects may have in common, as a share of the smaller one.
    least_area : float
        Least data pixels of an object.
    least_score : float
        Proposals with a lower score are left out.
    least_match : float
        Where something is looked for, proposals that fit nothing as well as this are left out.
    first : int
        Number of the first object.
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`.

    Returns
    -------
    list of MergedObject
        What is known of the objects numbered `first` to ``first + n - 1``.

    Raises
    ------
    InputError
        If a tile was not done, or its file is damaged.
    """
    pieces = Pieces.of(PieceMasks(records, least_score, least_match), lambda share: progress(_READ * share))
    members = stitch(pieces, lambda share: progress(_READ + (_STITCHED - _READ) * share))
    blocks = LabelBlocks(labels, records.plan.plane)
    merged: list[MergedObject] = []
    areas: dict[int, int] = {}
    order = _LayingOrder(pieces, members)
    for count, number in enumerate(order):
        # Not after every object: there may be a million.
        if count % 256 == 0:
            progress(_STITCHED + (1 - _STITCHED) * count / len(members))
        label = first + len(merged)
        free = _free(pieces, members[number], blocks, areas, overlap, least_area)
        if free:
            for origin, mask in _parts(pieces, members[number]):
                blocks.fill(origin, mask, label)
            areas[label] = free
            merged.append(MergedObject.of(pieces.proposal(int(piece)) for piece in members[number]))
    blocks.finish()
    progress(1.0)
    return merged


def _free(
    pieces: Pieces,
    members: NDArray[np.int64],
    blocks: LabelBlocks,
    areas: dict[int, int],
    overlap: float,
    least_area: float,
) -> int:
    """Count the pixels that an object would get; 0 if it is left out."""
    common: dict[int, int] = {}
    for origin, mask in _parts(pieces, members):
        under = blocks.read(origin, (mask.shape[0], mask.shape[1]))[mask]
        for label, count in zip(*np.unique(under, return_counts=True), strict=True):
            common[int(label)] = common.get(int(label), 0) + int(count)
    area, free = sum(common.values()), common.pop(0, 0)
    if any(count > overlap * min(area, areas[label]) for label, count in common.items()):
        return 0
    return 0 if free < max(least_area, area / 2) else free


def _parts(pieces: Pieces, members: NDArray[np.int64]) -> Iterator[tuple[tuple[int, int], NDArray[np.bool_]]]:
    """Yield an object in parts that have no pixel in common: where each lies, and its mask."""
    if len(members) == 1:
        mask = pieces.mask(int(members[0]))
        yield mask.origin, mask.mask
        return
    # Block by block: a mesh of vessels may go through the whole plane.
    low, high = pieces.low[members].min(axis=0), pieces.high[members].max(axis=0)
    for top in range(int(low[0]), int(high[0]), _BLOCK):
        for left in range(int(low[1]), int(high[1]), _BLOCK):
            start = np.array([top, left])
            stop = np.minimum(start + _BLOCK, high)
            within = members[((pieces.low[members] < stop) & (pieces.high[members] > start)).all(axis=1)]
            if not len(within):
                continue
            found = np.zeros(stop - start, bool)
            for piece in within:
                mask = pieces.mask(int(piece))
                begin, end = np.maximum(start, mask.origin), np.minimum(stop, pieces.high[piece])
                inside = tuple(map(slice, begin - start, end - start))
                found[inside] |= mask.mask[tuple(map(slice, begin - mask.origin, end - mask.origin))]
            yield (top, left), found


class _LayingOrder:
    """Objects tile by tile, each after all that are better and may have pixels in common with it."""

    def __init__(self, pieces: Pieces, members: list[NDArray[np.int64]]) -> None:
        count = len(members)
        self.low = np.array([pieces.low[own].min(axis=0) for own in members], np.int64).reshape(count, 2)
        self.high = np.array([pieces.high[own].max(axis=0) for own in members], np.int64).reshape(count, 2)
        self.tile = [pieces.tile(int(own[0])) for own in members]
        rank = np.array([np.average(pieces.rank[own], weights=pieces.area[own]) for own in members], np.float64)
        # Of equals the one that was found first: numbers are in the order of tiles, and of finding in each.
        place = np.empty(count, np.int64)
        place[np.argsort(-rank, kind="stable")] = np.arange(count)
        self.place = place

    def __iter__(self) -> Iterator[int]:
        before, after = self._overlaps()
        waiting = np.bincount(after, minlength=len(self.place))
        followers = after[np.argsort(before, kind="stable")]
        ends = np.searchsorted(np.sort(before), np.arange(len(self.place) + 1))
        ready = [
            (self.tile[number], int(self.place[number]), number) for number in np.flatnonzero(waiting == 0).tolist()
        ]
        heapq.heapify(ready)
        while ready:
            *_, number = heapq.heappop(ready)
            yield number
            for follower in followers[ends[number] : ends[number + 1]].tolist():
                waiting[follower] -= 1
                if not waiting[follower]:
                    heapq.heappush(ready, (self.tile[follower], int(self.place[follower]), follower))

    def _overlaps(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pair objects whose boxes have pixels in common: the better ones, and the others."""
        order = np.argsort(self.low[:, 0], kind="stable")
        low, high, place = self.low[order], self.high[order], self.place[order]
        one, two = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        # Those that start after an object, and before it ends.
        ends = np.searchsorted(low[:, 0], high[:, 0])
        for at in range(len(order)):
            others = slice(at + 1, int(ends[at]))
            meet = (low[others, 1] < high[at, 1]) & (high[others, 1] > low[at, 1])
            near = np.flatnonzero(meet) + at + 1
            better = place[near] < place[at]
            one.append(np.where(better, order[near], order[at]))
            two.append(np.where(better, order[at], order[near]))
        return np.concatenate(one), np.concatenate(two)
