"""`napari-sam train finetune --device tcp://HOST:8786`: what the machine behind the address is told to do."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

import fake_finetune
from dask_cluster import cluster
from napari_sam.checkpoints.importing import import_file
from napari_sam.training.finetune.leavings import REPORT
from napari_sam.training.ranks import Ranks
from napari_sam.training.remote import machine
from training.labelled_squares import png, squares
from training.tiny import write_weights


@pytest.fixture
def teach(run, tmp_path, monkeypatch):
    torch.manual_seed(0)
    import_file(write_weights(tmp_path / "tiny.safetensors"), "tiny")
    images = tmp_path / "images"
    images.mkdir()
    for index in range(2):
        labels = np.rot90(squares(), index)
        picture = np.random.default_rng(index).normal(60, 20, labels.shape) + 120 * (labels > 0)
        (images / f"i{index}.png").write_bytes(png(np.clip(picture, 0, 255).astype(np.uint8)))
        (images / f"i{index}_labels.png").write_bytes(png(np.ascontiguousarray(labels)))
    monkeypatch.setattr(machine, "PROGRAM", (sys.executable, fake_finetune.__file__, "worse"))

    def call(address, *more):
        return run("train", "finetune", images, "--model", "tiny", "-o", tmp_path / "run", "--device", address, *more)

    return call


def test_labels_are_sent_and_the_report_comes_home(teach, tmp_path, home):
    with cluster(tmp_path / "worker", processes=False, workers=1) as started:
        result = teach(started.scheduler_address, "--minutes", 2.5, "--rank", 3, "--licence", "CC0-1.0")
    assert result.exit_code == 0, result.output
    words = " ".join(result.output.split())
    assert "other image" in words  # what was held back, as it is on this computer
    assert "Teaching on " in words
    assert "Not kept" in words
    assert json.loads((tmp_path / "run" / REPORT).read_text())["steps"] == 7
    (folder,) = (home / "taught-for-others").iterdir()
    given = json.loads((folder / "run" / "about.json").read_text())["arguments"]
    for option, value in (("--minutes", "2.5"), ("--rank", "3"), ("--licence", "CC0-1.0"), ("--model", "tiny")):
        assert given[given.index(option) + 1] == value
    assert "--name" not in given, "the model of a person is not one of the machine's"
    assert sorted(file.name for file in (folder / "material").iterdir())[0] == "material.json"


def test_words_are_taught_there_with_the_clip_model_that_is_there(teach, tmp_path, home):
    with cluster(tmp_path / "worker", processes=False, workers=1) as started:
        assert teach(started.scheduler_address, "--text", "--clip", "clip-datacomp").exit_code == 0
    (folder,) = (home / "taught-for-others").iterdir()
    given = json.loads((folder / "run" / "about.json").read_text())["arguments"]
    assert "--text" in given
    assert given[given.index("--clip") + 1] == "clip-datacomp"


def test_a_clip_model_of_this_computer_alone_is_refused(teach, tmp_path):
    result = teach("tcp://127.0.0.1:1", "--text", "--clip", tmp_path)
    assert result.exit_code == 1
    assert "a folder of this computer" in " ".join(result.output.split())
    assert not (tmp_path / "run" / "remote.json").exists()


def test_nobody_at_the_address_is_one_line(teach):
    result = teach("tcp://127.0.0.1:1")
    assert result.exit_code == 1
    assert "No Dask scheduler answers at tcp://127.0.0.1:1" in result.output


def test_an_address_and_torchrun_exclude_each_other(teach, monkeypatch):
    from contextlib import nullcontext

    from napari_sam.training import ranks

    monkeypatch.setattr(ranks, "started_ranks", lambda: nullcontext(Ranks(0, 2, 0)))
    result = teach("tcp://127.0.0.1:1")
    assert result.exit_code == 1
    assert "torchrun shares out the devices of this computer" in result.output
