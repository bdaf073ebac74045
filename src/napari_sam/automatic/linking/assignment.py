"""Pairs of two groups of things, no thing in two pairs, at the least cost in all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NEVER = 1e6
"""Cost of a pair that cannot be."""


def assign(
    one: NDArray[np.int64], two: NDArray[np.int64], cost: NDArray[np.float64], alone: float
) -> NDArray[np.int64]:
    """Choose among pairs so that the sum of their costs, and of what stays alone, is least.

    The linear assignment problem, with a place for what has no partner (Jaqaman et al. 2008, Nature Methods 5:695).
    Groups of pairs that have nothing to do with each other are solved by themselves, so that tables stay small.

    Parameters
    ----------
    one, two : numpy.ndarray, shape (n,), int64
        What each pair consists of.
    cost : numpy.ndarray, shape (n,), float64
        What each costs.
    alone : float
        What it costs to leave a first one without a partner; dearer pairs are never chosen.

    Returns
    -------
    numpy.ndarray, shape (k,), int64
        The pairs that were chosen, ascending.
    """
    able = np.flatnonzero(cost < alone)
    if not len(able):
        return able
    first, rows = np.unique(one[able], return_inverse=True)
    second, columns = np.unique(two[able], return_inverse=True)
    size = len(first) + len(second)
    graph = coo_array((np.ones(len(able), bool), (rows, len(first) + columns)), shape=(size, size))
    _count, group = connected_components(graph, directed=False)
    order = np.argsort(group[rows], kind="stable")
    chosen = []
    for pairs in np.split(order, np.flatnonzero(np.diff(group[rows][order])) + 1):
        if len(pairs) == 1:
            chosen.append(able[pairs])
            continue
        names, row = np.unique(rows[pairs], return_inverse=True)
        others, column = np.unique(columns[pairs], return_inverse=True)
        # A column for each row besides: where it stays alone.
        table = np.full((len(names), len(others) + len(names)), _NEVER)
        table[:, len(others) :][np.diag_indices(len(names))] = alone
        table[row, column] = cost[able[pairs]]
        which = np.full(table.shape, -1)
        which[row, column] = able[pairs]
        found = which[linear_sum_assignment(table)]
        chosen.append(found[found >= 0])
    return np.sort(np.concatenate(chosen))
