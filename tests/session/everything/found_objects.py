"""What a search finds in these tests."""

from __future__ import annotations

import numpy as np
from session_scenery import DISCS, SHAPE

from napari_sam.automatic import Proposal
from napari_sam.masks import BoxedMask


def disc(y, x, radius, shape=SHAPE):
    """Pixels of a disc, (H, W) bool."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def two_discs(plane):
    """Find the two bright discs of the picture, the first one with a higher score."""
    bright = plane.rendered[..., 0] > 100
    found = []
    for score, (y, x) in zip((0.9, 0.7), DISCS, strict=True):
        mask = bright & disc(y, x, 8, plane.shape)
        if mask.any():
            found.append(Proposal(BoxedMask.of(mask), score))
    return found


def these(*proposals):
    """Find proposals whatever is looked at."""
    return lambda plane: list(proposals)


def proposal(mask, score=0.9, stability=1.0):
    return Proposal(BoxedMask.of(mask), score, stability)
