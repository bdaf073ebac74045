from itertools import pairwise

import numpy as np
import pytest

from napari_sam.automatic.calibration import FEATURES, AcceptanceModel, calibrate
from napari_sam.automatic.calibration.threshold import LEAST_ACCEPTED, LEAST_DECISIONS, missing_decisions

SCORE, AREA, CONTRAST = map(FEATURES.index, ("score", "log_area", "contrast"))


def draw(count: int, seed: int, *, steep: float = 1.5, bias: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Draw proposals whose chance to be accepted is known: it grows with the score, and falls away from one size."""
    chance = np.random.default_rng(seed)
    features = np.empty((count, len(FEATURES)))
    evidence = chance.normal(0, 1, count)
    features[:, SCORE] = 1 / (1 + np.exp(-evidence))
    features[:, 1] = chance.uniform(0.6, 1, count)
    features[:, 2] = chance.uniform(0.6, 1, count)
    features[:, AREA] = chance.normal(5, 0.8, count)
    features[:, 4] = chance.uniform(0.7, 1, count)
    features[:, 5] = chance.normal(0, 1, count)
    features[:, CONTRAST] = chance.exponential(1, count)
    logits = bias + steep * evidence + 1.5 - 1.5 * np.abs(features[:, AREA] - 5)
    return features, chance.random(count) < 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("promise", [0.8, 0.9, 0.95])
def test_what_is_promised_is_kept(promise):
    shares = []
    for seed in range(12):
        features, accepted = draw(150, seed)
        found = calibrate(features, accepted, np.repeat(np.arange(3), 50), promise).calibration
        if found is not None:
            others, truth = draw(2000, seed + 1000)
            shares.append(truth[found.confident(others)].mean())
    assert len(shares) >= 6
    assert abs(np.mean(shares) - promise) < 0.05
    assert min(shares) > promise - 0.1


def test_most_of_the_good_proposals_are_confident():
    features, accepted = draw(200, 1)
    found = calibrate(features, accepted, np.repeat(np.arange(4), 50), 0.8).calibration
    others, truth = draw(2000, 77)
    confident = found.confident(others)
    assert truth[confident].sum() > 0.5 * truth.sum()
    assert not confident.all()


def test_a_higher_promise_shows_fewer():
    features, accepted = draw(300, 3)
    planes = np.repeat(np.arange(3), 100)
    counts = [calibrate(features, accepted, planes, p).calibration.confident(features).sum() for p in (0.7, 0.8, 0.9)]
    assert all(more >= fewer for more, fewer in pairwise(counts))
    assert counts[0] > counts[-1] > 0


def test_too_few_decisions_promise_nothing_and_say_how_many_are_missing():
    features, accepted = draw(LEAST_DECISIONS - 3, 0)
    accepted[:] = True
    result = calibrate(features, accepted, np.zeros(len(accepted), int))
    assert (result.calibration, result.reason, result.missing) == (None, "few", 3)
    assert "3 more decisions" in result.words


def test_what_was_rejected_alone_does_not_show_what_is_accepted():
    assert missing_decisions(100, 1) == LEAST_ACCEPTED - 1
    assert missing_decisions(100, 50) == 0


def test_decisions_against_all_sense_leave_nothing_confident():
    features, _ = draw(200, 5)
    # The better the score and the contrast, the worse: no feature may count against a proposal.
    accepted = features[:, SCORE] < 0.5
    result = calibrate(features, accepted, np.repeat(np.arange(4), 50))
    assert (result.calibration, result.reason) == (None, "unsure")
    assert "confident" in result.words


def test_decisions_at_random_leave_nothing_confident():
    for seed in range(5):
        features, _ = draw(200, seed)
        accepted = np.random.default_rng(seed).random(200) < 0.6
        assert calibrate(features, accepted, np.repeat(np.arange(4), 50)).calibration is None


def test_what_does_not_hold_on_a_plane_that_was_left_out_is_not_promised():
    """A model of all four planes puts up with the one on which all is rejected; one of the others is wrong there."""
    for seed in range(4):
        features, accepted = draw(160, seed, steep=3)
        planes = np.repeat(np.arange(4), 40)
        accepted[planes == 3] = False
        result = calibrate(features, accepted, planes, 0.8)
        assert (result.calibration, result.reason) == (None, "unsure")


def test_a_handful_of_good_proposals_is_no_evidence():
    features, accepted = draw(60, 0)[0], np.arange(60) < 6
    features[:, SCORE] = np.where(accepted, 0.97, np.random.default_rng(0).uniform(0.2, 0.5, 60))
    features[:, 1] = np.where(accepted, 0.97, 0.7)
    assert calibrate(features, accepted, np.arange(60) % 3, 0.6).reason == "unsure"


def test_where_all_was_accepted_all_is_confident():
    features, _ = draw(120, 4)
    found = calibrate(features, np.ones(120, bool), np.repeat(np.arange(3), 40)).calibration
    assert found.confident(draw(200, 9)[0]).mean() > 0.95


def test_one_plane_is_enough_where_it_is_clear():
    features, accepted = draw(120, 6, steep=4)
    found = calibrate(features, accepted, np.zeros(120, int)).calibration
    assert found is not None
    assert (found.decisions, found.planes) == (120, 1)
    others, truth = draw(2000, 60, steep=4)
    assert truth[found.confident(others)].mean() > 0.85


def test_a_better_score_never_counts_against_a_proposal():
    for seed in range(5):
        features, accepted = draw(60, seed, steep=0.2)
        model = AcceptanceModel.fit(features, accepted)
        ladder = np.tile(features[0], (20, 1))
        ladder[:, SCORE] = np.linspace(0.05, 0.95, 20)
        assert (np.diff(model.chances(ladder)) >= 0).all()


def test_an_object_of_the_usual_size_is_likelier_than_larger_and_smaller_ones():
    features, accepted = draw(300, 8)
    model = AcceptanceModel.fit(features, accepted)
    ladder = np.tile(features[0], (3, 1))
    ladder[:, AREA] = 3.5, 5, 6.5
    small, usual, large = model.chances(ladder)
    assert usual > small
    assert usual > large


def test_few_decisions_make_chances_moderate():
    features, accepted = draw(400, 10, steep=3)
    best = features[np.argmax(features[:, SCORE])][None]
    few = AcceptanceModel.fit(features[:25], accepted[:25]).chances(best)
    many = AcceptanceModel.fit(features, accepted).chances(best)
    assert few[0] < many[0]


def test_a_feature_that_is_the_same_everywhere_says_nothing():
    features, accepted = draw(100, 11)
    features[:, 2] = 1.0
    model = AcceptanceModel.fit(features, accepted)
    other = features[:1].copy()
    other[:, 2] = 0.3
    assert np.allclose(model.chances(other), model.chances(features[:1]))


def test_many_planes_are_left_out_some_at_a_time(monkeypatch):
    fitted, fit = [], AcceptanceModel.fit
    monkeypatch.setattr(AcceptanceModel, "fit", lambda *data: fitted.append(len(data[1])) or fit(*data))
    features, accepted = draw(400, 13)
    assert calibrate(features, accepted, np.repeat(np.arange(100, 140), 10), 0.8).calibration is not None
    assert fitted == [400] + [360] * 10
