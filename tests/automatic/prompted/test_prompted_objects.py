"""Which prompts mean which object, and the objects of rough labels."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam.automatic.prompted import grid_points, objects_of_labels, objects_of_prompts
from napari_sam.errors import InputError
from napari_sam.prompts import BoxPrompt, PointPrompt, PromptSet

POINTS = (PointPrompt((10, 10)), PointPrompt((30, 40)))
BOXES = (BoxPrompt((0, 0), (20, 20)), BoxPrompt((5, 5), (12, 12)))


def sets(objects):
    return [one.prompts for one in objects]


def test_each_point_and_each_box_is_an_object_in_order():
    objects, unused = objects_of_prompts(POINTS, BOXES)
    assert sets(objects) == [PromptSet((prompt,)) for prompt in (*POINTS, *BOXES)]
    assert unused == 0
    assert all(one.rough is None and one.label == 0 for one in objects)


def test_prompts_at_one_place_count_once():
    objects, _ = objects_of_prompts((*POINTS, POINTS[0]), (BOXES[0], BOXES[0]))
    assert len(objects) == 3


def test_a_negative_point_belongs_to_the_nearest_point():
    negative = PointPrompt((28, 40), positive=False)
    objects, _ = objects_of_prompts((*POINTS, negative))
    assert sets(objects) == [PromptSet((POINTS[0],)), PromptSet((POINTS[1], negative))]


def test_a_negative_point_belongs_to_the_smallest_box_that_it_is_in():
    negative = PointPrompt((6, 6), positive=False)
    objects, _ = objects_of_prompts((negative,), BOXES)
    assert sets(objects) == [PromptSet((BOXES[0],)), PromptSet((BOXES[1], negative))]


def test_a_negative_point_outside_of_all_boxes_belongs_to_the_nearest():
    negative = PointPrompt((25, 10), positive=False)
    objects, _ = objects_of_prompts((negative,), BOXES)
    assert objects[0].prompts.points == (negative,)


def test_negative_points_alone_are_of_no_use():
    assert objects_of_prompts((PointPrompt((1, 1), positive=False),)) == ((), 1)


def test_each_id_is_an_object_with_its_mask():
    labels = np.zeros((20, 30), np.int32)
    labels[2:5, 3:9] = 7
    labels[10:12, 20:22] = 3
    labels[10, 28] = 7  # a second piece
    objects = objects_of_labels(labels)
    assert [one.label for one in objects] == [3, 7]
    for one in objects:
        np.testing.assert_array_equal(one.rough.whole(), labels == one.label)


def test_ids_of_a_part_lie_on_the_plane():
    labels = np.zeros((4, 5), np.uint8)
    labels[1, 2] = 200
    [one] = objects_of_labels(labels, start=(10, 20), plane=(50, 60))
    assert one.rough.plane == (50, 60)
    assert np.argwhere(one.rough.whole()).tolist() == [[11, 22]]


def test_labels_without_background_have_their_objects_all_the_same():
    assert [one.label for one in objects_of_labels(np.array([[1, 1], [4, 4]]))] == [1, 4]
    assert objects_of_labels(np.zeros((3, 3), int)) == ()


def test_huge_ids_take_no_memory():
    labels = np.zeros((3, 3), np.int64)
    labels[1, 1] = 2**40
    [one] = objects_of_labels(labels)
    assert one.label == 2**40


def test_a_grid_is_centred_and_regular():
    points = grid_points((100, 0), (40, 61), 20)
    positions = np.array([point.position for point in points])
    np.testing.assert_array_equal(np.unique(positions[:, 0]), [109.5, 129.5])
    np.testing.assert_array_equal(np.unique(positions[:, 1]), [10, 30, 50])
    assert len(points) == 6


def test_a_grid_wider_than_the_part_has_one_point_in_its_middle():
    assert grid_points((0, 0), (11, 21), 500) == (PointPrompt((5, 10)),)


@pytest.mark.parametrize("spacing", [0, 0.5, -3, float("nan"), float("inf")])
def test_a_grid_without_spacing_is_refused(spacing):
    with pytest.raises(InputError, match="spacing"):
        grid_points((0, 0), (10, 10), spacing)
