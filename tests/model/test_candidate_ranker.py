"""What orders the candidates of all scales for a click."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam.model.compact import candidate_ranker
from napari_sam.model.compact.candidate_ranker import FEATURES, CandidateRanker, describe
from napari_sam.model.compact.model import CompactConfig, CompactSam
from napari_sam.model.compact.scales import ScaleCandidate, best, candidates
from napari_sam.model.compact.windowed_decode import Look
from napari_sam.predictor import Predictor
from napari_sam.prompts import BoxPrompt, PointPrompt

TINY = CompactConfig(
    widths=(8, 12, 16),
    blocks=(1, 1, 1),
    attention_blocks=1,
    attention_heads=2,
    decoder_widths=(8, 8, 16),
    decoder_depth=1,
    decoder_heads=2,
    ranker=4,
)
NAMES = ["estimate", "size", "stability", "edge", "probability", "agreement"]


def look(logits: torch.Tensor | None = None) -> Look:
    """A single mask and three candidates: a square of 4 x 4 cells, its left half, and all of the window."""
    if logits is None:
        logits = torch.full((4, 12, 12), -3.0)
        logits[0, 4:8, 4:8] = logits[1, 4:8, 4:8] = 3.0
        logits[2, 4:8, 4:6] = 0.5
        logits[3] = 3.0
    return Look(logits, torch.tensor([0.1, 0.9, 0.6, 0.3]), (0, 0))


def ranker(weights: dict[str, float], bias: float = 0.0) -> CandidateRanker:
    """A ranker whose estimate grows with some of the numbers that candidates are described by."""
    made = CandidateRanker(1)
    for name, weight in weights.items():
        made.weight0[0, NAMES.index(name)] = weight
    made.bias0[0] = 10.0  # far where GELU is a straight line
    made.weight1[0, 0] = made.weight2[0, 0] = 1.0
    made.bias2[0] = bias - 10.0
    return made


def test_candidates_are_described_by_what_is_seen_of_them():
    square, half, window = describe(candidates(look(), 1.0, (0, 0), multimask=True))
    assert square.tolist() == pytest.approx([0.9, 4.0, 1.0, 0.0, 0.9526, 1.0, 1, 0, 0], abs=1e-3)
    # A faint half: nothing of it is left at the higher threshold.
    assert half.tolist() == pytest.approx([0.6, 3.5, 0.0, 0.0, 0.6225, 0.5, 0, 1, 0], abs=1e-3)
    assert window.tolist() == pytest.approx([0.3, 5.585, 1.0, 4.0, 0.9526, 16 / 144, 0, 0, 1], abs=1e-3)


def test_where_nothing_is_seen_all_numbers_are_finite():
    found = candidates(look(torch.full((4, 12, 12), -3.0)), 2.0, (0, 0), multimask=True)
    assert torch.isfinite(describe(found)).all()


def test_what_is_seen_does_not_tell_the_scale():
    near, far = (describe(candidates(look(), scale, (0, 0), multimask=True)) for scale in (0.5, 8.0))
    assert torch.equal(near, far)


def test_a_score_is_between_the_estimate_and_the_rule():
    found = candidates(look(), 1.0, (0, 0), multimask=True)
    rated = ranker({}, bias=2.0).rate(found)
    estimate = torch.tensor(2.0).sigmoid().item()
    assert [one.score for one in rated] == pytest.approx([(2 * estimate + one.score) / 3 for one in found])
    assert [(one.look, one.mask, one.size) for one in rated] == [(one.look, one.mask, one.size) for one in found]


def test_the_order_is_that_of_the_ranker():
    found = candidates(look(), 1.0, (0, 0), multimask=True)
    assert [one.mask for one in best(found, 3)] == [1, 2, 3]
    assert best(ranker({"edge": 5.0}).rate(found), 1)[0].mask == 3


def test_candidates_are_rated_next_to_each_other(monkeypatch):
    monkeypatch.setattr(candidate_ranker, "_TRUST", 1.0)
    made = CandidateRanker(1)
    made.weight0[0, FEATURES] = 1.0  # by how much the decoder's estimate is above the mean
    made.bias0[0], made.weight1[0, 0], made.weight2[0, 0], made.bias2[0] = 10.0, 1.0, 1.0, -10.0
    scores = [one.score for one in made.rate(candidates(look(), 1.0, (0, 0), multimask=True))]
    assert scores == pytest.approx(torch.tensor([0.3, 0.0, -0.3]).sigmoid().tolist(), abs=1e-3)
    alone: list[ScaleCandidate] = made.rate(candidates(look(), 1.0, (0, 0), multimask=True)[:1])
    assert alone[0].score == pytest.approx(0.5, abs=1e-3)


@pytest.fixture(scope="module")
def model() -> CompactSam:
    torch.manual_seed(0)
    return CompactSam(TINY).eval().requires_grad_(False)


def test_what_pads_says_nothing():
    torch.manual_seed(0)
    made = CandidateRanker(4)
    for name, values in made.named_buffers():
        if name[-1].isdigit():
            values.copy_(torch.randn(values.shape))
    features = torch.randn(5, FEATURES)
    padded = torch.cat([features, torch.zeros(3, FEATURES)])
    there = torch.tensor([True] * 5 + [False] * 3)
    torch.testing.assert_close(made(padded[None], there[None])[0, :5], made(features))


class TestInTheModel:
    def test_its_numbers_are_no_parameters(self, model):
        assert not [name for name, _ in model.named_parameters() if name.startswith("ranker")]
        assert len([name for name in model.state_dict() if name.startswith("ranker.")]) == 8
        assert CompactSam(CompactConfig()).ranker is None

    @pytest.mark.parametrize(
        ("prompts", "rated"),
        [
            ([PointPrompt((20.0, 30.0))], True),
            ([BoxPrompt((10.0, 10.0), (40.0, 50.0))], False),
            ([PointPrompt((20.0, 30.0)), BoxPrompt((10.0, 10.0), (40.0, 50.0))], False),
        ],
    )
    def test_clicks_are_rated_and_boxes_are_not(self, model, monkeypatch, prompts, rated):
        seen = []
        plain = CandidateRanker.rate
        monkeypatch.setattr(
            CandidateRanker, "rate", lambda self, found: (seen.append(len(found)), plain(self, found))[1]
        )
        predictor = Predictor(model, "weights")
        embedding = predictor.embed(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
        predictor.predict(embedding, prompts, multimask=True)
        assert bool(seen) is rated
        seen.clear()
        predictor.predict(embedding, prompts, multimask=False)
        # What is found without a person is put in order by a rule that its thresholds were chosen with.
        list(predictor.predict_many(embedding, [prompts], multimask=True))
        assert not seen
