from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import sys
import types

import numpy as np
import open_clip
import pytest
import torch

from napari_sam.errors import Cancelled, DeviceError, WeightsError
from napari_sam.text.encoder import TextImageEncoder, load_encoder
from tiny_clip import COLOURS, CONFIG, SIDE, coloured_pictures


@pytest.fixture
def copy(clip_folder, tmp_path):
    """The tiny model in a folder that may be changed."""
    return shutil.copytree(clip_folder, tmp_path / "copy")


def rewrite(folder, **text_cfg):
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= text_cfg
    (folder / "open_clip_config.json").write_text(json.dumps(config))


def test_vectors_are_those_of_open_clip_and_of_length_1(encoder, clip_folder):
    pictures, kinds = coloured_pictures(np.random.default_rng(7), 40)
    images = encoder.encode_images(list(pictures))
    texts = encoder.encode_text(list(COLOURS))
    assert images.dtype == texts.dtype == np.float32
    for vectors in (images, texts):
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(vectors)), abs=1e-5)
    assert ((images @ texts.T).argmax(axis=1) == kinds).all()
    model = open_clip.create_model(f"local-dir:{clip_folder}")
    tokens = open_clip.get_tokenizer(f"local-dir:{clip_folder}")(list(COLOURS))
    with torch.inference_mode():
        assert texts == pytest.approx(model.encode_text(tokens, normalize=True).numpy(), abs=1e-5)
    assert encoder.logit_scale == pytest.approx(20)


