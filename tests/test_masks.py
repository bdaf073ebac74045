from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask, between, bounding_box, box_slices, decode_mask, deepest_pixel, encode_mask, iou
from stack_scenery import SHAPE, disc

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))
filled = masks.filter(lambda mask: mask.any())


def rectangle(shape, rows, columns):
    mask = np.zeros(shape, bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


class TestIou:
    def test_share_of_what_either_covers(self):
        one, other = rectangle((20, 20), (0, 10), (0, 10)), rectangle((20, 20), (5, 15), (0, 10))
        assert iou(one, other) == pytest.approx(1 / 3)
        assert iou(one, one) == 1
        assert iou(one, np.zeros_like(one)) == 0

    def test_two_empty_masks_agree(self):
        nothing = np.zeros((4, 5), bool)
        assert iou(nothing, nothing) == 1
        assert BoxedMask.of(nothing).iou(BoxedMask.of(nothing)) == 1

    @given(both=hnp.arrays(bool, (2, 6, 7)))
    def test_boxed_masks_say_the_same_without_being_laid_out(self, both):
        one, other = both
        assert BoxedMask.of(one).iou(BoxedMask.of(other)) == iou(one, other)

    def test_boxes_far_apart_share_nothing(self):
        one, other = rectangle((9, 9), (0, 2), (0, 2)), rectangle((9, 9), (6, 9), (6, 9))
        assert BoxedMask.of(one).iou(BoxedMask.of(other)) == 0


class TestBoxes:
    def test_box_ends_after_the_last_pixel(self):
        assert bounding_box(rectangle((9, 9), (2, 5), (3, 4))) == ((2, 3), (5, 4))
        assert bounding_box(np.zeros((3, 3), bool)) is None

    def test_slices_stop_at_the_border_of_the_plane(self):
        assert box_slices(rectangle((20, 40), (0, 4), (36, 40)), 5) == (slice(0, 9), slice(31, 40))
        assert box_slices(rectangle((20, 40), (5, 6), (7, 9))) == (slice(5, 6), slice(7, 9))

    @given(filled)
    def test_slices_without_margin_are_the_box(self, mask):
        low, high = bounding_box(mask)
        assert box_slices(mask) == tuple(map(slice, low, high))

    def test_an_empty_mask_has_none(self):
        with pytest.raises(ValueError, match="empty"):
            box_slices(np.zeros((3, 3), bool))


class TestBoxedMask:
    @given(masks)
    def test_comes_back_whole(self, mask):
        boxed = BoxedMask.of(mask)
        assert np.array_equal(boxed.whole(), mask)
        assert boxed.area == mask.sum()
        assert boxed.plane == mask.shape

    def test_keeps_no_more_than_the_box(self):
        plane = rectangle((100, 100), (10, 14), (20, 23))
        boxed = BoxedMask.of(plane)
        assert (boxed.origin, boxed.mask.shape) == ((10, 20), (4, 3))
        assert boxed.mask.base is None  # a view would hold the whole plane
        assert boxed.box == (slice(10, 14), slice(20, 23))

    def test_an_empty_mask_keeps_nothing(self):
        assert BoxedMask.of(np.zeros((5, 6), bool)).mask.shape == (0, 0)


class TestDeepestPixel:
    def test_the_edge_of_the_plane_is_a_border_for_what_is_closed(self):
        mask = rectangle((31, 31), (0, 31), (0, 11))
        assert deepest_pixel(mask, closed=True)[1] == 5
        assert deepest_pixel(mask, closed=False)[1] == 0

    def test_a_full_plane_is_deepest_in_the_middle(self):
        assert deepest_pixel(np.ones((5, 7), bool), closed=False) == (2, 3)

    @pytest.mark.parametrize("closed", [True, False])
    @given(mask=filled)
    @settings(deadline=None)
    def test_no_pixel_is_farther_from_what_is_outside(self, closed, mask):
        y, x = deepest_pixel(mask, closed=closed)
        assert mask[y, x]
        if closed:
            mask = np.pad(mask, 1)
            y, x = y + 1, x + 1
        if not mask.all():
            depth = ndimage.distance_transform_edt(mask)
            assert depth[y, x] == depth.max()


class TestRuns:
    @settings(deadline=None, max_examples=200)
    @given(
        mask=hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=6)),
        before=st.tuples(st.integers(0, 3), st.integers(0, 3)),
        after=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    )
    def test_masks_come_back(self, mask, before, after):
        shape = tuple(max(1, a + n + b) for a, n, b in zip(before, mask.shape, after, strict=True))
        plane = np.zeros(shape, dtype=bool)
        plane[before[0] : before[0] + mask.shape[0], before[1] : before[1] + mask.shape[1]] = mask
        encoded = encode_mask(mask, before, shape)
        assert encoded["size"] == list(shape)
        assert sum(encoded["counts"]) == plane.size
        assert all(count > 0 for count in encoded["counts"][1:])
        assert np.array_equal(decode_mask(encoded), plane)

    def test_runs_are_those_of_coco(self):
        # column by column, background first
        assert encode_mask(np.array([[0, 1], [1, 1]], bool), (0, 0), (2, 2))["counts"] == [1, 3]
        assert encode_mask(np.array([[1, 0], [0, 1]], bool), (0, 0), (2, 2))["counts"] == [0, 1, 2, 1]
        assert encode_mask(np.ones((1, 1), bool), (1, 1), (3, 3))["counts"] == [4, 1, 4]

    def test_damaged_masks_are_refused(self):
        with pytest.raises(InputError, match="damaged"):
            decode_mask({"size": [2, 2], "counts": [1, 2]})
        with pytest.raises(InputError, match="damaged"):
            decode_mask({"size": [2, 2], "counts": [5, -1]})


