from __future__ import annotations

import numpy as np
import pytest

from napari_sam.propagation.strategies.mask_prompts import box_around, box_margin, deepest_point, pieces
from stack_scenery import SHAPE, disc


def test_pieces_come_largest_first_without_debris():
    mask = disc(8, 8, 2) | disc(20, 25, 6)
    mask[30, 2] = True
    assert [piece.sum() for piece in pieces(mask)] == [disc(20, 25, 6).sum(), disc(8, 8, 2).sum()]
    assert pieces(np.zeros(SHAPE, bool)) == []


def test_pieces_that_touch_by_a_corner_are_one():
    assert len(pieces(np.eye(5, dtype=bool))) == 1


def test_box_runs_along_the_outer_edges():
    mask = np.zeros(SHAPE, bool)
    mask[4:7, 10] = True
    assert (box_around(mask).start, box_around(mask).stop) == ((3.5, 9.5), (6.5, 10.5))
    assert box_around(mask, 2).stop == (8.5, 12.5)


@pytest.mark.parametrize("mask", [disc(16, 20, 7), disc(0, 0, 9), np.ones(SHAPE, bool), disc(3, 3, 0)])
def test_deepest_point_lies_in_the_mask(mask):
    y, x = (int(v) for v in deepest_point(mask).position)
    assert mask[y, x]


def test_deepest_point_of_a_ring_is_not_its_centre():
    y, x = (int(v) for v in deepest_point(disc(16, 20, 12) & ~disc(16, 20, 6)).position)
    assert 7 < np.hypot(y - 16, x - 20) < 12


def test_box_margin_learns_from_motion_up_to_a_limit():
    still, fast = (box_margin([disc(16, 20 - step, 8), disc(16, 20, 8)]) for step in (0, 2))
    assert still == 1
    assert fast == 3
    assert box_margin([disc(16, 5, 4), disc(16, 30, 4)]) < 4
