"""The text projection of a checkpoint: written, read back, and left out where it cannot be used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_sam import TextPrompt, load_predictor
from napari_sam.checkpoints import loading
from napari_sam.checkpoints.loading import load_checkpoint
from napari_sam.errors import WeightsError
from napari_sam.model.compact.model import CompactSam
from napari_sam.model.text_projection import METADATA, ClipSpace
from sam_reference import picture, randomise, tiny_sam
from training.tiny import TINY

SPACE = ClipSpace("tiny", "", 6)
COMPACT = {"architecture": "compact", "config": TINY.to_json()}


def compact() -> CompactSam:
    return randomise(CompactSam(TINY)).requires_grad_(requires_grad=False)


@pytest.fixture(params=[(tiny_sam, {}), (compact, COMPACT)], ids=["SAM", "compact"])
def saved(request, tmp_path):
    """Write the weights of a model that takes words, with some metadata; give the model too."""
    make, metadata = request.param
    model = make()
    model.take_words(SPACE)

    def save(more: dict[str, str], name: str = "weights.safetensors"):
        state = {key: value.contiguous() for key, value in model.state_dict().items()}
        save_file(state, tmp_path / name, metadata | more)
        return tmp_path / name, model

    return save


def test_round_trip(saved):
    path, model = saved({METADATA: SPACE.to_json()})
    predictor = load_predictor(path, "cpu")
    assert predictor.text_space == SPACE
    assert not predictor.notes
    for key, weights in predictor._model.state_dict().items():
        assert torch.equal(weights, model.state_dict()[key]), key
    words = TextPrompt("x", np.arange(6.0), "tiny")
    assert predictor.predict(predictor.embed(picture(50, 60)), [words]).masks.shape == (1, 50, 60)


def test_a_projection_of_an_unknown_clip_model_is_not_used(saved):
    loaded = load_checkpoint(saved({})[0])
    assert loaded.model.text_space is None
    assert loaded.notes == (
        "A text projection is in the file but not used: it is not said which CLIP model it was trained against.",
    )


def test_boxes_alone_stay_boxes_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "recognise", lambda contents, real=loading.recognise: vit_b(real(contents)))
    model = tiny_sam()
    model.take_words(SPACE)
    save_file(model.state_dict(), tmp_path / "medsam.safetensors", {METADATA: SPACE.to_json()})
    loaded = load_checkpoint(tmp_path / "medsam.safetensors")
    assert loaded.model.prompt_kinds == {"box"}
    assert "MedSAM takes boxes only" in loaded.notes[-1]


def vit_b(found):
    return replace(found, architecture="sam_vit_b")


@pytest.mark.parametrize("width", [5, 8192])
def test_a_width_that_is_not_that_of_the_weights(saved, width):
    with pytest.raises(WeightsError, match=r"of another shape.*text_projection"):
        load_checkpoint(saved({METADATA: ClipSpace("tiny", "", width).to_json()})[0])


def test_metadata_without_weights_mean_nothing(tmp_path):
    state = {key: value.contiguous() for key, value in compact().state_dict().items()}
    save_file(state, tmp_path / "w.safetensors", COMPACT | {METADATA: SPACE.to_json()})
    assert load_checkpoint(tmp_path / "w.safetensors").model.text_space is None
