"""`napari-sam table`: objects of labels files as a table."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
import tifffile

from napari_sam.commands import table as table_command

SHAPE = (4, 20, 30)


@pytest.fixture
def labels(tmp_path):
    """A stack of micrometres: one object on planes 1 to 2, another on plane 0."""
    data = np.zeros(SHAPE, np.uint16)
    data[1:3, 2:6, 3:10], data[0, 10:12, 20:25] = 7, 40_000
    path = tmp_path / "labels.tif"
    tifffile.imwrite(path, data, imagej=True, resolution=(4, 4), metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"})
    return path


@pytest.fixture
def image(tmp_path):
    data = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, data, imagej=True, metadata={"axes": "ZYX"})
    return path


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("part", [10**6, 100])
def test_objects_are_measured_by_the_units_of_the_file(run, labels, image, tmp_path, monkeypatch, part):
    monkeypatch.setattr(table_command, "_PART", part)
    out = tmp_path / "objects.csv"
    result = run("table", labels, image, "-o", out)
    assert result.exit_code == 0, result.output
    assert "2 objects" in result.stdout
    first, second = rows(out.read_text("utf-8"))
    data, pixels = tifffile.imread(labels), tifffile.imread(image)
    assert (first["id"], second["id"]) == ("7", "40000")
    assert (first["area [px]"], first["volume [µm³]"]) == ("56", "7")
    assert [first[name] for name in ("first z", "last z", "first y", "last y", "first x", "last x")] == [
        *("1", "2", "2", "5", "3", "9")
    ]
    assert (first["center z [px]"], first["center y [px]"], first["center x [px]"]) == ("1.500", "3.500", "6.000")
    for row in (first, second):
        assert float(row["mean"]) == pytest.approx(pixels[data == int(row["id"])].mean())


def test_channels_have_a_mean_each(run, labels, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 2, 20, 30), dtype=np.uint8)
    path = tmp_path / "channels.tif"
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": "ZCYX"})
    result = run("table", labels, path)
    assert result.exit_code == 0, result.output
    data = tifffile.imread(labels)
    for row in rows(result.stdout):
        for channel in range(2):
            wanted = pixels[:, channel][data == int(row["id"])].mean()
            assert float(row[f"mean {channel}"]) == pytest.approx(wanted, rel=1e-5)


def test_classes_beside_the_labels_are_in_the_table(run, labels, tmp_path):
    labels.with_suffix(".csv").write_text("id,class,reviewed\n7,mitosis,checked\nx,y,z\n", "utf-8")
    first, second = rows(run("table", labels).stdout)
    assert (first["class"], first["reviewed"], second["class"]) == ("mitosis", "checked", "")
    other = tmp_path / "features.csv"
    other.write_text("index,class\n40000,debris\n", "utf-8")
    first, second = rows(run("table", labels, "--notes", other).stdout)
    assert (first["class"], second["class"]) == ("", "debris")
    assert "reviewed" not in first


def test_without_units_there_are_pixels(run, tmp_path):
    path = tmp_path / "plain.tif"
    tifffile.imwrite(path, np.eye(5, dtype=np.uint8))
    result = run("table", path)
    assert result.stdout.splitlines() == [
        "id,area [px],first y,last y,first x,last x,center y [px],center x [px]",
        "1,5,0,4,0,4,2.000,2.000",
    ]


def test_labels_without_objects_are_a_heading(run, tmp_path):
    path = tmp_path / "empty.tif"
    tifffile.imwrite(path, np.zeros((5, 5), np.uint8))
    assert len(run("table", path).stdout.splitlines()) == 1


def test_what_does_not_fit_is_refused(run, labels, image, tmp_path):
    small, gray = tmp_path / "small.tif", tmp_path / "gray.tif"
    tifffile.imwrite(small, np.zeros((5, 6), np.uint8))
    tifffile.imwrite(gray, np.zeros((5, 6), np.float32))
    out = tmp_path / "out.csv"
    for arguments, words in (
        ((labels, small), "Give the image of these labels"),
        ((gray,), "holds no labels"),
        ((labels, "-o", labels, "--force"), "never written to"),
    ):
        result = run("table", *arguments)
        assert result.exit_code != 0
        assert words in " ".join(result.stderr.split())
    assert run("table", labels, "-o", out).exit_code == 0
    result = run("table", labels, "-o", out)
    assert result.exit_code != 0
    assert "exists" in result.stderr
    assert run("table", labels, "-o", out, "--force").exit_code == 0
