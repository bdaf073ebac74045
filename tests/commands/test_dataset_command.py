from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam.datasets.records import to_labels
from napari_sam.datasets.table import FORMATS, recognise

NAMES = [kind.name for kind in FORMATS]


@pytest.fixture
def source(tmp_path):
    """Two images with labels, one without, and labels without an image."""
    images, labels = tmp_path / "pictures", tmp_path / "masks"
    images.mkdir()
    labels.mkdir()
    for number, name in enumerate(("a", "b", "alone")):
        tifffile.imwrite(images / f"{name}.tif", np.full((30, 40), number, np.uint8))
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(images / "c.png")
    marks = np.zeros((30, 40), np.uint16)
    marks[2:6, 3:9], marks[10:20, 10:30], marks[12:14, 12:14] = 5, 9, 0
    tifffile.imwrite(labels / "a.tif", marks)
    tifffile.imwrite(labels / "b_labels.tif", np.zeros((30, 40), np.uint8))
    Image.fromarray((marks > 0).astype(np.uint8)).save(labels / "c.png")
    Image.fromarray(marks.astype(np.uint8)).save(labels / "lost.png")
    return images, labels, marks


@pytest.fixture
def built(tmp_path, source, run):
    def build(kind):
        ended = run("dataset", "build", *source[:2], "-o", tmp_path / "set", "--format", kind)
        assert ended.exit_code == 0, ended.output
        return tmp_path / "set"

    return build


@pytest.mark.parametrize("kind", NAMES)
def test_a_dataset_that_was_built_is_whole_and_counted(tmp_path, source, run, built, kind):
    folder = built(kind)
    ended = run("dataset", "check", folder)
    assert ended.exit_code == 0 and "nothing is wrong" in ended.output, ended.output
    counted = json.loads(run("dataset", "count", folder, "--json").stdout)
    assert (counted["images"], counted["objects"], counted["formats"], counted["faults"]) == (3, 3, [kind], 0)
    (category,) = counted["categories"]
    assert (category["smallest"], category["median"], category["largest"]) == (24, 196, 220)
    masks = next(path for path in sorted(folder.rglob("a*")) if recognise(path) is not None)
    images = recognise(masks).read(masks)
    image = next(image for image in images if image.name.startswith("a"))
    np.testing.assert_array_equal(to_labels(image) > 0, source[2] > 0)
    copies = {path.name: path.read_bytes() for path in folder.rglob("*.*") if path.parent.name != "labels"}
    assert all(copies[name] == (source[0] / name).read_bytes() for name in ("a.tif", "b.tif", "c.png"))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_has_no_partner_is_told(tmp_path, source, run):
    ended = run("dataset", "build", *source[:2], "-o", tmp_path / "set")
    assert ended.stdout == f"{tmp_path / 'set'}: 3 images with 3 objects as SA-1B JSON.\n"
    assert ended.stderr.splitlines() == [
        "Note: Images without labels, left out (1): alone.",
        "Note: Labels without an image, left out (1): lost.",
    ]


def test_one_folder_with_labels_called_so_and_two_files_are_taken(tmp_path, run):
    marks = np.zeros((5, 6), np.uint8)
    marks[1:3, 2:4] = 1
    tifffile.imwrite(tmp_path / "a.tif", marks)
    tifffile.imwrite(tmp_path / "a_mask.tif", marks)
    for number, places in enumerate(((tmp_path, tmp_path), (tmp_path / "a.tif", tmp_path / "a_mask.tif"))):
        ended = run("dataset", "build", *places, "-o", tmp_path / f"set{number}", "--json")
        assert json.loads(ended.stdout) | {"folder": ""} == {"folder": "", "format": "sa1b", "images": 1, "objects": 1}


def test_categories_are_counted_and_shown(tmp_path, source, run):
    run("dataset", "build", *source[:2], "-o", tmp_path / "set", "--format", "coco", "--category", "cell [big]")
    ended = run("dataset", "count", tmp_path / "set")
    assert ended.stdout.splitlines() == [
        "Category    Objects  Smallest, px  Median, px  Largest, px  ",
        "cell [big]        3            24         196          220  ",
        f"{tmp_path / 'set'}: 3 images, 3 objects in 1 file of COCO JSON.",
    ]