def test_ends_are_the_masks_themselves():
    one, other = disc(16, 20, 8), disc(10, 12, 3)
    assert np.array_equal(between(one, other, 0), one)
    assert np.array_equal(between(one, other, 1), other)


def test_size_and_place_lie_in_between():
    middle = between(disc(16, 12, 8), disc(16, 28, 4), 0.5)
    assert iou(middle, disc(16, 20, 6)) > 0.9


def test_masks_that_do_not_overlap_do_not_vanish():
    assert iou(between(disc(5, 5, 3), disc(26, 34, 3), 0.5), disc(15.5, 19.5, 3)) > 0.7


def test_thin_masks_that_cross_leave_something():
    one, other = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    one[16], other[:, 20] = True, True
    assert between(one, other, 0.5).any()


def test_a_mask_of_a_part_is_laid_on_the_plane():
    part = BoxedMask((2, 3), np.array([[True, False], [True, True]]), (10, 12))
    moved = part.shifted((40, -1), (100, 90))
    assert (moved.origin, moved.plane) == ((42, 2), (100, 90))
    assert np.array_equal(moved.mask, part.mask)
    assert part.origin == (2, 3)


@pytest.mark.parametrize(
    ("start", "stop", "cut"),
    [
        ((10, 20), (40, 60), False),
        ((15, 20), (40, 60), True),
        ((10, 25), (40, 60), True),
        ((10, 20), (19, 60), True),
        ((10, 20), (40, 31), True),
        ((14.5, 24.5), (40, 60), False),
    ],
)
def test_what_ends_at_a_border_may_go_on_beyond_it(start, stop, cut):
    assert BoxedMask((15, 25), np.ones((4, 6), bool), (100, 100)).cut_by(start, stop) == cut


@pytest.mark.parametrize("origin", [(0, 0), (0, 30), (36, 0), (36, 44)])
def test_beyond_the_edge_of_the_plane_there_is_nothing(origin):
    assert not BoxedMask(origin, np.ones((4, 6), bool), (40, 50)).cut_by((0, 0), (40, 50))


def test_a_mask_is_cut_to_a_part_of_its_plane():
    mask = np.zeros((20, 30), bool)
    mask[5:9, 10:16] = True
    mask[8, 10] = False
    boxed = BoxedMask.of(mask)
    for start, shape in (((0, 0), (20, 30)), ((6, 12), (10, 10)), ((2, 0), (5, 12)), ((8, 11), (12, 19))):
        part = boxed.within(start, shape)
        expected = mask[start[0] : start[0] + shape[0], start[1] : start[1] + shape[1]]
        np.testing.assert_array_equal(part.whole(), expected)
        assert part.mask.any(axis=1)[[0, -1]].all() and part.mask.any(axis=0)[[0, -1]].all()
    for start in ((9, 0), (0, 16), (12, 20), (0, 0)):
        assert boxed.within(start, (4, 4)).mask.size == 0
