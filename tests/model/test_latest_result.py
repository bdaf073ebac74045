"""What is kept from one click to the next, and when it is made anew."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
import torch

from napari_sam.model.protocol import PromptTensors
from napari_sam.model.sam.latest_result import LatestResult
from sam_reference import picture, tiny_sam


class Made:
    """Something that a weak reference can watch."""


@pytest.fixture
def weights() -> torch.Tensor:
    return torch.ones(3)


class TestLatest:
    @pytest.fixture(autouse=True)
    def _without_gradients(self):
        with torch.no_grad():
            yield

    def test_it_is_made_once_for_a_tensor(self, weights):
        latest, source = LatestResult(), torch.zeros(2)
        made = latest.get(source, (weights,), Made)
        assert latest.get(source, (weights,), Made) is made
        assert latest.get(source.clone(), (weights,), Made) is not made

    def test_it_is_made_anew_when_weights_change(self, weights):
        latest, source = LatestResult(), torch.zeros(2)
        made = latest.get(source, (weights,), Made)
        weights += 1
        changed = latest.get(source, (weights,), Made)
        assert changed is not made
        assert latest.get(source, (weights.clone(),), Made) is not changed
        assert latest.get(source, (weights, weights), Made) is not changed

    def test_another_view_of_the_same_weights_is_the_same(self, weights):
        latest, source = LatestResult(), torch.zeros(2)
        made = latest.get(source, (weights[None].expand(4, 3),), Made)
        assert latest.get(source, (weights[None].expand(4, 3),), Made) is made
        weights += 1
        assert latest.get(source, (weights[None].expand(4, 3),), Made) is not made

    def test_it_goes_with_the_tensor(self, weights):
        latest, source = LatestResult(), torch.zeros(2)
        made = weakref.ref(latest.get(source, (weights,), Made))
        assert made() is not None
        del source
        gc.collect()
        assert made() is None

    @pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
    def test_a_copy_is_empty(self, weights, duplicate):
        latest, source = LatestResult(), torch.zeros(2)
        made = latest.get(source, (weights,), Made)
        assert duplicate(latest).get(source, (weights,), Made) is not made


def test_with_gradients_it_is_made_each_time(weights):
    latest, source = LatestResult(), torch.zeros(2)
    assert latest.get(source, (weights,), Made) is not latest.get(source, (weights,), Made)
    with torch.no_grad():
        kept = latest.get(source, (weights,), Made)
    assert latest.get(source, (weights,), Made) is not kept


class TestClicks:
    """Of a whole SAM."""

    @pytest.fixture
    def sam(self):
        return tiny_sam()

    @pytest.fixture
    def shares(self, sam, monkeypatch) -> list[int]:
        """Count how often cells are projected for all prompts."""
        calls, share = [], sam.mask_decoder.transformer.share
        monkeypatch.setattr(
            sam.mask_decoder.transformer, "share", lambda *given: calls.append(len(calls)) or share(*given)
        )
        return calls

    @staticmethod
    def encoded(sam, seed: int = 0):
        frame = sam.frame((96, 128))
        return sam.encode(sam.preprocess(np.roll(picture(96, 128), seed, 0), frame)), frame

    @staticmethod
    def click(sam, features, frame, at: tuple[float, float] = (30.0, 40.0), masks: torch.Tensor | None = None):
        prompts = PromptTensors(torch.tensor([[at]]), torch.tensor([[1]]), None, masks)
        return sam.decode(features, prompts, frame, multimask=True).logits

    @torch.inference_mode()
    def test_the_second_click_projects_no_cells_and_is_answered_the_same(self, sam, shares):
        features, frame = self.encoded(sam)
        first = self.click(sam, features, frame)
        elsewhere = self.click(sam, features, frame, (80.0, 20.0))
        assert len(shares) == 1
        assert not torch.equal(first, elsewhere)
        fresh = copy.deepcopy(sam)
        assert torch.equal(self.click(fresh, features, frame, (80.0, 20.0)), elsewhere)
        assert torch.equal(self.click(sam, features, frame), first)

    @torch.inference_mode()
    def test_another_image_and_a_mask_are_not_answered_with_what_was_kept(self, sam, shares):
        (features, frame), (others, _) = self.encoded(sam), self.encoded(sam, 30)
        first = self.click(sam, features, frame)
        assert not torch.allclose(self.click(sam, others, frame), first)
        mask = torch.randn(1, 1, *sam.logits_shape(frame))
        masked = self.click(sam, features, frame, masks=mask)
        assert not torch.allclose(masked, first)
        assert not torch.allclose(self.click(sam, features, frame, masks=-mask), masked)
        assert torch.equal(self.click(sam, features, frame), first)

    @pytest.mark.parametrize(
        "name",
        [
            "mask_decoder.transformer.layers.0.cross_attn_token_to_image.k_proj.weight",
            "prompt_encoder.no_mask_embed.weight",
            "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
        ],
    )
    def test_weights_that_learn_between_two_clicks_count(self, sam, name):
        with torch.no_grad():
            features, frame = self.encoded(sam)
            before = self.click(sam, features, frame)
            sam.state_dict()[name].add_(0.5)
            after = self.click(sam, features, frame)
            assert torch.equal(after, self.click(copy.deepcopy(sam), features, frame))
        assert not torch.allclose(after, before)

    def test_it_can_learn_after_clicks_in_inference_mode(self, sam):
        with torch.inference_mode():
            features, frame = self.encoded(sam)
            self.click(sam, features, frame)
        sam.requires_grad_()
        self.click(sam, [part.clone() for part in features], frame).sum().backward()
        assert sam.mask_decoder.transformer.layers[0].cross_attn_token_to_image.k_proj.weight.grad is not None
