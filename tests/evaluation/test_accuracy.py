from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_clicks import Paint

from napari_sam.errors import InputError
from napari_sam.evaluation import accuracy
from napari_sam.evaluation.accuracy import AccuracyReport, measure_accuracy
from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.evaluation.report import files
from napari_sam.evaluation.report.tables import tables


class Model(Paint):
    """What `Paint` answers, from a predictor that says that it can segment without prompts."""

    device_text = "CPU (fake)"

    def __init__(self, *kinds, dense=True):
        super().__init__(*kinds)
        self.has_dense_head = dense


@pytest.fixture
def images():
    labels = np.zeros((60, 60), np.uint16)
    labels[5:16, 5:16] = 1
    labels[30:41, 30:52] = 7
    picture = np.zeros((60, 60), np.uint8)
    return [LabelledImage(f"i{n}", "even" if n % 2 == 0 else "odd", picture, labels) for n in range(6)]


@pytest.fixture(autouse=True)
def found(monkeypatch):
    """Automatic segmentation that finds the left one of the two objects."""
    answer = np.zeros((60, 60), np.int32)
    answer[5:16, 5:16] = 3
    monkeypatch.setattr(accuracy, "segment_everything", lambda predictor, embedding: answer)
    return answer


@pytest.fixture
def measured(images):
    return measure_accuracy(Model(), images, model="paint", clicks=3)


class TestMeasuring:
    def test_types_and_sums(self, measured):
        assert list(measured.summaries) == ["all", "even", "odd"]
        every, even = measured.summaries["all"], measured.summaries["even"]
        assert (every.images, every.objects) == (6, 12)
        assert (even.images, even.objects) == (3, 6)
        assert every.measures["1 click"] == pytest.approx(0.75)
        assert every.measures["box"] == 1
        assert every.measures["NoC@90"] == pytest.approx(1.5)
        assert every.measures["failed@90"] == 0
        assert every.measures["largest fall"] == 0

    def test_automatic_segmentation_is_scored_on_all_objects(self, images):
        few = measure_accuracy(Model(), images, model="paint", clicks=1, most_objects=1)
        assert few.summaries["all"].objects == 6
        assert few.summaries["all"].measures["AP"] == pytest.approx(0.5)  # one of two found, none made up
        assert few.summaries["odd"].measures["AP@50"] == pytest.approx(0.5)

    def test_precision_falls_with_the_threshold(self, images, found):
        found[5:16, 5:16] = 0
        found[5:16, 5:12] = 3  # 7 of 11 columns: IoU .64
        summary = measure_accuracy(Model(), images, model="paint", clicks=1).summaries["all"]
        assert summary.measures["AP@50"] == pytest.approx(0.5)
        assert summary.measures["AP"] == pytest.approx(3 / 10 * 0.5)

    def test_intervals_of_enough_images_only(self, measured):
        assert set(measured.summaries["all"].intervals) >= {"1 click", "box", "NoC@85", "failed@85", "AP"}
        low, high = measured.summaries["all"].intervals["1 click"]
        assert low <= measured.summaries["all"].measures["1 click"] <= high
        assert measured.summaries["odd"].intervals == {}

    def test_nothing_is_missing_of_a_model_that_does_everything(self, measured):
        assert measured.notes == ()

    def test_boxes_only(self, images):
        found = measure_accuracy(Model("box", dense=False), images, model="med")
        assert set(found.summaries["all"].measures) == {"box", "ECE", "bias"}  # it never varies: no correlation
        assert found.automatic == ()
        boxes, dense = found.notes
        assert "boxes only" in boxes
        assert "no dense head" in dense

    def test_automatic_can_be_left_out(self, images):
        found = measure_accuracy(Model(), images, model="paint", clicks=1, automatic=False)
        assert "AP" not in found.summaries["all"].measures
        assert "as asked for" in found.notes[0]

    def test_images_without_objects_count_for_automatic_segmentation(self, images):
        empty = replace(images[0], labels=np.zeros((60, 60), np.uint16))
        found = measure_accuracy(Model(), [empty], model="paint", clicks=1)
        assert found.summaries["all"].objects == 0
        assert found.summaries["all"].measures == {"AP": 0, "AP@50": 0}  # what was found there was made up


