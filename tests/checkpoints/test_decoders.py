"""micro-sam's decoder of instances as a second file: registry, download, and what a model becomes by it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import xxhash
from safetensors.torch import save_file
from typer.testing import CliRunner

import napari_sam
from napari_sam.automatic import dense_settings_for
from napari_sam.automatic.settings import MICRO_SAM
from napari_sam.checkpoints import decoders, importing, registry, weights
from napari_sam.checkpoints.download import Limits
from napari_sam.checkpoints.loading import load_checkpoint
from napari_sam.checkpoints.registry import DecoderFile, ModelSpec, list_models
from napari_sam.cli import app
from napari_sam.errors import WeightsError
from napari_sam.model.protocol import DenseModel
from napari_sam.model.sam.instance_decoder import InstanceDecoder
from sam_reference import randomise, tiny_sam

if TYPE_CHECKING:
    from pathlib import Path

QUICK = Limits(connect=60.0, stall=60.0, attempts=1, backoff=0.0)


def random_decoder(seed: int = 5) -> dict[str, torch.Tensor]:
    """Weights under the names that micro-sam's decoders have, all of them random."""
    return randomise(InstanceDecoder(32), seed).state_dict()


def saved(path: Path, contents: object) -> Path:
    torch.save(contents, path)
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return saved(tmp_path / "vit_b.pt", tiny_sam().state_dict())


@pytest.fixture
def published(tmp_path, monkeypatch, server, answers):
    """A row of the registry with two files that a loopback server has."""

    def publish(change=lambda body: body) -> ModelSpec:
        model = saved(tmp_path / "model", tiny_sam().state_dict()).read_bytes()
        decoder = saved(tmp_path / "decoder", random_decoder()).read_bytes()
        there = server.serve("/files/m_decoder.pt", answers.whole(change(decoder)))
        spec = ModelSpec(
            "demo_lm",
            "Demo",
            None,
            (server.serve("/files/m.pt", answers.whole(model)),),
            xxh128=xxhash.xxh128(model).hexdigest(),
            decoder=DecoderFile((there,), xxhash.xxh128(decoder).hexdigest()),
        )
        monkeypatch.setattr(registry, "MODELS", (*registry.MODELS, spec))
        return spec

    return publish


def test_micro_sams_models_have_a_decoder_and_others_have_none():
    with_decoder = {spec.name for spec in list_models() if spec.decoder is not None}
    assert with_decoder == {
        *(f"vit_{size}_{kind}" for size in "tbl" for kind in ("lm", "em_organelles")),
        *(f"vit_{size}_histopathology" for size in "blh"),
        "vit_b_medical_imaging",
    }
    digests = set()
    for spec in list_models():
        if spec.decoder is not None:
            assert re.fullmatch("[0-9a-f]{32}", spec.decoder.xxh128)
            assert all(url.startswith("https://") for url in spec.decoder.urls) and spec.decoder.urls != spec.urls
            digests |= {spec.decoder.xxh128, spec.xxh128}
            if spec.urls[0].endswith(".pt"):
                assert spec.decoder.urls == (spec.urls[0].removesuffix(".pt") + "_decoder.pt",)
    assert len(digests) == 2 * len(with_decoder)


def test_a_download_brings_both_files_and_the_model_finds_objects_by_its_maps(published):
    spec, told = published(), []
    predictor = napari_sam.load_predictor("demo_lm", "cpu", progress=told.append)
    assert predictor.has_dense_head and not predictor.notes
    assert dense_settings_for(predictor) == MICRO_SAM
    assert decoders.target_path(spec).name == "demo_lm_decoder.pt"
    assert told == sorted(told) and told[-1] == 1.0 and weights._MODEL in told
    image = np.random.default_rng(0).integers(0, 255, (40, 60)).astype(np.uint8)
    maps = predictor.dense(predictor.embed(image))
    assert maps.foreground.shape == (40, 60)


def test_a_model_without_its_decoder_is_used_without(published, server):
    spec = published(lambda body: body[:-1] + b"?")
    predictor = napari_sam.load_predictor("demo_lm", "cpu")
    assert not predictor.has_dense_head
    [note] = predictor.notes
    assert "`napari-sam models download demo_lm` gets it" in note
    asked = len(server.requests["/files/m_decoder.pt"])
    # What is missing is not asked for again and again, which would take its time without a network.
    napari_sam.load_predictor("demo_lm", "cpu")
    assert len(server.requests["/files/m_decoder.pt"]) == asked
    with pytest.raises(WeightsError, match="demo_lm_decoder"):
        decoders.ensure(spec, limits=QUICK)
    assert not decoders.target_path(spec).exists()


