"""`napari-sam segment --text`: from words to a mask, with real models that are tiny."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image
from safetensors.torch import save_file

from napari_sam import PointPrompt, PromptSet, load_predictor
from napari_sam.inference.engine import Engine
from napari_sam.model.compact.model import CompactSam
from napari_sam.model.text_projection import METADATA, ClipSpace
from napari_sam.planes.plane import Plane
from napari_sam.text.encoder import load_encoder
from napari_sam.text.prompting import text_prompt
from sam_reference import picture, randomise
from tiny_clip import clip_folder  # noqa: F401  # fixture
from training.tiny import TINY, write_weights

PIXELS = picture(80, 100)
SPACE = ClipSpace("tiny", "", 16)


@pytest.fixture
def image(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "image.png")
    return tmp_path / "image.png"


@pytest.fixture
def weights(tmp_path):
    """A compact model, all of whose weights are random, that takes words of the tiny CLIP model."""

    def write(space: ClipSpace = SPACE):
        model = CompactSam(TINY)
        model.take_words(space)
        state = {key: value.contiguous() for key, value in randomise(model, 3).state_dict().items()}
        metadata = {"architecture": "compact", "config": TINY.to_json(), METADATA: space.to_json()}
        save_file(state, tmp_path / "words.safetensors", metadata)
        return tmp_path / "words.safetensors"

    return write


@pytest.fixture
def segment(run, image, tmp_path):
    def call(*options: object):
        return run("segment", image, "-o", tmp_path / "out.tif", "--force", "--device", "cpu", *options)

    return call


@pytest.mark.parametrize("points", [[], [PointPrompt((30, 40)), PointPrompt((70, 20), False)]], ids=["words", "more"])
def test_words_become_a_label(segment, weights, tmp_path, clip_folder, points):  # noqa: F811
    model = weights()
    clicks = [f"--point={y},{x},{'+' if p.positive else '-'}" for p in points for y, x in [p.position]]
    engine = Engine(load_predictor(model, "cpu"))
    encoder = load_encoder(str(clip_folder), "cpu", offline=True)
    found = []
    for words in ("red", "blue"):
        result = segment("--text", words, "--text-model", clip_folder, "--model", model, *clicks)
        assert result.exit_code == 0, result.output
        found.append(tifffile.imread(tmp_path / "out.tif") == 1)
        expected = engine.predict(Plane(PIXELS), PromptSet((*points, text_prompt(encoder, words))))
        np.testing.assert_array_equal(found[-1], expected.masks[0])
    assert (found[0] != found[1]).any()


def test_a_model_without_words_is_told_before_a_text_model_is_loaded(segment, tmp_path):
    result = segment(
        "--text", "red", "--text-model", tmp_path / "none", "--model", write_weights(tmp_path / "w.safetensors")
    )
    assert result.exit_code == 1
    assert "takes no words" in result.output
    assert "napari-sam find" in result.output


def test_another_text_model_than_it_was_trained_with(segment, weights, clip_folder):  # noqa: F811
    result = segment("--text", "red", "--text-model", clip_folder, "--model", weights(ClipSpace("other", "", 16)))
    assert result.exit_code == 1
    assert "trained on embeddings of other, but these words were embedded by tiny" in result.output


def test_a_text_model_of_its_own_has_to_be_brought(segment, weights):
    result = segment("--text", "red", "--model", weights())
    assert result.exit_code == 1
    assert "a text model of its own, tiny. Say where that lies: --text-model FOLDER" in result.output


def test_nothing_of_that_name(segment, weights, clip_folder):  # noqa: F811
    path = weights()
    model = load_predictor(path, "cpu")._model
    model.decoder.bias.fill_(-1e4)
    metadata = {"architecture": "compact", "config": TINY.to_json(), METADATA: SPACE.to_json()}
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path, metadata)
    result = segment("--text", "red", "--text-model", clip_folder, "--model", path)
    assert result.exit_code == 1
    assert "no object of that name" in result.output


def test_no_prompt_names_the_words(run, image, tmp_path):
    result = run("segment", image, "-o", tmp_path / "out.tif")
    assert result.exit_code == 2
    assert "--text WORDS" in result.output
