from __future__ import annotations

import numpy as np

from napari_sam.propagation.strategies.interpolate import between
from stack_scenery import SHAPE, disc


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


def test_ends_are_the_masks_themselves():
    one, other = disc(16, 20, 8), disc(10, 12, 3)
    assert np.array_equal(between(one, other, 0), one)
    assert np.array_equal(between(one, other, 1), other)


def test_size_and_place_lie_in_between():
    middle = between(disc(16, 12, 8), disc(16, 28, 4), 0.5)
    assert overlap(middle, disc(16, 20, 6)) > 0.9


def test_masks_that_do_not_overlap_do_not_vanish():
    assert overlap(between(disc(5, 5, 3), disc(26, 34, 3), 0.5), disc(15.5, 19.5, 3)) > 0.7


def test_thin_masks_that_cross_leave_something():
    one, other = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    one[16], other[:, 20] = True, True
    assert between(one, other, 0.5).any()
