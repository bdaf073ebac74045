from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from napari_sam.errors import Cancelled
from napari_sam.evaluation import clicks


@pytest.fixture
def data(tmp_path):
    """Two images of three bright discs each, of two types."""
    y, x = np.mgrid[:120, :160]
    rng = np.random.default_rng(0)
    for kind in ("one", "two"):
        labels = np.zeros((120, 160), np.uint16)
        for number, centre in enumerate(((30, 30), (40, 110), (90, 70)), 1):
            labels[np.hypot(y - centre[0], x - centre[1]) < 14 + number] = number
        image = (30 + 150 * (labels > 0) + rng.normal(0, 5, labels.shape)).clip(0, 255).astype(np.uint8)
        for part, pixels in (("images", image), ("labels", labels)):
            folder = tmp_path / "data" / part / kind
            folder.mkdir(parents=True)
            Image.fromarray(pixels).save(folder / "discs.png")
    return tmp_path / "data"


def test_bundled_model_for_real(run, data, tmp_path):
    output = tmp_path / "report"
    result = run("benchmark", "accuracy", data, "--objects", 2, "--clicks", 3, "--output", output)
    assert result.exit_code == 0, result.output
    for words in ("Mean IoU", "Clicks needed", "own estimate", "one", "two", "all", "best of"):
        assert words in result.stdout
    assert "Fewer than 5 images" in result.stdout
    assert "Images to measure: 2." in result.stderr
    written = json.loads((output / "accuracy.json").read_text())
    measures = written["models"][0]["kinds"]["all"]["measures"]
    assert written["models"][0]["kinds"]["one"]["objects"] == 2
    assert measures["3 clicks"] > 0.8
    assert measures["box"] > 0.8
    assert 0 <= measures["AP"] <= measures["AP@50"] <= 1
    assert (output / "iou-by-clicks.png").stat().st_size > 5000


def test_json_alone_on_standard_output(run, data):
    arguments = ["--json", "--images", 1, "--objects", 1, "--clicks", 1, "--no-automatic"]
    result = run("benchmark", "accuracy", data, *arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["settings"]["images"] == 1
    assert found["models"][0]["kinds"]["all"]["images"] == 1
    assert "AP" not in found["models"][0]["kinds"]["all"]["measures"]
    assert "as asked for" in found["models"][0]["notes"][0]


def test_models_are_compared(run, data, tmp_path):
    from napari_sam.checkpoints import weights
    from napari_sam.checkpoints.registry import get_model

    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(weights.ensure(get_model("bundled")).read_bytes())
    options = ["--images", 1, "--objects", 1, "--clicks", 1, "--no-automatic"]
    result = run("benchmark", "accuracy", data, "--model", "bundled", "--model", copy, *options)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    (first,) = [line[1:] for line in lines if line[:1] == ["bundled"] and len(line) == 6]
    (second,) = [line[1:] for line in lines if line[:1] == ["mine.safetensors"] and len(line) == 6]
    assert first == second  # they are the same weights


def test_numbers_stay_whole_in_a_narrow_terminal(run, data, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    result = run("benchmark", "accuracy", data, "--objects", 1, "--clicks", 2, "--no-automatic")
    assert result.exit_code == 0, result.output
    assert "…" not in result.stdout


@pytest.mark.parametrize("error", [KeyboardInterrupt("in some codec"), Cancelled("Cancelled.")])
def test_interrupting_is_clean(run, data, monkeypatch, error):
    def interrupt(*_arguments, **_options):
        raise error

    monkeypatch.setattr(clicks, "click_curve", interrupt)
    result = run("benchmark", "accuracy", data)
    assert result.exit_code == 130
    assert "Cancelled." in result.stderr
    assert "Traceback" not in result.output
    assert "codec" not in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.zip"], "There is no file or folder none.zip"),
        (["DATA", "--model", "bundeld"], "bundled"),
        (["DATA", "--model", "bundled", "--model", "none.pth"], "There is no file none.pth"),
        (["DATA", "--validation-split"], "DATA"),
        (["DATA", "--output", "DATA/images/one/discs.png/x"], "Choose another folder"),
    ],
)
def test_mistakes_are_one_line_before_any_work(run, data, monkeypatch, arguments, words):
    def never(*_arguments, **_options):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("napari_sam.predictor.load_predictor", never)
    result = run("benchmark", "accuracy", *(argument.replace("DATA", str(data)) for argument in arguments))
    assert result.exit_code == 1, result.output
    assert words.replace("DATA", str(data)) in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("options", [["--images", "0"], ["--clicks", "0"], ["--objects", "many"]])
def test_options_that_mean_nothing_exit_2(run, data, options):
    assert run("benchmark", "accuracy", data, *options).exit_code == 2


def test_no_object_is_large_enough(run, data):
    for kind in ("one", "two"):
        Image.fromarray(np.zeros((120, 160), np.uint8)).save(data / "labels" / kind / "discs.png")
    result = run("benchmark", "accuracy", data, "--no-automatic")
    assert result.exit_code == 1
    assert "no object of 16 pixels or more" in result.stderr


def test_validation_split_is_that_of_the_model_card(run, tmp_path):
    import zipfile

    from napari_sam.training.data.bbbc038 import read_archive, split

    labels = np.zeros((40, 50), np.uint8)
    labels[10:30, 10:40] = 1
    Image.fromarray(labels).save(tmp_path / "labels.png")
    Image.fromarray(labels * 200).save(tmp_path / "image.png")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for number in range(20):
            archive.write(tmp_path / "image.png", f"images/n{number}.png")
            archive.write(tmp_path / "labels.png", f"labels/n{number}.png")
    report = tmp_path / "report"
    options = ["--validation-split", "--clicks", 1, "--no-automatic", "--output", report]
    result = run("benchmark", "accuracy", tmp_path / "set.zip", *options)
    assert result.exit_code == 0, result.output
    expected = [image.name for image in split(read_archive(tmp_path / "set.zip"))[1]]
    rows = (report / "objects.csv").read_text().splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == expected
    assert len(expected) == 2


def test_plots_are_imported_only_when_they_are_made():
    import subprocess
    import sys

    code = "import sys, napari_sam.cli, napari_sam.evaluation.accuracy; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
