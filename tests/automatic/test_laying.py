"""Masks laid in place of the objects that they were made of."""

from __future__ import annotations

import numpy as np

from napari_sam.automatic.laying import lay_in_place
from napari_sam.masks import BoxedMask

SHAPE = (10, 20)


def box(top, left, bottom, right):
    mask = np.zeros(SHAPE, bool)
    mask[top:bottom, left:right] = True
    return mask


def test_an_object_takes_the_pixels_of_its_own_and_of_nobody():
    labels = np.zeros(SHAPE, int)
    labels[2:6, 2:6] = 5
    labels[2:6, 8:12] = 9
    exact = box(1, 1, 7, 10)
    laid = lay_in_place([BoxedMask.of(exact)], [5], labels)
    np.testing.assert_array_equal(laid == 1, exact & (labels != 9))


def test_objects_may_change_places():
    labels = np.zeros(SHAPE, int)
    one, other = box(0, 0, 5, 5), box(0, 5, 5, 10)
    labels[one], labels[other] = 1, 2
    laid = lay_in_place([BoxedMask.of(other), BoxedMask.of(one)], [1, 2], labels)
    np.testing.assert_array_equal(laid, np.where(other, 1, np.where(one, 2, 0)))


def test_what_finds_no_room_keeps_its_older_pixels():
    """The second mask is under the first, so that its object stays; the first must then not cover that."""
    labels = np.zeros(SHAPE, int)
    labels[0:4, 0:4], labels[0:4, 10:14] = 1, 2
    first = box(0, 0, 4, 14)
    laid = lay_in_place([BoxedMask.of(first), BoxedMask.of(box(0, 4, 4, 9))], [1, 2], labels)
    np.testing.assert_array_equal(laid == 1, first & (labels != 2))
    assert not (laid == 2).any()


def test_numbers_stand_for_masks():
    labels = np.ones(SHAPE, int)
    laid = lay_in_place([BoxedMask.of(box(0, 0, 2, 2))], [1], labels, numbers=[41])
    assert np.unique(laid).tolist() == [0, 41]


def test_nothing_to_lay_is_an_empty_plane():
    assert not lay_in_place([], [], np.ones(SHAPE, int)).any()
