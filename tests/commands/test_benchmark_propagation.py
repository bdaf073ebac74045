from __future__ import annotations

import numpy as np
import pytest

from stack_scenery import BrightEngine, disc


@pytest.fixture
def engine(monkeypatch):
    from napari_sam.inference.engine import Engine

    fake = BrightEngine()
    monkeypatch.setattr(Engine, "load", lambda *_, **__: fake)
    return fake


@pytest.fixture
def files(tmp_path):
    labels = np.zeros((6, 32, 40), np.uint8)
    labels[:, disc(16, 10, 5)] = 1
    labels[1:5, disc(16, 30, 5)] = 2
    np.save(tmp_path / "image.npy", np.where(labels > 0, 200, 10).astype(np.uint8))
    np.save(tmp_path / "labels.npy", labels)
    return tmp_path / "image.npy", tmp_path / "labels.npy"


def test_a_volume_with_labels(run, engine, files):
    result = run("benchmark", "propagation", *files, env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    rows = {line.split()[1]: line.split() for line in result.stdout.splitlines() if line.startswith("all")}
    assert rows["flow"] == ["all", "flow", "2", "1.000", "5.00", "0.00", "0.00", "0.00"]
    assert set(rows) == {"flow", "projection", "clicks"}
    assert "flow less projection: IoU +0.000; ahead on 0 objects, behind on 0." in result.stdout


def test_json_has_a_row_for_each_object_and_method(run, engine, files, read_json):
    options = ("--strategy", "previous", "--no-clicks", "--objects", "1", "--json")
    [row] = read_json(run("benchmark", "propagation", *files, *options).stdout)
    assert (row["label"], row["method"], row["iou"]) == (1, "previous", 1.0)


def test_synthetic_volumes_are_the_default(run, engine, read_json):
    rows = read_json(run("benchmark", "propagation", "--volumes", "1", "--objects", "1", "--json").stdout)
    assert {row["kind"] for row in rows} == {"nuclei", "bodies", "vessels", "dark bodies"}


def test_mistakes_are_told_in_words(run, engine, files, tmp_path):
    np.save(tmp_path / "other.npy", np.zeros((5, 32, 40), np.uint8))
    for arguments, words in (
        ((files[0],), "Give the labels"),
        ((files[0], tmp_path / "other.npy"), "same three axes"),
        ((*files, "--strategy", "magic"), "There is no strategy 'magic'"),
        ((tmp_path / "other.npy", tmp_path / "other.npy"), "no object on three planes"),
    ):
        result = run("benchmark", "propagation", *arguments)
        assert result.exit_code == 1
        assert words in result.output
