from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_sam.planes.plane import Plane
from napari_sam.propagation.contrast import Contrast, contrast, grey_values, kept
from napari_sam.propagation.strategies.interpolate import between
from napari_sam.propagation.strategies.mask_prompts import box_around, box_margin, deepest_point, pieces, window
from napari_sam.propagation.strategies.motion import moved
from napari_sam.propagation.strategies.projection import projected_points
from stack_scenery import SHAPE, disc


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


def textured(mask, seed=0):
    """An object of a texture of its own on a ground of another."""
    rng = np.random.default_rng(seed)
    ground, inside = (ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.5) for _ in range(2))
    return np.where(mask, 120 + 60 * inside, 60 + 60 * ground)


class TestPrompting:
    def test_pieces_come_largest_first_without_debris(self):
        mask = disc(8, 8, 2) | disc(20, 25, 6)
        mask[30, 2] = True
        assert [piece.sum() for piece in pieces(mask)] == [disc(20, 25, 6).sum(), disc(8, 8, 2).sum()]
        assert pieces(np.zeros(SHAPE, bool)) == []

    def test_pieces_that_touch_by_a_corner_are_one(self):
        assert len(pieces(np.eye(5, dtype=bool))) == 1

    def test_window_stops_at_the_border(self):
        assert window(disc(0, 39, 3), 5) == (slice(0, 9), slice(31, 40))

    def test_box_runs_along_the_outer_edges(self):
        mask = np.zeros(SHAPE, bool)
        mask[4:7, 10] = True
        assert (box_around(mask).start, box_around(mask).stop) == ((3.5, 9.5), (6.5, 10.5))
        assert box_around(mask, 2).stop == (8.5, 12.5)

    @pytest.mark.parametrize("mask", [disc(16, 20, 7), disc(0, 0, 9), np.ones(SHAPE, bool), disc(3, 3, 0)])
    def test_deepest_point_lies_in_the_mask(self, mask):
        y, x = (int(v) for v in deepest_point(mask).position)
        assert mask[y, x]

    def test_deepest_point_of_a_ring_is_not_its_centre(self):
        y, x = (int(v) for v in deepest_point(disc(16, 20, 12) & ~disc(16, 20, 6)).position)
        assert 7 < np.hypot(y - 16, x - 20) < 12

    def test_box_margin_learns_from_motion_up_to_a_limit(self):
        still, fast = (box_margin([disc(16, 20 - step, 8), disc(16, 20, 8)]) for step in (0, 2))
        assert still == 1
        assert fast == 3
        assert box_margin([disc(16, 5, 4), disc(16, 30, 4)]) < 4


class TestMotion:
    @pytest.mark.parametrize("shift", [(0, 0), (2, 1), (-3, 2)])
    def test_follows_a_shift(self, shift):
        mask = disc(16, 20, 7)
        image = textured(mask)
        after, wanted = np.roll(image, shift, (0, 1)), np.roll(mask, shift, (0, 1))
        assert overlap(moved(mask, Plane(image), Plane(after)), wanted) > 0.85
        assert overlap(mask, wanted) < 0.75 or shift == (0, 0)

    def test_follows_growth(self):
        small, large = disc(16, 20, 6), disc(16, 20, 8)
        before, after = (np.where(mask, 200.0, 20.0) for mask in (small, large))
        assert overlap(moved(small, Plane(before), Plane(after)), large) > overlap(small, large) + 0.1

    def test_scale_of_the_grey_values_does_not_count(self):
        mask = disc(16, 20, 7)
        image, after = textured(mask), textured(np.roll(mask, 2, 1))
        one = moved(mask, Plane(image), Plane(after))
        other = moved(mask, Plane((image * 1e-3).astype(np.float32)), Plane((after * 1e-3).astype(np.float32)))
        assert overlap(one, other) > 0.97

    @pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
    def test_a_constant_plane_leaves_the_mask_where_it_is(self, value):
        mask, flat = disc(16, 20, 7), Plane(np.full(SHAPE, value, np.float32))
        assert np.array_equal(moved(mask, flat, Plane(textured(mask))), mask)
        assert moved(mask, Plane(textured(mask)), flat).any()

    @pytest.mark.parametrize("mask", [disc(0, 0, 0), disc(31, 39, 2), np.ones(SHAPE, bool)])
    def test_never_loses_the_object(self, mask):
        noise = (Plane(np.random.default_rng(k).normal(size=SHAPE)) for k in (1, 2))
        assert moved(mask, *noise).any()

    def test_a_large_object_is_looked_at_coarsely(self):
        rows, columns = np.ogrid[:700, :700]
        masks = [np.hypot(rows - 350, columns - 350 - shift) < 200 for shift in (0, 20)]
        planes = [Plane(np.where(mask, 200, 20).astype(np.uint8)) for mask in masks]
        found = moved(masks[0], *planes)
        assert overlap(found, masks[1]) > 0.95 > overlap(*masks)


