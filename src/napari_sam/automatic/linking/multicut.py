"""Divide a graph whose edges attract or repel into clusters, all edges considered together: the multicut problem.

Greedy additive edge contraction (Keuper et al. 2015, ICCV, "Efficient decomposition of image and mesh graphs by lifted
multicuts"): the two clusters that attract each other most become one, and their edges to a third add up, until none
attract each other.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def multicut(
    edges: NDArray[np.int64], weights: NDArray[np.float64], groups: NDArray[np.int64], rivalry: float
) -> NDArray[np.int64]:
    """Divide the nodes of a graph into clusters.

    Parameters
    ----------
    edges : numpy.ndarray, shape (m, 2), int64
        Nodes that an edge joins; two nodes have one edge at most.
    weights : numpy.ndarray, shape (m,), float64
        How much an edge attracts; negative where it repels.
    groups : numpy.ndarray, shape (n,), int64
        A group of each node, from 0. Nodes of one group repel each other.
    rivalry : float
        By how much, for each group that two clusters have in common.

    Returns
    -------
    numpy.ndarray, shape (n,), int64
        A number of each node's cluster, from 0, in the order of their first nodes.
    """
    near: list[dict[int, float]] = [{} for _ in groups]
    for (one, two), weight in zip(edges.tolist(), weights.tolist(), strict=True):
        near[one][two] = near[two][one] = weight
    # Groups of a cluster as bits of one number: what two have in common is counted at once.
    present: list[int] = [1 << group for group in groups.tolist()]
    parent = list(range(len(near)))

    def attraction(one: int, two: int) -> float:
        return near[one][two] - rivalry * (present[one] & present[two]).bit_count()

    # Smaller numbers first where edges are equal, so that the answer depends on nothing else.
    queue = [(-attraction(one, two), one, two) for one in range(len(near)) for two in near[one] if one < two]
    heapq.heapify(queue)
    while queue:
        negative, one, two = heapq.heappop(queue)
        if negative >= 0:
            break
        # Edges of clusters that are gone, or weigh something else by now: their new entries are in the queue as well.
        if two not in near[one] or attraction(one, two) != -negative:
            continue
        if len(near[one]) < len(near[two]):
            one, two = two, one
        parent[two] = one
        present[one] |= present[two]
        del near[one][two]
        for other, weight in near[two].items():
            if other != one:
                del near[other][two]
                near[one][other] = near[other][one] = near[one].get(other, 0.0) + weight
        near[two] = {}
        for other in near[one]:
            heapq.heappush(queue, (-attraction(one, other), min(one, other), max(one, other)))
    return _numbered(parent)


def _numbered(parent: list[int]) -> NDArray[np.int64]:
    """Give clusters numbers in the order of their first nodes."""
    numbers: dict[int, int] = {}
    found = np.zeros(len(parent), np.int64)
    for node in range(len(parent)):
        root = node
        while parent[root] != root:
            root = parent[root]
        parent[node] = root
        found[node] = numbers.setdefault(root, len(numbers))
    return found