def test_yolo_has_the_settings_that_training_programs_read(tmp_path, source, run):
    import yaml

    run("dataset", "build", *source[:2], "-o", tmp_path / "set", "--format", "yolo", "--category", 'a: "b"')
    settings = yaml.safe_load((tmp_path / "set" / "data.yaml").read_text())
    assert (settings["train"], settings["names"]) == ("images", {0: 'a: "b"'})


def test_every_fault_of_every_file_is_listed_and_the_exit_code_says_so(built, run):
    folder = built("sa1b")
    document = json.loads((folder / "a.json").read_text())
    document["annotations"][0]["segmentation"]["counts"] = "zz"
    document["annotations"][1]["area"] = 1
    (folder / "a.json").write_text(json.dumps(document))
    (folder / "b.json").write_text("{")
    (folder / "c.png").unlink()
    (folder / "other.json").write_text("{}")
    tifffile.imwrite(folder / "a.tif", np.zeros((31, 40), np.uint8))
    ended = run("dataset", "check", folder)
    lines = ended.stdout.splitlines()
    assert ended.exit_code == 1 and lines[-1].endswith(", 5 faults.")
    for words in (
        "a.json, annotation 1: its mask is damaged",
        "a.json, annotation 2: area is 1, its mask has 196 px",
        "a.json: a.tif is 31 x 40 px, its masks are for 30 x 40 px",
        "b.json cannot be read",
        "c.json: its image c.png is missing",
        f"Note: 1 image without masks: {folder / 'b.tif'}",
    ):
        assert words in ended.stdout
    told = json.loads(run("dataset", "check", folder, "--json").stdout)
    assert [len(one["faults"]) for one in told["files"]] == [3, 1, 1] and len(told["notes"]) == 1
    ended = run("dataset", "count", folder)
    assert ended.exit_code == 0 and "5 faults: `napari-sam dataset check" in ended.stderr


def test_missing_images_of_one_file_are_one_fault(built, run):
    folder = built("coco")
    for path in (folder / "images").iterdir():
        path.unlink()
    ended = run("dataset", "check", folder / "annotations.json")
    assert ended.stdout.startswith(f"{folder / 'annotations.json'}: 3 of 3 images are missing, such as a.tif.\n")


def test_what_was_left_out_is_a_note_and_no_fault_of_its_own(built, run):
    folder = built("geojson")
    path = folder / "labels" / "a.geojson"
    document = json.loads(path.read_text())
    document["features"].append({"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}})
    path.write_text(json.dumps(document))
    ended = run("dataset", "check", folder)
    assert ended.exit_code == 0 and "a.geojson: Left out: 1 points or lines." in ended.stdout


@pytest.mark.parametrize("command", ["check", "count"])
def test_what_is_no_dataset_is_refused(tmp_path, run, command):
    (tmp_path / "a.txt").write_text("text")
    for place, words in ((tmp_path, "holds no masks"), (tmp_path / "none", "There is no file or folder")):
        ended = run("dataset", command, place)
        assert ended.exit_code == 1 and words in ended.stderr


def test_mistakes_in_building_are_refused_and_nothing_is_written(tmp_path, source, run):
    images, labels, _ = source
    output = tmp_path / "set"

    def refused(*arguments):
        ended = run("dataset", "build", *arguments)
        assert ended.exit_code == 1 and not output.exists()
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
        return ended.stderr

    assert "labels, coco, sa1b" in refused(images, labels, "-o", output, "--format", "csv")
    assert "There is no folder" in refused(images, tmp_path / "none", "-o", output)
    assert "No image of" in refused(labels, tmp_path, "-o", output)
    assert "hold no categories" in refused(images, labels, "-o", output, "--format", "labels", "--category", "a")
    assert "would be replaced" in refused(images, labels, "-o", tmp_path, "--force")
    assert "is the input" in refused(images, labels, "-o", images, "--force")
    (tmp_path / "taken").mkdir()
    assert "exists. Choose another output, or use --force" in refused(images, labels, "-o", tmp_path / "taken")
    tifffile.imwrite(labels / "b_labels.tif", np.zeros((30, 41), np.uint8))
    assert "is 30 x 41 px, its image 30 x 40 px" in refused(images, labels, "-o", output)


def test_a_folder_that_is_there_is_replaced_when_the_person_says_so(tmp_path, source, run):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old").write_text("old")
    ended = run("dataset", "build", *source[:2], "-o", tmp_path / "set", "--force")
    assert ended.exit_code == 0 and not (tmp_path / "set" / "old").exists()