class TestReport:
    @pytest.fixture
    def whole(self, measured, images):
        other = measure_accuracy(Model("box", dense=False), images, model="med", clicks=3)
        return AccuracyReport("data.zip", (measured, other), 3, {"images": None}, ("A note.",))

    def test_json(self, whole):
        data = json.loads(json.dumps(whole.to_json(), allow_nan=False))
        paint, med = data["models"]
        assert data["settings"]["clicks"] == 3
        assert paint["kinds"]["all"]["measures"]["1 click"] == 0.75
        assert len(paint["kinds"]["all"]["AP by threshold"]) == 10
        answers = sum(entry["answers"] for entry in paint["kinds"]["all"]["calibration"])
        assert answers == 12 * (3 + 1)
        assert "AP by threshold" not in med["kinds"]["all"]

    def test_tables_of_one_model(self, measured):
        shown = tables(AccuracyReport("data.zip", (measured,), 3))
        iou, *_, automatic = shown
        assert [table.title for table in shown][-1] == "Automatic segmentation"
        assert iou.columns == ("1 click", "best of 3", "2 clicks", "3 clicks", "box")
        assert iou.rows[0].heads == ("all", "6", "12")
        assert iou.rows[0].values == ("0.75", "0.75", "1.00", "1.00", "1.00")
        assert iou.rows[0].intervals[0].startswith("0.7")
        assert iou.rows[1].intervals[0] == ""
        assert automatic.heads == ("Images of type", "Images")

    def test_models_stand_below_each_other(self, whole):
        iou = tables(whole)[0]
        assert [row.heads[:2] for row in iou.rows[:4]] == [
            ("all", "paint"),
            ("all", "med"),
            ("even", "paint"),
            ("even", "med"),
        ]
        assert iou.rows[1].values == ("-", "-", "-", "-", "1.00")

    def test_one_type_is_one_row(self, images):
        found = measure_accuracy(Model(), images[::2], model="paint", clicks=1)
        assert [row.heads[0] for row in tables(AccuracyReport("d", (found,), 1))[0].rows] == ["all"]

    def test_what_nobody_measured_has_no_table(self, images):
        found = measure_accuracy(Model("box", dense=False), images, model="med")
        assert [table.title for table in tables(AccuracyReport("d", (found,)))] == [
            "Mean IoU",
            "The model's own estimate of IoU",
        ]

    def test_files(self, whole, tmp_path):
        folder = tmp_path / "new" / "report"
        written = files.write_report(whole, folder)
        assert {path.name for path in written} == {path.name for path in folder.iterdir()}
        plots = ("iou-by-clicks", "box-iou", "calibration", "automatic-precision")
        assert {path.name for path in written} == {
            *("accuracy.md", "accuracy.json", "objects.csv"),
            *(f"{plot}.{suffix}" for plot in plots for suffix in ("png", "svg")),
        }
        assert json.loads((folder / "accuracy.json").read_text()) == whole.to_json()
        for plot in plots:
            with Image.open(folder / f"{plot}.png") as picture:
                assert len(picture.convert("L").getcolors()) > 10
            assert "<svg" in (folder / f"{plot}.svg").read_text()

    def test_a_row_for_each_object(self, whole, tmp_path):
        files.write_report(whole, tmp_path)
        with (tmp_path / "objects.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 24
        first, last = rows[0], rows[-1]
        assert (first["model"], first["image"], first["label"], first["area"]) == ("paint", "i0", "1", "121")
        assert (first["iou_1"], first["predicted_3"], first["iou_box"]) == ("1.0", "0.75", "1.0")
        assert (last["model"], last["iou_1"], last["iou_1_best_candidate"], last["iou_box"]) == ("med", "", "", "1.0")

    def test_words(self, whole, tmp_path):
        files.write_report(whole, tmp_path)
        text = (tmp_path / "accuracy.md").read_text()
        assert "| all | paint | 6 | 12 | 0.75 (" in text
        assert "| all | med | 6 | 12 | - | - | - | - | 1.00 (1.00-1.00) |" in text
        assert "- A note." in text
        assert "med takes boxes only" in text
        assert "![box iou](box-iou.png)" in text
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert all(line.count("|") > 4 for line in lines)

    def test_plots_of_nothing_are_not_made(self, images, tmp_path):
        found = measure_accuracy(Model("box", dense=False), images, model="med")
        files.write_report(AccuracyReport("d", (found,)), tmp_path)
        assert {path.stem for path in tmp_path.glob("*.png")} == {"box-iou", "calibration"}

    def test_plots_leave_nothing_behind(self, whole, tmp_path):
        files.write_report(whole, tmp_path)
        assert "matplotlib.pyplot" not in sys.modules

    def test_a_folder_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="Choose another folder"):
            files.prepare_folder(tmp_path / "file" / "report")


def test_many_types_are_drawn_in_lines_of_their_own(images, tmp_path):
    from napari_sam.evaluation.report import plots

    items = [replace(images[0], kind=f"a type with a long name, number {n}") for n in range(11)]
    found = measure_accuracy(Model(), items, model="paint", clicks=2)
    series = plots._series(AccuracyReport("d", (found,), 2))
    assert len({(one.colour, one.style["marker"], one.style["linestyle"]) for one in series}) == 12
    assert plots.draw_precision(series) is not None
    figure = plots.draw_clicks(series)
    assert len(figure.axes) == 12
    assert all(len(axes.get_title().split("\n")[0]) <= 28 for axes in figure.axes)
