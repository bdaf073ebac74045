"""`napari-sam train text`: from labelled images and a CLIP model to a file that takes words."""

from __future__ import annotations

import json
import signal

import pytest

from napari_sam import load_predictor
from napari_sam.training.loop import CHECKPOINT
from napari_sam.training.text import train as text_training
from napari_sam.training.text.export import CARD, WEIGHTS
from tiny_clip import clip_folder  # noqa: F401  # fixture
from training.colour_clip import two_discs
from training.labelled_squares import png
from training.tiny import write_weights


@pytest.fixture
def archive(tmp_path):
    for seed in range(6):
        image = two_discs(seed)
        for part, array in (("images", image.image), ("labels", image.labels)):
            (tmp_path / "set" / part / "discs").mkdir(parents=True, exist_ok=True)
            (tmp_path / "set" / part / "discs" / f"{seed}.png").write_bytes(png(array))
    return tmp_path / "set"


@pytest.fixture
def train(run, archive, tmp_path, clip_folder):  # noqa: F811
    model = write_weights(tmp_path / "base.safetensors")

    def call(*more: object, images=archive, clip=clip_folder):
        wanted = ("--images", images, "--clip", clip, "-o", tmp_path / "run", "--device", "cpu", "--batch", 2)
        return run("train", "text", model, *wanted, *more)

    return call


def test_from_images_to_words_that_are_taken(train, run, archive, tmp_path, clip_folder):  # noqa: F811
    result = train("--steps", 2)
    assert result.exit_code == 0, result.output
    weights = tmp_path / "run" / WEIGHTS
    card = json.loads((tmp_path / "run" / CARD).read_text())
    assert (card["training"]["steps"], card["training"]["crops"]) == (2, 4)
    assert card["trained"] == "decoder"
    assert card["data"][0]["images"] == {"discs": 6}
    assert card["validation"]["metrics"]["objects"] == 2
    assert "Mean IoU on 2 objects that were held out" in result.output
    assert f"--text WORDS --model {weights}" in result.output.replace("\n", "")
    assert load_predictor(weights, "cpu").text_space.model == "tiny"

    again = train("--steps", 3)
    assert again.exit_code == 0, again.output
    assert "Going on" in again.output
    card = json.loads((tmp_path / "run" / CARD).read_text())
    assert (card["training"]["steps"], card["training"]["config"]["images"]) == (
        3,
        card["training"]["config"]["images"],
    )

    asked = ("segment", archive / "images" / "discs" / "0.png", "-o", tmp_path / "out.tif", "--text", "red")
    result = run(*asked, "--model", weights, "--text-model", clip_folder, "--device", "cpu")
    assert "estimated IoU" in result.output or "no object of that name" in result.output


def test_ctrl_c_keeps_a_checkpoint_and_says_how_to_go_on(train, tmp_path, monkeypatch):
    def interrupted(*arguments, tell, **options):
        def tell_and_press(words: str) -> None:
            tell(words)
            if words.startswith("step 2 "):
                signal.raise_signal(signal.SIGINT)

        return real(*arguments, tell=tell_and_press, **options)

    real = text_training.train_text
    monkeypatch.setattr(text_training, "train_text", interrupted)
    result = train("--steps", 50)
    assert result.exit_code == 130
    assert "Stopped (step 2 of 50" in result.output
    assert (tmp_path / "run" / CHECKPOINT).exists()
    monkeypatch.setattr(text_training, "train_text", real)
    result = train("--steps", 3)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run" / CARD).read_text())["training"]["steps"] == 3


def test_mistakes_are_one_line(train, tmp_path):
    for result, words in (
        (train(images=tmp_path / "none.zip"), "There is no"),
        (train(clip="clip-datacom"), "Did you mean clip-datacomp?"),
        (train("--hours", 0), "no time to train in"),
        (train("--least-area", 10**6), "No object covers 1000000 pixels or more"),
    ):
        assert result.exit_code == 1, result.output
        assert words in " ".join(result.output.split())
    assert train("--train", "everything").exit_code == 2
