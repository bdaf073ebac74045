"""What orders candidates is fitted to clicks on training images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from labelled_squares import labelled
from safetensors.torch import save_file
from tiny import TINY

from napari_sam.model.compact.candidate_ranker import FEATURES
from napari_sam.model.compact.model import CompactSam
from napari_sam.training.bundled import candidate_ranking
from napari_sam.training.bundled.candidate_ranking import ClickedObject, click_objects, fit_ranker, learn_order
from napari_sam.training.bundled.options import read_start


def made_up(count: int, seed: int) -> list[ClickedObject]:
    """Clicks whose best candidate is the one that is largest next to the others, whatever the decoder says."""
    rng = np.random.default_rng(seed)
    clicks = []
    for _ in range(count):
        features = torch.from_numpy(rng.normal(size=(int(rng.integers(3, 13)), FEATURES))).float()
        clicks.append(ClickedObject(features, (0.4 + 0.3 * (features[:, 1] - features[:, 1].mean())).clamp(0, 1)))
    return clicks


def chosen(ranker, clicks: list[ClickedObject]) -> float:
    return float(np.mean([one.ious[ranker(one.features).argmax()] for one in clicks]))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return CompactSam(TINY).eval().requires_grad_(False)


def test_it_learns_which_candidate_is_the_best():
    others = made_up(200, seed=1)
    ranker = learn_order(made_up(1000, seed=0))
    best = float(np.mean([one.ious.max() for one in others]))
    by_the_decoder = float(np.mean([one.ious[one.features[:, 0].argmax()] for one in others]))
    assert by_the_decoder < 0.6 * best
    assert chosen(ranker, others) > 0.95 * best
    errors = torch.cat([ranker(one.features) - one.ious for one in others])
    assert errors.abs().mean() < 0.1


def test_it_is_the_same_for_the_same_seed():
    clicks = made_up(100, seed=0)
    one, same, other = (learn_order(clicks, seed=seed).weight0 for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_objects_are_clicked_on_twice_and_all_candidates_are_measured(model):
    clicks = list(click_objects(model, [labelled()]))
    assert 2 <= len(clicks) <= 2 * candidate_ranking._OBJECTS
    assert len(clicks) % 2 == 0
    for one in clicks:
        assert one.features.shape == (len(one.ious), FEATURES)
        assert len(one.ious) >= 3
        assert 0 <= one.ious.min() <= one.ious.max() <= 1
    again = list(click_objects(model, [labelled()]))
    assert all(torch.equal(one.ious, other.ious) for one, other in zip(clicks, again, strict=True))


def test_what_a_candidate_is_worth_is_its_iou(model, monkeypatch):
    raised = CompactSam(TINY).eval()
    raised.load_state_dict(model.state_dict())
    plain = raised.decoder.forward

    def everywhere(*given):
        logits, scores = plain(*given)
        return logits + 50, scores

    raised.decoder.forward = everywhere
    item = labelled()
    for one in click_objects(raised, [item]):
        # All of a window that holds the object; at the coarsest scale it is all of the plane.
        share = max(np.mean(item.labels == label) for label in np.unique(item.labels)[1:])
        assert 0 < one.ious.min() <= 1.2 * share


def test_a_model_gets_a_ranker_and_keeps_the_rest(model, monkeypatch, tmp_path):
    monkeypatch.setattr(candidate_ranking, "_FEWEST", 1)
    ranked = fit_ranker(model, [labelled()])
    assert ranked.config == replace(TINY, ranker=candidate_ranking._WIDTH)
    state = ranked.state_dict()
    assert all(torch.equal(state[name], values.half().float()) for name, values in model.state_dict().items())
    assert state["ranker.weight0"].abs().sum() > 0
    assert not any(values.requires_grad for values in ranked.parameters())
    # It is fitted to this decoder: whoever starts from these weights fits another.
    path = tmp_path / "ranked.safetensors"
    save_file({name: values.contiguous() for name, values in state.items()}, path, metadata(ranked))
    config, start = read_start(path)
    assert config == TINY
    assert start.keys() == model.state_dict().keys()


def metadata(model: CompactSam) -> dict[str, str]:
    return {"architecture": "compact", "config": model.config.to_json()}


def test_of_few_clicks_nothing_is_learnt(model):
    assert fit_ranker(model, [labelled()]) is model
    assert fit_ranker(model, []) is model
