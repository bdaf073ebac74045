from __future__ import annotations

import numpy as np
import pytest

from napari_sam.errors import InputError
from napari_sam.evaluation.synthetic_volumes import KINDS, Volume, synthetic_volume, synthetic_volumes
from napari_sam.evaluation.volumes import CLICKS, VolumeScore, compare, measure_volume
from stack_scenery import BrightEngine, disc


@pytest.mark.parametrize("kind", KINDS)
class TestSyntheticVolumes:
    def test_are_the_same_for_the_same_seed(self, kind):
        one, other, third = (synthetic_volume(kind, seed, (8, 48, 48)) for seed in (1, 1, 2))
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.labels, other.labels)
        assert not np.array_equal(one.image, third.image)

    def test_objects_are_numbered_and_run_over_planes(self, kind):
        labels = synthetic_volume(kind, 3).labels
        numbers = np.unique(labels[labels > 0])
        assert numbers.tolist() == list(range(1, len(numbers) + 1))
        assert len(numbers) >= 3
        for number in numbers:
            where = np.flatnonzero((labels == number).any(axis=(1, 2)))
            assert len(where) >= 2
            assert np.array_equal(where, np.arange(where[0], where[-1] + 1))

    def test_objects_differ_from_the_ground(self, kind):
        volume = synthetic_volume(kind, 4)
        inside, outside = (np.median(volume.image[where]) for where in (volume.labels > 0, volume.labels == 0))
        assert (inside < 0.9 * outside) if kind.startswith("dark") else (inside > 1.5 * outside)


def test_vessels_fork():
    labels = synthetic_volume("vessels", 0).labels
    from scipy import ndimage

    pieces = [[ndimage.label(plane == label)[1] for plane in labels] for label in range(1, labels.max() + 1)]
    assert any(2 in counts and 1 in counts for counts in pieces)


def test_one_volume_of_each_kind_for_each_seed():
    assert [v.name for v in synthetic_volumes(range(2), (4, 32, 32))] == [f"{k} {s}" for s in (0, 1) for k in KINDS]


@pytest.fixture
def volume():
    """A straight column over planes 2 to 7 of 10, and one object on too few planes."""
    labels = np.zeros((10, 32, 40), np.uint8)
    labels[2:8, disc(16, 20, 6)] = 4
    labels[2:4, disc(5, 5, 2)] = 9
    return Volume("column", "columns", np.where(labels > 0, 200, 10).astype(np.uint8), labels)


def test_a_perfect_answer_scores_one(volume):
    for score in measure_volume(BrightEngine(), volume, ["flow", CLICKS]):
        assert score == VolumeScore("column", "columns", 4, score.method, 1.0, 6, 0, 0, 0)


def test_planes_beyond_and_missed_count(volume):
    volume.image[8, disc(16, 20, 6)] = 200  # looks like the object and is not
    volume.image[2] = 10  # and here it cannot be seen
    [score] = measure_volume(BrightEngine(), volume, ["flow"])
    assert (score.beyond, score.missed, score.corrections) == (1, 1, 2)
    assert score.iou == pytest.approx(5 / 7)


def test_progress_and_the_number_of_objects():
    labels = np.zeros((5, 32, 40), np.uint8)
    for number in range(1, 5):
        labels[:, 4:10, 9 * number - 6 : 9 * number] = number
    volume = Volume("boxes", "boxes", np.where(labels > 0, 200, 10).astype(np.uint8), labels)
    told = []
    scores = list(measure_volume(BrightEngine(), volume, ["flow"], most=2, progress=told.append))
    assert [score.label for score in scores] == [1, 4]
    assert told == [0.5, 1.0]


def score(method, iou, volume="v", label=1):
    return VolumeScore(volume, "k", label, method, iou, 5, 0, 0, 0)


def test_comparison_is_object_by_object():
    scores = [score("a", 0.9), score("b", 0.5), score("a", 0.4, label=2), score("b", 0.6, label=2), score("a", 0, "w")]
    found = compare(scores, "a", "b")
    assert found.difference == pytest.approx(0.1)
    assert (found.better, found.worse, found.interval) == (1, 1, None)


def test_comparison_has_an_interval_with_enough_volumes():
    scores = [score(m, v, f"v{k}") for k in range(8) for m, v in (("a", 0.8 + k / 100), ("b", 0.7))]
    low, high = compare(scores, "a", "b").interval
    assert 0.1 < low < 0.135 < high < 0.17


def test_methods_without_a_common_object_cannot_be_compared():
    with pytest.raises(InputError, match="No object"):
        compare([score("a", 1.0)], "a", "b")
