"""What the images of these tests show, and what a person does with them."""

from __future__ import annotations

import numpy as np

SHAPE = (60, 80)
DISCS = ((15, 20), (40, 60))  # centres of two bright discs of radius 6


def discs(shape=SHAPE, dtype=np.uint8, high=200):
    y, x = np.ogrid[: shape[0], : shape[1]]
    image = np.zeros(shape, dtype=dtype)
    for cy, cx in DISCS:
        image[(y - cy) ** 2 + (x - cx) ** 2 <= 36] = high
    return image


def click(session, position, positive=True):
    """Do what a click in the canvas does."""
    session.use_tool("positive" if positive else "negative")
    session.points.add(position)


def accept(session, *position):
    session.points.add(position)
    session.wait(60)
    session.accept()