def test_it_loads_from_a_folder_with_the_network_off(clip_folder, monkeypatch):
    def closed(*_arguments, **_options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", closed)
    monkeypatch.setattr(socket, "getaddrinfo", closed)
    loaded = load_encoder(str(clip_folder), "cpu")
    assert loaded.encode_text(["red"]).shape == (1, 16)
    assert loaded.name == str(clip_folder)
    assert loaded.device_text.startswith("CPU")


def test_a_phrase_is_encoded_once(clip_folder, monkeypatch):
    loaded = load_encoder(str(clip_folder), "cpu")
    asked = []
    tokenizer = loaded._tokenizer
    monkeypatch.setattr(loaded, "_tokenizer", lambda phrases: asked.extend(phrases) or tokenizer(phrases))
    first = loaded.encode_text(["red", "blue", "red"])
    again = loaded.encode_text(["green", "blue"])
    assert asked == ["red", "blue", "green"]
    assert (first[0] == first[2]).all()
    assert (again[1] == first[1]).all()


def test_pictures_go_through_in_batches_that_change_nothing(encoder, monkeypatch):
    pictures, _kinds = coloured_pictures(np.random.default_rng(8), 70)
    sizes, shares = [], []
    encode = encoder._model.encode_image
    monkeypatch.setattr(encoder._model, "encode_image", lambda batch: sizes.append(len(batch)) or encode(batch))
    together = encoder.encode_images(iter(pictures), 70, shares.append)
    assert sizes == [32, 32, 6]
    assert shares == pytest.approx([0, 32 / 70, 64 / 70, 1])
    one_by_one = np.concatenate([encoder.encode_images([picture]) for picture in pictures[:5]])
    assert together[:5] == pytest.approx(one_by_one, abs=1e-5)


def test_pictures_of_any_size_are_taken(encoder):
    assert encoder.encode_images([np.zeros((5, 90, 3), np.uint8), np.zeros((SIDE, SIDE, 3), np.uint8)]).shape == (2, 16)


def test_cancelled_between_batches(encoder, monkeypatch):
    batches = []
    encode = encoder._model.encode_image
    monkeypatch.setattr(encoder._model, "encode_image", lambda batch: batches.append(len(batch)) or encode(batch))

    def stop(share):
        if share:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        encoder.encode_images([np.zeros((SIDE, SIDE, 3), np.uint8)] * 100, progress=stop)
    assert batches == [32]


def test_memory_that_runs_out_has_words(encoder, monkeypatch):
    def full(_batch):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(encoder._model, "encode_image", full)
    with pytest.raises(DeviceError, match='choose the device "cpu"'):
        encoder.encode_images([np.zeros((SIDE, SIDE, 3), np.uint8)])


def test_other_errors_of_a_device_are_left_as_they_are(encoder, monkeypatch):
    def broken(_batch):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(encoder._model, "encode_image", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        encoder.encode_images([np.zeros((SIDE, SIDE, 3), np.uint8)])


def test_a_cut_file_is_said_to_be_damaged(copy):
    weights = copy / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match=r"is damaged: .*Copy the folder again"):
        load_encoder(str(copy), "cpu")


def test_weights_of_another_model_are_said_to_be_damaged(copy):
    rewrite(copy, width=64)
    with pytest.raises(WeightsError, match="is damaged"):
        load_encoder(str(copy), "cpu")


@pytest.mark.parametrize("text", ["{", "[]", '{"model_cfg": 3}', '{"model_cfg": {"text_cfg": []}}'])
def test_a_configuration_that_is_none(copy, text):
    (copy / "open_clip_config.json").write_text(text)
    with pytest.raises(WeightsError, match=r"open_clip_config.json is not one of open_clip's"):
        load_encoder(str(copy), "cpu")


def test_code_in_weights_is_never_run(copy, tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    (copy / "open_clip_model.safetensors").unlink()
    torch.save({"state_dict": Trap()}, copy / "open_clip_pytorch_model.bin")
    with pytest.raises(WeightsError, match="is damaged"):
        load_encoder(str(copy), "cpu")
    assert not (tmp_path / "sprung").exists()
    pickle.loads(pickle.dumps(Trap()))  # it would have been
    assert (tmp_path / "sprung").exists()


class TestTextTowers:
    """Of models whose text is read by the package transformers, which need not be installed."""

    @pytest.fixture
    def arguments(self, monkeypatch):
        """Pretend that transformers is there; what open_clip is asked to make."""
        monkeypatch.setitem(sys.modules, "transformers", types.ModuleType("transformers"))
        monkeypatch.setattr("napari_sam.text.encoder.find_spec", lambda name: name)
        asked = {}

        def create(name, **options):
            asked.update(options, name=name)
            return open_clip.CLIP(**json.loads(json.dumps(CONFIG["model_cfg"]))), None

        monkeypatch.setattr(open_clip, "create_model_from_pretrained", create)
        monkeypatch.setattr(open_clip, "get_tokenizer", lambda name: asked.update(tokenizer=name))
        return asked

    def test_the_tower_is_read_from_the_models_own_folder(self, copy, arguments):
        rewrite(copy, hf_model_name="owner/tower", hf_tokenizer_name="owner/tower", hf_pooler_type="cls")
        (copy / "config.json").write_text("{}")
        assert isinstance(load_encoder(str(copy), "cpu"), TextImageEncoder)
        assert arguments["text_cfg"]["hf_model_name"] == str(copy)
        assert arguments["text_cfg"]["hf_model_pretrained"] is False
        assert arguments["text_cfg"]["hf_pooler_type"] == "cls"
        assert arguments["weights_only"] is True
        assert arguments["tokenizer"] == f"local-dir:{copy}"

    def test_a_folder_without_the_towers_configuration_says_how_to_get_it(self, copy, arguments):
        rewrite(copy, hf_model_name="owner/tower")
        with pytest.raises(WeightsError, match=r"lacks config.json.*owner/tower.*napari-sam models download"):
            load_encoder(str(copy), "cpu")
        assert not arguments

    @pytest.mark.parametrize("entry", ["hf_model_name", "hf_tokenizer_name"])
    def test_the_package_is_asked_for_where_it_is_missing(self, copy, monkeypatch, entry):
        monkeypatch.setattr("napari_sam.text.encoder.find_spec", lambda _name: None)
        rewrite(copy, **{entry: "owner/tower"})
        with pytest.raises(WeightsError, match="pip install transformers"):
            load_encoder(str(copy), "cpu")

    def test_it_is_asked_for_before_a_model_is_downloaded_that_needs_it(self, monkeypatch):
        monkeypatch.setattr("napari_sam.text.encoder.find_spec", lambda _name: None)
        with pytest.raises(WeightsError, match=r"BiomedCLIP needs the package transformers.*pip install transformers"):
            load_encoder("clip-biomed", "cpu", offline=True)
