"""Recognising checkpoints by their keys."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_sam.errors import WeightsError
from napari_sam.model.encoders.vit import ViTConfig
from napari_sam.model.sam.checkpoint_keys import _published_name, recognise, require_match
from napari_sam.model.sam.sam import LITE_MEDSAM, MOBILE, VIT_B, VIT_H, VIT_L, Sam, SamConfig
from sam_reference import tiny_sam

HUGGING_FACE_KEYS = Path(__file__).with_name("hugging_face_keys.txt").read_text().split()
"""Names in the state of ``transformers.SamModel`` with two blocks."""


def weightless(config: SamConfig) -> dict[str, torch.Tensor]:
    """Names and shapes of a model's state, without memory."""
    with torch.device("meta"):
        return Sam(config).state_dict()


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (VIT_B, "sam_vit_b"),
        (VIT_L, "sam_vit_l"),
        (VIT_H, "sam_vit_h"),
        (MOBILE, "mobile_sam"),
        (LITE_MEDSAM, "lite_medsam"),
        (SamConfig(VIT_B.encoder, high_quality=True), "sam_hq_vit_b"),
        (SamConfig(VIT_H.encoder, high_quality=True), "sam_hq_vit_h"),
        (SamConfig(MOBILE.encoder, high_quality=True), "sam_hq_vit_tiny"),
        (SamConfig(ViTConfig(width=168, mlp_width=696)), "sam_vit"),  # SlimSAM-uniform-77
    ],
)
def test_sizes_are_read_off_the_shapes(config: SamConfig, name: str) -> None:
    state = weightless(config)
    found = recognise(state)
    assert (found.config, found.architecture) == (config, name)
    require_match(found.state, state)


@pytest.mark.parametrize(("config", "millions"), [(VIT_B, 93.735472), (VIT_L, 312.342832), (VIT_H, 641.090608)])
def test_published_numbers_of_parameters(config: SamConfig, millions: float) -> None:
    with torch.device("meta"):
        count = sum(weight.numel() for weight in Sam(config).parameters())
    assert count == round(millions * 1e6)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"sam." + key: value for key, value in state.items()},
        lambda state: {"module." + key: value for key, value in state.items()},
        lambda state: {"model.module.sam." + key: value for key, value in state.items()},
        lambda state: {"model": {"module." + key: value for key, value in state.items()}, "epoch": 3, "optimizer": {}},
        lambda state: {"state_dict": state, "hyper_parameters": {}},
        lambda state: {
            "model_state": {"sam." + key: value for key, value in state.items()},
            "decoder_state": {"out_conv.bias": torch.zeros(3), "epoch": 3},
        },
        lambda state: {**state, "image_encoder.head.weight": torch.zeros(3), "pixel_mean": torch.zeros(3)},
        lambda state: {**{"sam." + key: value for key, value in state.items()}, "detector.weight": torch.zeros(3)},
    ],
    ids=["micro-sam", "DataParallel", "nested", "MedSAM training", "Lightning", "joint", "extras", "other modules"],
)
def test_wrappers_and_prefixes(wrap) -> None:
    state = tiny_sam().state_dict()
    found = recognise(wrap(state))
    assert found.state.keys() == state.keys()
    assert all(torch.equal(found.state[key], value) for key, value in state.items())
    assert found.decoder.keys() == ({"out_conv.bias"} if "decoder_state" in wrap(state) else set())
    assert not found.notes


def test_every_name_of_hugging_face_is_known() -> None:
    config = SamConfig(ViTConfig(depth=2, global_blocks=(1,)))
    names = [_published_name(key) for key in HUGGING_FACE_KEYS]
    assert set(names) == set(weightless(config))
    # One tensor has two names; all other translations are one to one.
    assert len(names) == len(set(names)) + 1


@pytest.mark.parametrize(
    ("theirs", "published"),
    [
        ("vision_encoder.neck.layer_norm2.bias", "image_encoder.neck.3.bias"),
        ("vision_encoder.layers.1.layer_norm2.bias", "image_encoder.blocks.1.norm2.bias"),
        ("prompt_encoder.mask_embed.layer_norm2.bias", "prompt_encoder.mask_downscaling.4.bias"),
        ("mask_decoder.transformer.layer_norm_final_attn.bias", "mask_decoder.transformer.norm_final_attn.bias"),
        ("mask_decoder.iou_prediction_head.proj_in.bias", "mask_decoder.iou_prediction_head.layers.0.bias"),
        ("mask_decoder.iou_prediction_head.layers.0.bias", "mask_decoder.iou_prediction_head.layers.1.bias"),
        ("mask_decoder.transformer.layers.0.mlp.lin1.bias", "mask_decoder.transformer.layers.0.mlp.lin1.bias"),
    ],
)
def test_names_of_hugging_face_that_shapes_would_not_tell_apart(theirs: str, published: str) -> None:
    assert _published_name(theirs) == published


def test_a_hugging_face_state_loads() -> None:
    model = tiny_sam()
    state = model.state_dict()
    theirs = {key: state[_published_name(key)] for key in HUGGING_FACE_KEYS}
    found = recognise(theirs)
    assert found.config == model.config
    require_match(found.state, state)
    assert all(torch.equal(found.state[key], value) for key, value in state.items())


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (torch.zeros(3), "holds a Tensor, not weights by name"),
        ({}, "holds no weights by name"),
        ({"epoch": 3}, "holds no weights by name"),
        ({"layer1.weight": torch.zeros(3)}, "named like layer1.weight"),
        ({"image_encoder.trunk.blocks.0.norm1.weight": torch.zeros(3)}, "named like image_encoder.trunk"),
        ({"image_encoder.blocks.0.attn.qkv.weight": torch.zeros(96, 32)}, "incomplete: .*patch_embed"),
    ],
)
def test_strangers_are_refused_with_words(contents: object, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        recognise(contents)


def test_windows_that_no_sam_has_are_refused() -> None:
    state = tiny_sam().state_dict()
    state["image_encoder.blocks.1.attn.rel_pos_h"] = torch.zeros(9, 16)  # no global block is left
    with pytest.raises(WeightsError, match="attention windows"):
        recognise(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("mask_decoder.iou_token.weight"), r"1 missing \(mask_decoder.iou_token.weight\)"),
        (lambda state: state.update(adapter=torch.zeros(1)), r"1 unknown \(adapter\)"),
        (lambda state: state.update({"image_encoder.neck.1.bias": torch.zeros(1)}), r"1 of another shape \(image_enc"),
    ],
)
def test_what_does_not_fit_is_named(change, message: str) -> None:
    state = tiny_sam().state_dict()
    expected = dict(state)
    change(state)
    with pytest.raises(WeightsError, match=message):
        require_match(state, expected)
