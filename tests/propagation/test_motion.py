from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_sam.planes.plane import Plane
from napari_sam.propagation.strategies.motion import moved
from stack_scenery import SHAPE, disc


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


def textured(mask, seed=0):
    """An object of a texture of its own on a ground of another."""
    rng = np.random.default_rng(seed)
    ground, inside = (ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.5) for _ in range(2))
    return np.where(mask, 120 + 60 * inside, 60 + 60 * ground)


@pytest.mark.parametrize("shift", [(0, 0), (2, 1), (-3, 2)])
def test_follows_a_shift(shift):
    mask = disc(16, 20, 7)
    image = textured(mask)
    after, wanted = np.roll(image, shift, (0, 1)), np.roll(mask, shift, (0, 1))
    assert overlap(moved(mask, Plane(image), Plane(after)), wanted) > 0.85
    assert overlap(mask, wanted) < 0.75 or shift == (0, 0)


def test_follows_growth():
    small, large = disc(16, 20, 6), disc(16, 20, 8)
    before, after = (np.where(mask, 200.0, 20.0) for mask in (small, large))
    assert overlap(moved(small, Plane(before), Plane(after)), large) > overlap(small, large) + 0.1


def test_scale_of_the_grey_values_does_not_count():
    mask = disc(16, 20, 7)
    image, after = textured(mask), textured(np.roll(mask, 2, 1))
    one = moved(mask, Plane(image), Plane(after))
    other = moved(mask, Plane((image * 1e-3).astype(np.float32)), Plane((after * 1e-3).astype(np.float32)))
    assert overlap(one, other) > 0.97


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_constant_plane_leaves_the_mask_where_it_is(value):
    mask, flat = disc(16, 20, 7), Plane(np.full(SHAPE, value, np.float32))
    assert np.array_equal(moved(mask, flat, Plane(textured(mask))), mask)
    assert moved(mask, Plane(textured(mask)), flat).any()


@pytest.mark.parametrize("mask", [disc(0, 0, 0), disc(31, 39, 2), np.ones(SHAPE, bool)])
def test_never_loses_the_object(mask):
    noise = (Plane(np.random.default_rng(k).normal(size=SHAPE)) for k in (1, 2))
    assert moved(mask, *noise).any()


def test_a_large_object_is_looked_at_coarsely():
    rows, columns = np.ogrid[:700, :700]
    masks = [np.hypot(rows - 350, columns - 350 - shift) < 200 for shift in (0, 20)]
    planes = [Plane(np.where(mask, 200, 20).astype(np.uint8)) for mask in masks]
    found = moved(masks[0], *planes)
    assert overlap(found, masks[1]) > 0.95 > overlap(*masks)
