"""`napari-sam train finetune`: from images with labels beside them to a row in the list of models."""

from __future__ import annotations

import json
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_sam import load_predictor
from napari_sam.checkpoints import weights
from napari_sam.checkpoints.importing import import_file
from napari_sam.errors import InputError
from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.training.finetune import learning
from napari_sam.training.finetune import run as finetuning
from napari_sam.training.finetune.leavings import ADAPTER_FILE, REPORT
from napari_sam.training.loop import CHECKPOINT, LOG
from training.labelled_squares import png
from training.tiny import write_weights

STEPS = 60


def picture(seed):
    """Nine bright squares, each somewhere in its own field: images that are no copies of each other."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((120, 120), np.uint16)
    for index in range(9):
        y, x = (40 * at + int(rng.integers(2, 18)) for at in divmod(index, 3))
        labels[y : y + 20, x : x + 20] = index + 1
    return np.clip(rng.normal(60, 20, labels.shape) + 120 * (labels > 0), 0, 255).astype(np.uint8), labels


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(4):
        image, labels = picture(seed)
        (folder / f"i{seed}.png").write_bytes(png(image))
        (folder / f"i{seed}_labels.png").write_bytes(png(labels))
    return folder


@pytest.fixture
def teach(run, images, tmp_path, monkeypatch):
    torch.manual_seed(0)
    import_file(write_weights(tmp_path / "tiny.safetensors"), "tiny")
    monkeypatch.setattr(learning, "_STEPS", STEPS)
    monkeypatch.setattr(learning, "_RATE", 0.02)
    # In so few steps, so small a model learns to draw, and not yet to look.
    monkeypatch.setattr(finetuning, "measure_elsewhere", lambda *_arguments, **_more: 0.0)
    image, labels = picture(9)
    monkeypatch.setattr(finetuning, "sample_images", lambda: [LabelledImage("s", "s", image, labels)])
    usual = learning.usual
    monkeypatch.setattr(
        learning, "usual", lambda kind: replace(usual(kind), images=1, threads=1, sides=(64,), extra_rounds=0)
    )

    def call(*more, sources=(images,), model="tiny"):
        wanted = ("--model", model, "-o", tmp_path / "run", "--device", "cpu", "--minutes", 60)
        return run("train", "finetune", *sources, *wanted, *more)

    return call


def test_from_labelled_images_to_a_model_in_the_list(teach, run, images, tmp_path):
    for name in ("encoded", "material"):
        (tmp_path / "run" / name).mkdir(parents=True)
        (tmp_path / "run" / name / "large").touch()
    result = teach("--name", "my-squares", "--licence", "CC-BY-4.0")
    assert result.exit_code == 0, result.output
    words = " ".join(result.output.split())
    assert "other image" in words  # what was held back
    assert "Better on images that it has not seen" in words
    assert "before" in words
    assert "sample images, 1 click" in words
    assert "--model my-squares" in words
    report = json.loads((tmp_path / "run" / REPORT).read_text())
    assert report["kept"]
    row = weights.lookup("my-squares")
    assert row.licence == "CC-BY-4.0"
    assert row.use_for.startswith("Taught to tiny with 27 objects on 3 planes")
    assert load_predictor("my-squares", "cpu").embed(picture(5)[0])
    assert "my-squares" in run("models", "list").output
    # What was only needed to go on is gone.
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {ADAPTER_FILE, REPORT, LOG, "run.json", "before-after-1.png"}
    # Once more: nothing is left to do, and nothing else comes out.
    again = teach("--name", "my-squares")
    assert again.exit_code == 0, again.output
    assert "This run is at its end" in again.output
    assert json.loads((tmp_path / "run" / REPORT).read_text())["after"] == report["after"]


def test_other_programs_read_lines_of_json(teach, tmp_path):
    result = teach("--json", "--name", "my-squares")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    shares = [line["fraction"] for line in lines if "fraction" in line]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1, abs=0.01)
    assert "Learning" in [line.get("words") for line in lines]
    assert lines[-1]["name"] == "my-squares"
    assert lines[-1]["report"] == json.loads((tmp_path / "run" / REPORT).read_text())
    result = teach("--json", "--rank", 3)
    assert result.exit_code == 1
    assert "another rank" in json.loads(result.stdout.splitlines()[-1])["error"]


def test_ctrl_c_keeps_a_checkpoint_and_the_same_command_goes_on(teach, tmp_path, monkeypatch):
    real = finetuning.finetune

    def interrupted(*arguments, tell, **options):
        def tell_and_press(words):
            tell(words)
            if words.startswith("step 2,"):
                signal.raise_signal(signal.SIGINT)

        return real(*arguments, tell=tell_and_press, **options)

    monkeypatch.setattr(finetuning, "finetune", interrupted)
    result = teach()
    assert result.exit_code == 130
    assert "run the same command again to go on" in " ".join(result.output.split())
    assert torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)["step"] == 2
    monkeypatch.setattr(finetuning, "finetune", real)
    result = teach()
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run" / REPORT).read_text())["steps"] == STEPS
    # It is not in use yet, and may be gone on with.
    assert (tmp_path / "run" / CHECKPOINT).exists()


def test_mistakes_are_one_line(teach, run, images, tmp_path):
    stranger = write_weights(tmp_path / "stranger.safetensors")
    for result, words in (
        (teach(sources=()), "Give at least one image"),
        (teach("--labels", images / "i0_labels.png", "--labels", images / "i1_labels.png"), "1 images and 2 --labels"),
        (teach("--material", tmp_path), "not both"),
        (teach("--journal", "--labels", images / "i0_labels.png"), "Give --labels, or --journal"),
        (teach("--journal", sources=(images / "i0.png",)), "journal"),
        (teach(sources=(tmp_path / "none.png",)), "none.png"),
        (teach(model=stranger), "Import it first"),
    ):
        assert result.exit_code == 1, result.output
        assert words in " ".join(result.output.split())
    assert not (tmp_path / "run" / ADAPTER_FILE).exists()


def test_the_embeddings_that_a_person_has_are_used(teach, tmp_path, monkeypatch):
    given = []

    def take(*_arguments, cache, **_more):
        given.append(cache)
        raise InputError("Enough.")

    monkeypatch.setattr(finetuning, "finetune", take)
    monkeypatch.setenv("NAPARI_SAM_CACHE", str(tmp_path / "cache"))
    assert teach().exit_code == 1
    monkeypatch.setenv("NAPARI_SAM_CACHE", "off")
    assert teach().exit_code == 1
    assert given[0].folder == tmp_path / "cache"
    assert given[1] is None
