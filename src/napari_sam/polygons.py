"""Which pixels lie in a polygon: those whose centre does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Ring = NDArray[np.float64]
    """Corners, (n, 2) float64, (x, y), pixel edges: pixel (y, x) covers x to x + 1 and y to y + 1. Closed or not."""

_AT_ONCE = 1 << 20  # crossings of edges and rows that are worked out in one go


def inside_odd(rings: Sequence[Ring], low: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which pixels of a box lie in an odd number of rings: a ring in a ring is a hole.

    Parameters
    ----------
    rings : sequence of numpy.ndarray, shape (n, 2), float64
        Corners, (x, y), pixel edges.
    low, size : numpy.ndarray, shape (2,), int64
        Upper left pixel of the box, and its height and width, (y, x).

    Returns
    -------
    numpy.ndarray, shape `size`, bool
    """
    height, width = (int(side) for side in size)
    # How many edges cross the row to the left of each centre, as far as odd or even goes: 256 is even.
    crossed = np.zeros((height, width + 1), dtype=np.uint8)
    for rows, columns, _turns in _crossings(rings, low, height):
        np.add.at(crossed, (rows, np.clip(columns, 0, width)), 1)
    return (np.cumsum(crossed[:, :-1], axis=1, dtype=np.uint8) & 1).astype(bool)


def inside_wound(rings: Sequence[Ring], low: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which pixels of a box the rings go around, on balance: a line that crosses itself cuts no hole.

    Rings of opposite directions cancel each other, so that a hole runs against its outline. The arguments, and what
    comes back, are those of `inside_odd`.
    """
    height, width = (int(side) for side in size)
    # How often the rings have turned around each centre: edges that run down count against those that run up.
    turned = np.zeros((height, width + 1), dtype=np.int16)
    for rows, columns, turns in _crossings(rings, low, height):
        np.add.at(turned, (rows, np.clip(columns, 0, width)), turns)
    inside: NDArray[np.bool_] = np.cumsum(turned[:, :-1], axis=1, dtype=np.int16) != 0
    return inside


def _crossings(
    rings: Sequence[Ring], low: NDArray[np.int64], height: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int16]]]:
    """Give rows whose middle an edge crosses, the first column with its centre right of it, and 1 or -1: down or up."""
    starts = np.concatenate(rings) - low[::-1] - 0.5
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings]) - low[::-1] - 0.5
    upwards = starts[:, 1] > ends[:, 1]
    # One direction for all, so that an edge that is walked twice gives the same columns.
    starts[upwards], ends[upwards] = ends[upwards], starts[upwards]
    turns = np.where(upwards, -1, 1).astype(np.int16)
    first = np.clip(np.ceil(starts[:, 1]), 0, height).astype(np.int64)
    count = np.clip(np.ceil(ends[:, 1]), 0, height).astype(np.int64) - first
    used = count > 0
    starts, ends, first, count, turns = starts[used], ends[used], first[used], count[used], turns[used]
    slope = (ends[:, 0] - starts[:, 0]) / (ends[:, 1] - starts[:, 1])
    total = np.cumsum(count)
    done = 0
    while done < len(count):
        # One edge at least: none crosses more rows than there are.
        stop = max(done + 1, int(np.searchsorted(total, (total[done - 1] if done else 0) + _AT_ONCE, side="right")))
        some = slice(done, stop)
        edge = np.repeat(np.arange(len(count))[some], count[some])
        rows = np.arange(len(edge)) - np.repeat(np.cumsum(count[some]) - count[some], count[some]) + first[edge]
        x = starts[edge, 0] + (rows - starts[edge, 1]) * slope[edge]
        # Clipped as floats: what is far away has no integer.
        yield rows, np.ceil(np.clip(x, -1, 2.0**31)).astype(np.int64), turns[edge]
        done = stop
