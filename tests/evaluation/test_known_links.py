from __future__ import annotations

import numpy as np

from napari_sam.evaluation.linking import (
    ErrorRates,
    count_links,
    linked_to_one_neighbour,
    plane_by_plane,
    simulated_series,
)

ONLY = {"missing": ErrorRates(1, 0, 0), "merged": ErrorRates(0, 1, 0), "cut": ErrorRates(0, 0, 1)}


def two_squares(planes=3):
    labels = np.zeros((planes, 20, 20), np.int32)
    labels[:, 2:10, 2:10], labels[:, 2:10, 10:18] = 4, 9
    return labels


def count(plane):
    return len(np.unique(plane[plane > 0]))


def test_planes_without_errors_have_the_same_objects_under_numbers_of_their_own():
    labels = two_squares(20)
    planes = plane_by_plane(labels, 0, ErrorRates(0, 0, 0))
    assert np.array_equal(planes > 0, labels > 0)
    assert {(int(plane[5, 5]), int(plane[5, 15])) for plane in planes} == {(1, 2), (2, 1)}


def test_each_kind_of_error():
    labels = two_squares(1)
    assert not plane_by_plane(labels, 0, ONLY["missing"]).any()
    merged, cut = plane_by_plane(labels, 0, ONLY["merged"]), plane_by_plane(labels, 0, ONLY["cut"])
    assert count(merged) == 1 and np.array_equal(merged > 0, labels > 0)
    assert count(cut) == 4 and np.array_equal(cut > 0, labels > 0)


def test_one_neighbour_keeps_numbers_and_no_number_goes_to_two():
    labels = two_squares()
    labels[1] = np.where(labels[1], 13 - labels[1], 0)
    linked = linked_to_one_neighbour(labels)
    assert all(np.array_equal(plane, linked[0]) for plane in linked) and count(linked) == 2
    labels[1, :, 6:10] *= 20  # cut in two: only one half can go on
    assert count(linked_to_one_neighbour(labels)) == 3


def test_cells_of_a_series_divide_into_two_and_stay_on_the_plane():
    labels, mothers = simulated_series(0)
    assert labels.shape == (24, 160, 160) and mothers
    assert set(np.bincount(list(mothers.values()))) <= {0, 2}
    assert all(mother < daughter for daughter, mother in mothers.items())
    assert np.array_equal(labels, simulated_series(0)[0]) and not np.array_equal(labels, simulated_series(1)[0])


def test_links_that_are_missing_and_made_up_are_counted():
    labels = two_squares(4)
    same = [{4: 1, 9: 2}] * 4
    counts = count_links(labels, {}, labels, same, {})
    assert (counts.truths, counts.answers, counts.right) == (6, 6, 6)
    swapped = [*same[:2], {4: 2, 9: 1}, {4: 2, 9: 3}]
    counts = count_links(labels, {}, labels, swapped, {})
    assert (counts.truths, counts.answers, counts.right) == (6, 5, 3)


def test_links_lead_over_gaps_and_from_mothers_to_daughters():
    truth = np.zeros((3, 20, 20), np.int32)
    truth[0, 2:18, 2:18] = 1
    truth[2, 2:18, 2:9], truth[2, 2:18, 10:18] = 2, 3
    found = truth * 7
    mothers = {2: 1, 3: 1}
    right = count_links(truth, mothers, found, [{7: 5}, {}, {14: 6, 21: 8}], {6: [5], 8: [5]})
    assert (right.truths, right.answers, right.right) == (2, 2, 2)
    alone = count_links(truth, mothers, found, [{7: 5}, {}, {14: 5, 21: 8}], {})
    assert (alone.truths, alone.answers, alone.right) == (2, 1, 1)


def test_what_is_no_object_of_the_truth_does_not_count():
    truth = two_squares(2)
    found = truth.copy()
    found[:, 15:18, 2:6] = 50
    found[1, :, 10:15] = 0  # less than half of it is left
    counts = count_links(truth, {}, found, [{4: 1, 9: 2, 50: 3}] * 2, {})
    assert (counts.truths, counts.answers, counts.right) == (1, 1, 1)
