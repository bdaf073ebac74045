"""Clean-up of masks: what holds for every mask, and what is known of a few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from napari_sam.inference.shaping.morphology import fill_holes, grow, keep_parts, smooth
from napari_sam.masks import BoxedMask

CORNERS = np.ones((3, 3), bool)
SIDES = st.integers(1, 24)
MASKS = st.tuples(SIDES, SIDES).flatmap(lambda shape: arrays(bool, shape))
"""Masks of whole planes."""


def apply(function, mask, *args, **options):
    """Do it to a mask of a plane that is cut to its box; the box has to be the smallest afterwards."""
    done = function(BoxedMask.of(mask), *args, **options)
    whole = done.whole()
    assert done.mask.shape == BoxedMask.of(whole).mask.shape
    assert done.origin == BoxedMask.of(whole).origin
    return whole


def open_ground(mask):
    """Pixels of the ground that a walk from beyond the plane reaches."""
    parts, _ = ndimage.label(np.pad(~mask, 1, constant_values=True))
    return (parts == parts[0, 0])[1:-1, 1:-1]


@given(MASKS, st.integers(1, 8))
def test_grown_is_what_lies_within_the_distance(mask, by):
    distance = ndimage.distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, np.inf)
    np.testing.assert_array_equal(apply(grow, mask, by), distance <= by)


@given(MASKS, st.integers(1, 8))
def test_shrunk_is_what_is_left_when_the_ground_grows(mask, by):
    np.testing.assert_array_equal(apply(grow, mask, -by), ~apply(grow, ~mask, by) & mask)


@given(MASKS, st.integers(1, 6))
def test_grown_then_shrunk_holds_the_mask_and_shrunk_then_grown_is_held(mask, by):
    closed = apply(grow, apply(grow, mask, by), -by)
    opened = apply(grow, apply(grow, mask, -by), by)
    assert (closed | ~mask).all()
    assert (mask | ~opened).all()


@given(MASKS)
def test_all_holes_are_filled_and_nothing_else(mask):
    np.testing.assert_array_equal(apply(fill_holes, mask), ~open_ground(mask))


@given(MASKS, st.integers(1, 12))
def test_only_holes_up_to_a_size_are_filled(mask, largest):
    filled = apply(fill_holes, mask, largest)
    holes, count = ndimage.label(~mask & ~open_ground(mask))
    for hole in range(1, count + 1):
        inside = filled[holes == hole]
        assert inside.all() if (holes == hole).sum() <= largest else not inside.any()
    np.testing.assert_array_equal(filled & (holes == 0), mask)


@given(MASKS, st.integers(0, 12))
def test_parts_are_kept_by_their_size(mask, smallest):
    parts, count = ndimage.label(mask, CORNERS)
    kept = apply(keep_parts, mask, smallest=smallest)
    for part in range(1, count + 1):
        inside = kept[parts == part]
        assert inside.all() if (parts == part).sum() >= smallest else not inside.any()
    assert not (kept & ~mask).any()


@given(MASKS)
def test_the_largest_part_is_one_and_none_is_larger(mask):
    parts, count = ndimage.label(mask, CORNERS)
    kept = apply(keep_parts, mask, only_largest=True)
    assert ndimage.label(kept, CORNERS)[1] == min(count, 1)
    assert kept.sum() == max([(parts == part).sum() for part in range(1, count + 1)], default=0)


@given(MASKS, st.integers(1, 5))
@settings(max_examples=50)
def test_smoothing_is_a_gaussian_of_the_whole_plane(mask, radius):
    filtered = ndimage.gaussian_filter(mask.astype(float), radius, truncate=3, mode="nearest")
    far = np.abs(filtered - 0.5) > 1e-5  # elsewhere single precision may decide
    np.testing.assert_array_equal(apply(smooth, mask, radius)[far], (filtered > 0.5)[far])


def test_smoothing_in_tiles_is_smoothing_as_a_whole():
    y, x = np.ogrid[:400, :500]
    mask = ((y - 200) ** 2 / 150**2 + (x - 250) ** 2 / 240**2 < 1) & (
        np.random.default_rng(0).random((400, 500)) > 0.02
    )
    filtered = ndimage.gaussian_filter(mask.astype(np.float32), 3, truncate=3, mode="nearest")
    np.testing.assert_array_equal(apply(smooth, mask, 3), filtered > 0.5)


def test_smoothing_takes_spurs_and_fills_notches_of_a_square():
    mask = np.zeros((60, 60), bool)
    mask[15:45, 15:45] = True
    ragged = mask.copy()
    ragged[10:15, 30], ragged[15:20, 20] = True, False
    smoothed = apply(smooth, ragged, 3)
    assert not smoothed[:14].any()
    assert smoothed[17:43, 17:43].all()


@pytest.mark.parametrize("by", [-3, 3])
def test_an_object_at_the_edge_goes_on_beyond_it(by):
    mask = np.zeros((20, 30), bool)
    mask[:, :12] = True
    moved = np.zeros((20, 30), bool)
    moved[:, : 12 + by] = True
    np.testing.assert_array_equal(apply(grow, mask, by), moved)
    np.testing.assert_array_equal(apply(smooth, mask, 3), mask)


def test_a_bay_at_the_edge_of_the_plane_is_no_hole():
    mask = np.ones((10, 10), bool)
    mask[0:3, 4:6] = False
    mask[6, 6] = False
    filled = apply(fill_holes, mask)
    assert not filled[0:3, 4:6].any()
    assert filled[6, 6]


@pytest.mark.parametrize(("function", "args"), [(grow, (2,)), (grow, (-2,)), (smooth, (2,)), (fill_holes, ())])
def test_nothing_stays_nothing(function, args):
    assert not apply(function, np.zeros((5, 6), bool), *args).any()
