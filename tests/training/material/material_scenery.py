"""Images with objects of known places."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_sam.training.material import TaughtPlane


def texture(seed, shape=(96, 96), smooth=2.0):
    """A picture, (H, W, 3) uint8, that looks like no other of another seed."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), smooth)
    grey = ((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def squares(shape, places, side=6):
    """Labels with squares, numbered from 1 up, at places (top, left)."""
    labels = np.zeros(shape, np.uint16)
    for number, (top, left) in enumerate(places, 1):
        labels[top : top + side, left : left + side] = number
    return labels


def grid(shape=(96, 96), step=16, side=6):
    """Labels with squares all over, none at the border."""
    return squares(
        shape, [(y, x) for y in range(5, shape[0] - side, step) for x in range(5, shape[1] - side, step)], side
    )


def plane(seed=0, group="g", labels=None, *, name="cells.tif", complete=True):
    labels = grid() if labels is None else labels
    return TaughtPlane(name, group, texture(seed, labels.shape), labels, complete)