def test_a_decoder_that_is_missing_comes_later(published, server):
    spec = published()
    weights.ensure(spec, limits=QUICK)
    decoders.target_path(spec).unlink()
    assert decoders.is_missing(spec)
    decoders.ensure(spec, limits=QUICK)
    assert not decoders.is_missing(spec)
    decoders.ensure(spec, limits=QUICK)
    assert len(server.requests["/files/m_decoder.pt"]) == 2 and len(server.requests["/files/m.pt"]) == 1


def test_the_command_brings_a_decoder_that_is_missing(published, server):
    spec = published()
    weights.ensure(spec, limits=QUICK)
    decoders.target_path(spec).unlink()
    result = CliRunner().invoke(app, ["models", "download", "demo_lm"])
    assert result.exit_code == 0, result.output
    assert not decoders.is_missing(spec) and len(server.requests["/files/m.pt"]) == 1


def test_both_files_are_verified_and_removed(published):
    spec = published()
    weights.ensure(spec, limits=QUICK)
    assert weights.verify(spec) == "xxh128 as published"
    path = decoders.target_path(spec)
    sizes = path.stat().st_size + weights.target_path(spec).stat().st_size
    body = path.read_bytes()
    path.write_bytes(body[:-1] + b"?")
    with pytest.raises(WeightsError, match=r"decoder of demo_lm .* is damaged"):
        weights.verify(spec)
    assert weights.remove(spec) == sizes
    assert not path.exists() and not weights.target_path(spec).exists()


def test_a_decoder_can_be_carried_in(published, tmp_path, server):
    spec = published()
    stick = tmp_path / "from a stick.pt"
    stick.write_bytes((tmp_path / "decoder").read_bytes())
    assert importing.import_file(stick) == spec
    assert decoders.target_path(spec).read_bytes() == stick.read_bytes()
    assert not server.requests


@pytest.mark.parametrize("name", ["vit_b_decoder.pt", "vit_b_decoder.pth", "vit_b_decoder.safetensors"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_decoder_beside_a_checkpoint_is_as_one_within(checkpoint, tmp_path, name, wrapped):
    decoder, plain = random_decoder(), load_checkpoint(checkpoint)
    if name.endswith("safetensors"):
        save_file(decoder, tmp_path / name)
    else:
        saved(tmp_path / name, {"decoder_state": decoder} if wrapped else decoder)
    loaded = load_checkpoint(checkpoint)
    assert isinstance(loaded.model, DenseModel) and not loaded.notes
    assert not isinstance(plain.model, DenseModel)
    # What was made with one is not taken for what was made with the other.
    assert loaded.digest != plain.digest
    joint = load_checkpoint(saved(tmp_path / "joint.pt", {"model": tiny_sam().state_dict(), "decoder_state": decoder}))
    state = joint.model.state_dict()
    assert state.keys() == loaded.model.state_dict().keys()
    assert all(torch.equal(value, state[key]) for key, value in loaded.model.state_dict().items())


def test_a_decoder_in_the_checkpoint_is_the_one_that_counts(checkpoint, tmp_path):
    inside = random_decoder(1)
    saved(checkpoint, {"model": tiny_sam().state_dict(), "decoder_state": inside})
    saved(tmp_path / "vit_b_decoder.pt", random_decoder(2))
    loaded = load_checkpoint(checkpoint)
    assert torch.equal(loaded.model.instance_decoder.out_conv.bias, inside["out_conv.bias"])


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ({}, "in vit_b_decoder.pt but not used: .*missing"),
        ([1, 2], "in vit_b_decoder.pt but not used: .*missing"),
        ({**random_decoder(), "out_conv.bias": torch.zeros(2)}, "in vit_b_decoder.pt but not used: .*another shape"),
        ({**random_decoder(), "out_conv.bias": torch.full((3,), math.nan)}, "vit_b_decoder.pt is damaged: its weights"),
        ({**random_decoder(), "huge": torch.zeros(1).expand(10**9)}, "describes more weights than it holds"),
        (b"no checkpoint", "Objects are not found by micro-sam's decoder: "),
    ],
)
def test_a_second_file_that_is_none_costs_no_prompts(checkpoint, tmp_path, contents, words):
    second = tmp_path / "vit_b_decoder.pt"
    if isinstance(contents, bytes):
        second.write_bytes(contents)
    else:
        saved(second, contents)
    loaded = load_checkpoint(checkpoint)
    assert not isinstance(loaded.model, DenseModel)
    [note] = loaded.notes
    assert re.search(words, note)
    second.unlink()
    assert load_checkpoint(checkpoint).digest == loaded.digest
