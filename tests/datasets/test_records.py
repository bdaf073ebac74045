from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from mask_scenery import image_of

from napari_sam.datasets.records import AnnotatedImage, MaskObject, from_labels, numbers_of, to_labels
from napari_sam.masks import BoxedMask


@settings(deadline=None)
@given(hnp.arrays(np.uint16, (6, 7), elements={"max_value": 4}))
def test_labels_come_back_with_their_numbers(labels):
    np.testing.assert_array_equal(to_labels(from_labels("a", labels)), labels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.int64])
def test_labels_of_any_type_and_size_are_taken(dtype):
    large = min(np.iinfo(dtype).max, 2**31 - 1)
    labels = np.zeros((5, 6), dtype)
    labels[1, 2:4] = 3
    labels[3:, 5] = large
    image = from_labels("a", labels, plane=2, categories={3: "cell"})
    assert [(one.number, one.category, one.mask.area) for one in image.objects] == [(3, "cell", 2), (large, None, 2)]
    assert image.plane == 2
    np.testing.assert_array_equal(to_labels(image), labels)


def test_objects_keep_no_whole_planes():
    labels = np.zeros((500, 500), np.int32)
    labels[3:5, 6:9] = 1
    (one,) = from_labels("a", labels).objects
    assert one.mask.mask.base is None and one.mask.mask.shape == (2, 3)


def test_of_two_that_overlap_the_smaller_lies_on_top():
    nucleus, cell = np.zeros((2, 8, 8), bool)
    nucleus[3:5, 3:5] = cell[1:7, 1:7] = True
    for order in ([nucleus, cell], [cell, nucleus]):
        labels = to_labels(image_of(order, (8, 8)))
        assert (np.bincount(labels.ravel())[1:] == sorted([4, 32], reverse=order[0] is cell)).all()


@pytest.mark.parametrize("given", [(None, 2), (2, 2), (0, 1), (2**31, 1)])
def test_numbers_that_do_not_tell_objects_apart_are_given_anew(given):
    mask = BoxedMask.of(np.ones((2, 2), bool))
    image = AnnotatedImage("a", (2, 2), tuple(MaskObject(mask, number) for number in given))
    assert numbers_of(image) == [1, 2]
