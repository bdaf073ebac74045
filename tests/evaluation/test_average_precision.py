import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from counting import lines_of
from napari_sam.errors import InputError
from napari_sam.evaluation import average_precision as module
from napari_sam.evaluation.average_precision import THRESHOLDS, average_precision, match_counts, mean_average_precision

LABELS = arrays(np.uint8, (6, 7), elements=st.integers(0, 4))


def by_hand(truth: np.ndarray, answer: np.ndarray) -> list[float]:
    """The definition, pair by pair."""
    masks = [[labels == label for label in set(labels.ravel().tolist()) - {0}] for labels in (truth, answer)]
    overlaps = [(a & b).sum() / (a | b).sum() for a in masks[0] for b in masks[1]]
    curve = []
    for step in range(10):
        found = sum(bool(overlap > 0.5 + 0.05 * step + 1e-9) for overlap in overlaps)
        everything = len(masks[0]) + len(masks[1]) - found
        curve.append(found / everything if everything else 1.0)
    return curve


def test_thresholds_go_from_half_to_95_percent_in_steps_of_5():
    assert len(THRESHOLDS) == 10
    assert THRESHOLDS == pytest.approx([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95], abs=1e-12)


@given(LABELS, LABELS)
def test_equals_the_definition_pair_by_pair(truth, answer):
    assert average_precision(truth, answer).tolist() == pytest.approx(by_hand(truth, answer))


@given(LABELS)
def test_truth_scores_one_and_names_do_not_count(truth):
    renamed = np.array([0, 900, 7, 65000, 31])[truth]
    assert average_precision(truth, renamed).tolist() == [1.0] * 10


def test_counts_what_was_found_missed_and_made_up():
    truth = np.zeros((10, 30), np.uint16)
    truth[:, :10], truth[:, 20:] = 3, 8
    answer = np.zeros((10, 30), np.int32)
    answer[:8, :10], answer[:, 12:14], answer[:, 15:17] = 1, 2, 9  # 80 of 100 pixels of one; two that are nothing
    counts = match_counts(truth, answer)
    assert (counts.truths, counts.answers) == (2, 3)
    assert counts.found.tolist() == [1] * 6 + [0] * 4  # not at .8: the overlap has to be greater
    assert counts.missed.tolist() == [1] * 6 + [2] * 4
    assert counts.made_up.tolist() == [2] * 6 + [3] * 4
    assert average_precision(truth, answer).tolist() == [1 / 4] * 6 + [0.0] * 4
    assert mean_average_precision(truth, answer) == pytest.approx(0.15)


def test_an_object_cut_in_equal_halves_is_not_found():
    truth = np.ones((4, 4), np.uint8)
    halves = np.repeat([[1, 1, 2, 2]], 4, axis=0)
    assert match_counts(truth, halves).found.tolist() == [0] * 10


def test_nothing_found_where_nothing_is_scores_one_else_zero():
    nothing, something = np.zeros((5, 5), np.uint8), np.eye(5, dtype=np.uint8)
    assert average_precision(nothing, nothing).tolist() == [1.0] * 10
    assert average_precision(nothing, something).tolist() == [0.0] * 10
    assert average_precision(something, nothing).tolist() == [0.0] * 10


def test_an_image_without_background():
    full = np.repeat([[1, 2]], 6, axis=0)
    assert average_precision(full, full).tolist() == [1.0] * 10


def test_refuses_what_is_no_pair_of_label_images():
    labels = np.zeros((4, 4), np.uint8)
    with pytest.raises(InputError, match=r"one shape"):
        average_precision(labels, labels[:3])
    with pytest.raises(InputError, match="integers"):
        average_precision(labels, labels.astype(float))


def test_thousands_of_objects_take_no_loop_over_pairs():
    grid = np.arange(128 * 128).reshape(128, 128).repeat(8, 0).repeat(8, 1)
    with lines_of(module) as count:
        counts = match_counts(grid, np.roll(grid, 1, axis=1))
    assert counts.found[0] > 16000
    assert 0 < count.lines < 100
