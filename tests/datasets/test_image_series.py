"""Which images a series has, where their labels go, and what is remembered as done."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_sam.datasets.image_series import PROGRESS_FILE, ImageSeries
from napari_sam.errors import InputError


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "images"
    place.mkdir()
    for name in ("cell10.tif", "cell2.tif", "cell1.tif"):
        tifffile.imwrite(place / name, np.zeros((8, 9), np.uint8))
    return place


def names(series):
    return [image.name for image in series]


def statuses(series):
    return [image.status for image in series]


def test_images_of_a_folder_come_in_natural_order_and_without_their_labels(folder):
    tifffile.imwrite(folder / "cell2_labels.tif", np.ones((8, 9), np.uint16))
    (folder / "notes.txt").write_text("no image")
    series = ImageSeries.open(folder)
    assert names(series) == ["cell1.tif", "cell2.tif", "cell10.tif"]
    assert statuses(series) == ["untouched", "started", "untouched"]
    assert series[0].labels == folder / "cell1_labels.tif"


def test_labels_go_to_a_folder_of_their_own(folder, tmp_path):
    there = tmp_path / "made" / "labels"
    series = ImageSeries.open(folder, there)
    assert there.is_dir() and series[0].labels == there / "cell1_labels.tif"
    series.mark(0, "done")
    assert (there / PROGRESS_FILE).exists() and not (folder / PROGRESS_FILE).exists()


def test_a_list_keeps_its_order_and_labels_lie_beside_each(folder, tmp_path):
    tifffile.imwrite(tmp_path / "far.tif", np.zeros((8, 9), np.uint8))
    series = ImageSeries.open([folder / "cell2.tif", tmp_path / "far.tif"])
    assert names(series) == ["cell2.tif", "far.tif"]
    assert series[1].labels == tmp_path / "far_labels.tif"


def test_what_is_done_is_remembered(folder):
    series = ImageSeries.open(folder)
    series.mark(0, "done")
    series.mark(1, "skipped")
    again = ImageSeries.open(folder)
    assert statuses(again) == ["done", "skipped", "untouched"]
    again.mark(0, "started")
    assert statuses(ImageSeries.open(folder)) == ["untouched", "skipped", "untouched"]  # there are no labels


def test_the_next_open_image_is_found_both_ways(folder):
    series = ImageSeries.open(folder)
    series.mark(1, "done")
    assert series.next_open(-1) == 0 and series.next_open(0) == 2 and series.next_open(2) is None
    assert series.next_open(2, -1) == 0 and series.next_open(0, -1) is None
    series.mark(0, "skipped")
    assert series.next_open(-1) == 2 and (series.count("done"), series.count("skipped")) == (1, 1)


def test_images_of_one_name_have_labels_of_their_own(folder):
    np.save(folder / "cell1.npy", np.zeros((8, 9), np.uint8))
    series = ImageSeries.open(folder)
    assert len({image.labels for image in series}) == len(series) == 4


@pytest.mark.parametrize("ending", [".ome.tif", ".png", ".nii.gz", ".npy"])
def test_labels_that_are_there_are_found_whatever_their_format(folder, ending):
    (folder / f"cell1_labels{ending}").write_bytes(b"there")
    series = ImageSeries.open(folder)
    assert len(series) == 3
    assert series[0].labels == folder / f"cell1_labels{ending}" and series[0].status == "started"


def test_scans_keep_their_format(tmp_path):
    (tmp_path / "head.nii.gz").write_bytes(b"there")
    assert ImageSeries.open(tmp_path)[0].labels == tmp_path / "head_labels.nii.gz"


def test_bad_input_is_refused_in_words(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="no images in"):
        ImageSeries.open(empty)
    with pytest.raises(InputError, match="There is no image"):
        ImageSeries.open([folder / "cell3.tif"])
    with pytest.raises(InputError, match="at least one"):
        ImageSeries.open([])
    with pytest.raises(InputError, match="cannot be made"):
        ImageSeries.open(folder, folder / "cell1.tif" / "labels")


@pytest.mark.parametrize("text", ["", "[]", '{"format": "else"}', '{"format": "napari-sam-series", "version": 2}'])
def test_a_progress_file_that_cannot_be_read_is_not_written_over(folder, text):
    (folder / PROGRESS_FILE).write_text(text)
    with pytest.raises(InputError, match="which images are done"):
        ImageSeries.open(folder)
    assert (folder / PROGRESS_FILE).read_text() == text


def test_images_that_are_gone_stay_known(folder):
    series = ImageSeries.open(folder)
    series.mark(0, "done")
    (folder / "cell1.tif").rename(folder / "away")
    series = ImageSeries.open(folder)
    series.mark(0, "done")
    assert set(json.loads((folder / PROGRESS_FILE).read_text())["images"]) == {"cell1.tif", "cell2.tif"}


def test_a_folder_that_cannot_be_written_is_told_and_the_status_counts(folder, monkeypatch):
    series = ImageSeries.open(folder)

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match="Make room"):
        series.mark(0, "done")
    assert series[0].status == "done"
