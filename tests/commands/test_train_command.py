from __future__ import annotations

import json
import signal

import numpy as np
import pytest

from napari_sam import load_predictor
from napari_sam.errors import Cancelled
from napari_sam.training.bundled import dataset
from napari_sam.training.bundled import train as bundled
from napari_sam.training.bundled.train import CARD, WEIGHTS
from napari_sam.training.data import bbbc038
from napari_sam.training.loop import CHECKPOINT
from training.labelled_squares import squares, write_archive
from training.tiny import write_weights


@pytest.fixture
def archive(tmp_path):
    image = (squares() * 25).astype(np.uint8)
    return write_archive(tmp_path / "a.zip", {f"i{n}": image for n in range(12)}, squares())


def one_object_of_each_image(*given, measure=bundled.measure_accuracy, **options):
    """Measure as a real run does, but for the number of objects."""
    return measure(*given, **{**options, "most_objects": 1})


@pytest.fixture
def train(run, archive, tmp_path, monkeypatch):
    """Run `napari-sam train bundled` on a tiny model and few validation scenes."""
    monkeypatch.setattr(bundled, "unseen_images", lambda each, draw=bundled.unseen_images: draw(1)[:2])
    monkeypatch.setattr(bundled, "measure_accuracy", one_object_of_each_image)
    monkeypatch.setenv("COLUMNS", "120")
    weights = write_weights(tmp_path / "start.safetensors")
    options = ("--device", "cpu", "--scenes", 0, "--batch", 2, "--threads", 1, "--start-from", weights)

    def call(*more: object):
        return run("train", "bundled", "--bbbc038", archive, "--output", tmp_path / "run", *options, *more)

    return call


def test_from_data_to_weights_that_answer(train, tmp_path):
    result = train("--steps", 2)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "run"
    card = json.loads((folder / CARD).read_text())
    assert card["training"]["steps"] == 2
    assert card["training"]["crops"] == 4
    assert card["training"]["device"] == "cpu"
    assert card["training"]["started_from"].startswith("sha256 ")
    for words in (
        "Mean IoU",
        "unseen: trees",
        "fluorescence 120x120",
        f"--model {folder / WEIGHTS}",
        str(folder / CARD),
    ):
        assert words in result.output.replace("\n", "") or words in result.output
    predictor = load_predictor(folder / WEIGHTS, device="cpu")
    assert predictor.embed(np.zeros((40, 50), np.uint8)).shape == (40, 50)

    again = train("--steps", 3)
    assert again.exit_code == 0, again.output
    assert "Going on" in again.output
    assert json.loads((folder / CARD).read_text())["training"]["steps"] == 3


def test_ctrl_c_keeps_a_checkpoint_and_says_how_to_go_on(train, tmp_path, monkeypatch):
    def interrupted(*arguments, tell, **options):
        def tell_and_press(words: str) -> None:
            tell(words)
            if words.startswith("step 2 "):
                signal.raise_signal(signal.SIGINT)

        return real(*arguments, tell=tell_and_press, **options)

    real = bundled.train_bundled
    monkeypatch.setattr(bundled, "train_bundled", interrupted)
    before = signal.getsignal(signal.SIGINT)
    result = train("--steps", 50)
    assert result.exit_code == 130
    assert "Stopped (step 2 of 50" in result.output
    assert "same command again" in result.output
    assert (tmp_path / "run" / CHECKPOINT).exists()
    assert signal.getsignal(signal.SIGINT) is before
    monkeypatch.setattr(bundled, "train_bundled", real)
    result = train("--steps", 3)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run" / CARD).read_text())["training"]["steps"] == 3


def test_a_second_ctrl_c_stops_at_once(train, monkeypatch):
    def stuck(*_, **__):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second one was not heard")

    monkeypatch.setattr(bundled, "train_bundled", stuck)
    assert train().exit_code == 130


def test_download_fetches_the_archive(train, run, archive, monkeypatch, tmp_path):
    asked, used = [], []

    def fetch(progress):
        progress(0.5)
        asked.append(1)
        return archive

    def fake(path, archives, held_out, progress):
        used.append(path)
        raise Cancelled

    monkeypatch.setattr(bbbc038, "download_archive", fetch)
    monkeypatch.setattr(dataset, "read_data", fake)
    assert run("train", "bundled", "--bbbc038", "download", "-o", tmp_path / "r", "--device", "cpu").exit_code == 130
    assert asked == [1]
    assert used == [archive]


def test_images_of_other_kinds_and_who_made_them(train, archive, tmp_path):
    image = (squares() * 25).astype(np.uint8)
    kinds = write_archive(tmp_path / "k.zip", {f"{kind}/{n}": image for kind in "ab" for n in range(1)}, squares())
    result = train("--steps", 2, "--images", kinds, "--hold-out", "b")
    assert result.exit_code == 0, result.output
    card = json.loads((tmp_path / "run" / CARD).read_text())
    assert card["data"][1]["images"] == {"a": 1, "b": 1}
    assert card["validation"]["kinds"]["held_out"] == ["b"]
    assert "kinds: all" in result.output


def test_a_new_encoder_wants_a_decoder(run, archive, tmp_path):
    result = run("train", "bundled", "--bbbc038", archive, "--backbone", tmp_path / "w.pth", "--device", "cpu")
    assert result.exit_code == 1
    assert "--start-from" in result.output


def test_mistakes_are_one_line(run, archive, tmp_path):
    result = run("train", "bundled", "--bbbc038", tmp_path / "none.zip", "--device", "cpu")
    assert result.exit_code == 1
    assert "There is no" in result.output
    result = run("train", "bundled", "--bbbc038", archive, "--hold-out", "x", "-o", tmp_path / "r", "--device", "cpu")
    assert result.exit_code == 1
    assert "No archive has a kind x" in result.output
    result = run("train", "bundled", "--bbbc038", tmp_path, "--batch", 3, "--threads", 2, "--device", "cpu")
    assert result.exit_code == 1
    assert "shared out" in result.output
    assert run("train", "bundled").exit_code == 2


def test_plot(run, tmp_path):
    assert run("train", "plot", tmp_path).exit_code == 1
    (tmp_path / "log.jsonl").write_text('{"step": 20, "seconds": 3.0, "first": 1.0, "rate": 0.1}\n')
    for given in (tmp_path, tmp_path / "log.jsonl"):
        result = run("train", "plot", given)
        assert result.exit_code == 0, result.output
        assert (tmp_path / "log.png").stat().st_size > 5000
