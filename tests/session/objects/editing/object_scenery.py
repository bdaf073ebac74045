"""Labels that another tool made of the two discs, wrong in several ways."""

from __future__ import annotations

import numpy as np
from session_scenery import DISCS, SHAPE

LEFT, RIGHT = 7, 12
"""Ids of the discs in the other tool's labels."""


def rough(shape=SHAPE, dtype=np.int32):
    """Rectangles where the discs are: the left one too small, the right one too wide."""
    labels = np.zeros(shape, dtype)
    (y, x), (v, u) = DISCS
    labels[..., y - 2 : y + 3, x - 2 : x + 3] = LEFT
    labels[..., v - 4 : v + 5, u - 9 : u + 10] = RIGHT
    return labels


def at(layer, *place):
    """Where a data pixel of a layer is in the world."""
    return np.asarray(layer.data_to_world(place), float)