class TestContrast:
    def test_difference_of_object_and_ring(self):
        mask = disc(16, 20, 6)
        found = contrast(Plane(np.where(mask, 150.0, 30.0)), mask)
        assert found == Contrast(120.0, 1.0)
        assert contrast(Plane(np.where(mask, 30.0, 150.0)), mask).difference == -120

    def test_what_is_lost_in_noise_counts_little(self):
        mask = disc(16, 20, 6)
        noise = np.random.default_rng(0).normal(0, 10, SHAPE)
        faint, fair, strong = (contrast(Plane(noise + step * mask), mask).clearness for step in (1, 8, 40))
        assert faint < 0.1 < fair < 1 == strong

    def test_an_object_all_over_the_plane_has_no_contrast(self):
        assert contrast(Plane(np.ones(SHAPE)), np.ones(SHAPE, bool)) == Contrast(0.0, 0.0)

    @pytest.mark.parametrize(
        ("now", "before", "start", "left"),
        [
            (100, 100, 100, 1),
            (50, 100, 100, 0.5),
            (80, 80, 200, 0.4),
            (90, 90, 100, 0.9),
            (-20, 100, 100, 0),
            (150, 100, 100, 1),
        ],
    )
    def test_what_is_left(self, now, before, start, left):
        found = kept(Contrast(now, 1), Contrast(before, 1), Contrast(start, 1))
        assert found == pytest.approx(left)

    def test_contrasts_that_were_never_clear_do_not_count(self):
        assert kept(Contrast(0, 0), Contrast(10, 0), Contrast(10, 0)) == 1
        assert kept(Contrast(0, 0), Contrast(10, 0.5), Contrast(10, 0)) == 0.5

    def test_grey_values_of_colour_and_of_what_is_not_finite(self):
        assert grey_values(np.full((2, 2, 4), (10, 20, 60, 255), np.uint8)).tolist() == [[30, 30], [30, 30]]
        assert np.isfinite(grey_values(np.array([[np.nan, np.inf, -np.inf, 1e300]]))).all()


class TestInterpolation:
    def test_ends_are_the_masks_themselves(self):
        one, other = disc(16, 20, 8), disc(10, 12, 3)
        assert np.array_equal(between(one, other, 0), one)
        assert np.array_equal(between(one, other, 1), other)

    def test_size_and_place_lie_in_between(self):
        middle = between(disc(16, 12, 8), disc(16, 28, 4), 0.5)
        assert overlap(middle, disc(16, 20, 6)) > 0.9

    def test_masks_that_do_not_overlap_do_not_vanish(self):
        assert overlap(between(disc(5, 5, 3), disc(26, 34, 3), 0.5), disc(15.5, 19.5, 3)) > 0.7

    def test_thin_masks_that_cross_leave_something(self):
        one, other = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
        one[16], other[:, 20] = True, True
        assert between(one, other, 0.5).any()


def test_projected_points_lie_in_and_around_the_mask():
    mask = disc(16, 20, 7)
    points = projected_points(mask)
    assert {point.positive for point in points} == {True, False}
    for point in points:
        y, x = (int(v) for v in point.position)
        assert mask[y, x] == point.positive
        assert abs(y - 16) <= 9
        assert abs(x - 20) <= 9
