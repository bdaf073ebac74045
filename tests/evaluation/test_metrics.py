from __future__ import annotations

import numpy as np
import pytest

from napari_sam.evaluation import metrics
from napari_sam.evaluation.scores import ObjectScore


def score(*clicks, image="a", predicted=None, best=None, box=None, box_predicted=None):
    predicted = clicks if predicted is None else predicted
    return ObjectScore(image, "kind", 1, 100, clicks, predicted, best, box, box_predicted)


class TestClicksNeeded:
    SCORES = (
        score(0.9, 0.95, 0.95, best=0.9),
        score(0.5, 0.85, 0.92, best=0.7),
        score(0.1, 0.2, 0.3, best=0.2),
        score(0.86, 0.4, 0.91, best=0.86),
    )

    def test_the_first_time_counts_and_failure_counts_all(self):
        found = metrics.object_means(self.SCORES)
        assert found["NoC@85"].tolist() == [1, 2, 3, 1]
        assert found["NoC@90"].tolist() == [1, 3, 3, 3]

    def test_failures_are_told_from_late_success(self):
        found = metrics.object_means(self.SCORES)
        assert found["failed@85"].tolist() == [0, 0, 1, 0]
        assert found["failed@90"].tolist() == [0, 0, 1, 0]

    def test_means(self):
        found = metrics.object_measures(self.SCORES)
        assert found["NoC@85"] == 7 / 4
        assert found["failed@90"] == 1 / 4
        assert found["1 click"] == pytest.approx(2.36 / 4)
        assert found["3 clicks"] == pytest.approx(3.08 / 4)
        assert found["best of 3"] == pytest.approx(2.66 / 4)
        assert "box" not in found


@pytest.mark.parametrize(
    ("most", "reported"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 3, 4]), (5, [1, 2, 3, 5]), (9, [1, 2, 3, 5, 9])]
)
def test_the_last_click_is_always_reported(most, reported):
    assert metrics.reported_clicks(most) == reported


def test_boxes_alone():
    found = metrics.object_measures([score(box=0.5, box_predicted=0.9), score(box=0.7, box_predicted=0.8)])
    assert found["box"] == pytest.approx(0.6)
    assert found["bias"] == pytest.approx(0.25)
    assert not [name for name in found if "click" in name or "NoC" in name or "best" in name]


def test_nothing_measured():
    assert metrics.object_measures([]) == {}


@pytest.mark.parametrize(
    ("curve", "fall"), [((0.5, 0.7, 0.7), 0), ((0.5, 0.8, 0.6, 0.55, 0.9), 0.2), ((0.9, 0.1), 0.8), ((0.4,), 0)]
)
def test_largest_fall(curve, fall):
    assert metrics.largest_fall(curve) == pytest.approx(fall)


def test_falls_are_of_the_mean_not_of_single_objects():
    found = metrics.object_measures([score(0.5, 0.9), score(0.9, 0.7)])
    assert found["largest fall"] == 0
    assert metrics.object_measures([score(0.5, 0.6), score(0.9, 0.7)])["largest fall"] == pytest.approx(0.05)


class TestCalibration:
    def test_error_weighs_bins_by_their_answers(self):
        predicted = np.array([0.95, 0.95, 0.95, 0.15])
        measured = np.array([0.90, 0.80, 0.85, 0.55])
        bins = metrics.calibration(predicted, measured)
        assert [(b.low, b.high, b.answers) for b in bins] == [(0.1, 0.2, 1), (0.9, 1.0, 3)]
        assert metrics.expected_calibration_error(bins) == pytest.approx((3 * 0.1 + 1 * 0.4) / 4)

    def test_errors_of_both_signs_cancel_within_a_bin_only(self):
        within = metrics.calibration(np.array([0.5, 0.5]), np.array([0.4, 0.6]))
        across = metrics.calibration(np.array([0.5, 0.6]), np.array([0.4, 0.7]))
        assert metrics.expected_calibration_error(within) == pytest.approx(0)
        assert metrics.expected_calibration_error(across) == pytest.approx(0.1)

    def test_predictions_beyond_the_range_are_kept(self):
        bins = metrics.calibration(np.array([1.2, 1.0, -0.1]), np.array([0.9, 0.8, 0.0]))
        assert [(b.low, b.answers) for b in bins] == [(0.0, 1), (0.9, 2)]
        assert bins[1].predicted == pytest.approx(1.1)

    def test_clicks_and_boxes_all_count(self):
        scores = [score(0.5, 0.7, predicted=(0.6, 0.8), box=0.9, box_predicted=0.7)]
        predicted, measured = metrics.answers(scores)
        assert predicted.tolist() == [0.6, 0.8, 0.7]
        assert measured.tolist() == [0.5, 0.7, 0.9]
        assert metrics.object_measures(scores)["bias"] == pytest.approx(0)

    def test_correlations(self):
        scores = [score(x**4, predicted=(x,)) for x in (0.1, 0.3, 0.5, 0.9)]
        found = metrics.object_measures(scores)
        assert found["Spearman"] == pytest.approx(1)
        assert 0.8 < found["Pearson"] < 0.99
        turned = metrics.object_measures([score(1 - x, predicted=(x,)) for x in (0.1, 0.3, 0.5, 0.9)])
        assert turned["Pearson"] == pytest.approx(-1)

    def test_correlation_of_what_never_varies_is_left_out(self):
        found = metrics.object_measures([score(0.5, predicted=(x,)) for x in (0.1, 0.3, 0.5)])
        assert not {"Pearson", "Spearman"} & set(found)
        assert "Pearson" not in metrics.object_measures([score(0.1), score(0.9)])


class TestInterval:
    def test_it_is_the_same_every_time(self):
        values, images = np.random.default_rng(0).random(60), [n // 6 for n in range(60)]
        assert metrics.bootstrap_interval(values, images) == metrics.bootstrap_interval(values, images)

    def test_it_covers_the_mean_and_narrows_with_more_images(self):
        values = np.random.default_rng(0).random(400)
        few, many = (metrics.bootstrap_interval(values[:n], list(range(n))) for n in (10, 400))
        assert few[0] < values[:10].mean() < few[1]
        assert many[0] < values.mean() < many[1]
        assert many[1] - many[0] < 0.4 * (few[1] - few[0])
        assert many[1] - many[0] == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.15)

    def test_images_are_drawn_and_not_objects(self):
        images = [n // 40 for n in range(400)]
        alike = np.repeat(np.linspace(0, 1, 10), 40)
        low, high = metrics.bootstrap_interval(alike, images)
        low_alone, high_alone = metrics.bootstrap_interval(alike, list(range(400)))
        assert high - low > 4 * (high_alone - low_alone)

    def test_few_images_have_none(self):
        values = np.arange(40.0)
        assert metrics.bootstrap_interval(values, [n % 4 for n in range(40)]) is None
        assert metrics.bootstrap_interval(values, [n % 5 for n in range(40)]) is not None

    def test_images_with_more_objects_weigh_more(self):
        values = np.array([0.0] * 5 + [1.0] * 95)
        images = [0, 1, 2, 3, 4, *(5 + n // 19 for n in range(95))]
        low, high = metrics.bootstrap_interval(values, images)
        assert low > 0.7
        assert high <= 1
