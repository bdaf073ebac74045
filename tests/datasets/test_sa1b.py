from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from mask_scenery import assert_same_masks, images, ring_and_parts, wholes
from pycocotools import mask as coco

from napari_sam.datasets.formats.sa1b import read_sa1b, write_sa1b
from napari_sam.errors import InputError


@pytest.fixture
def written(tmp_path):
    write_sa1b(tmp_path / "a.json", [ring_and_parts()])
    return json.loads((tmp_path / "a.json").read_text())


@settings(deadline=None)
@given(images())
def test_masks_come_back(tmp_path_factory, image):
    path = tmp_path_factory.mktemp("sa1b") / "a.json"
    write_sa1b(path, [image])
    (again,) = read_sa1b(path)
    assert_same_masks(image, again)


def test_what_is_known_of_an_object_comes_back(tmp_path):
    write_sa1b(tmp_path / "a.json", [ring_and_parts()])
    (again,) = read_sa1b(tmp_path / "a.json")
    one, two, _ = again.objects
    assert (one.number, one.category, one.score, one.stability) == (4, "nucleus", 0.875, 0.9375)
    assert (one.point, one.crop) == ((6.0, 8.5), ((1.0, 2.0), (15.0, 20.0)))
    assert (two.number, two.category, two.score, two.point, two.crop) == (7, "debris", 1.0, None, None)
    assert (again.name, again.shape) == ("a.tif", (20, 30))


def test_the_records_are_those_of_the_dataset(written):
    image, annotation = written["image"], written["annotations"][0]
    assert {key: image[key] for key in ("width", "height", "file_name")} == {
        "width": 30,
        "height": 20,
        "file_name": "a.tif",
    }
    assert isinstance(image["image_id"], int)
    masks = wholes(ring_and_parts())
    runs = annotation["segmentation"]
    np.testing.assert_array_equal(coco.decode(runs), masks[0])
    assert annotation["bbox"] == coco.toBbox(runs).tolist() and annotation["area"] == coco.area(runs)
    assert (annotation["predicted_iou"], annotation["stability_score"]) == (0.875, 0.9375)
    assert annotation["point_coords"] == [[8.5, 6.0]]  # x before y
    assert annotation["crop_box"] == [2.0, 1.0, 18.0, 14.0]
    assert written["annotations"][1]["crop_box"] == [0.0, 0.0, 30.0, 20.0]
    assert [one["id"] for one in written["annotations"]] == [1, 2, 3]


def test_images_of_the_dataset_keep_their_number(tmp_path):
    image = ring_and_parts()
    write_sa1b(tmp_path / "a.json", [type(image)("sa_223750.jpg", image.shape, ())])
    assert json.loads((tmp_path / "a.json").read_text())["image"]["image_id"] == 223750


def damaged(written, tmp_path, change):
    change(written)
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(written))
    return path


DAMAGE = {
    "no image": (lambda d: d.pop("image"), "is not SA-1B's JSON"),
    "no annotations": (lambda d: d.pop("annotations"), "is not SA-1B's JSON"),
    "no width": (lambda d: d["image"].pop("width"), "image: width is not a number"),
    "huge": (lambda d: d["image"].update(width=10**30), "width is not a whole number"),
    "NaN": (lambda d: d["annotations"][1].update(predicted_iou=float("nan")), "NaN is not a number"),
    "text": (lambda d: d["annotations"][1].update(predicted_iou="0.9"), "annotation 2: predicted_iou is not a number"),
    "truth": (lambda d: d["annotations"][1].update(predicted_iou=True), "annotation 2: predicted_iou is not a number"),
    "runs": (lambda d: d["annotations"][1]["segmentation"].update(counts="1"), "annotation 2: This mask is damaged"),
    "size": (lambda d: d["image"].update(width=31), "annotation 1: its mask is 20 x 30 px, the image 20 x 31 px"),
    "no segmentation": (lambda d: d["annotations"][2].pop("segmentation"), "annotation 3: segmentation is not"),
    "point": (lambda d: d["annotations"][0].update(point_coords=[[1]]), "point_coords has 1 numbers"),
    "infinite": (lambda d: d["annotations"][0].update(crop_box=[0, 0, 10**400, 1]), "crop_box is not a number"),
    "list": (lambda d: d["annotations"].append([]), "annotation 4: annotation is not a record"),
    "name": (lambda d: d["image"].update(file_name=5), "file_name is not a text"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_files_are_refused_with_their_name(written, tmp_path, kind):
    change, words = DAMAGE[kind]
    path = damaged(written, tmp_path, change)
    with pytest.raises(InputError, match=words) as caught:
        read_sa1b(path)
    assert str(caught.value).count("bad.json") == 1


@pytest.mark.parametrize("text", ["", "{", "[1, 2", "[" * 100_000, '{"image": NaN}', "\xff\xfe", "1" * 5000])
def test_what_is_no_json_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.json"):
        read_sa1b(tmp_path / "a.json")


def test_faults_are_gathered_and_the_rest_is_read(written, tmp_path):
    def change(document):
        document["annotations"][0]["segmentation"]["counts"] = "zz"
        document["annotations"][1]["area"] += 5
        document["annotations"][2]["bbox"] = [0, 0, 2, 2]

    path, faults = damaged(written, tmp_path, change), []
    (image,) = read_sa1b(path, faults)
    assert len(image.objects) == 2
    assert [words.partition("bad.json, ")[2].partition(":")[0] for words in faults] == [
        "annotation 1",
        "annotation 2",
        "annotation 3",
    ]
    assert "area is 22" in faults[1] and "bbox is [0, 0, 2, 2]" in faults[2]


def test_boxes_of_sams_own_generator_are_no_fault(written, tmp_path):
    def change(document):
        for one in document["annotations"]:
            x, y, width, height = one["bbox"]
            one["bbox"] = [float(x), float(y), width - 1.0, height - 1.0]

    faults = []
    read_sa1b(damaged(written, tmp_path, change), faults)
    assert faults == []


def test_a_link_is_replaced_and_what_it_leads_to_is_kept(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "a.json").symlink_to(tmp_path / "mine.txt")
    write_sa1b(tmp_path / "a.json", [ring_and_parts()])
    assert (tmp_path / "mine.txt").read_text() == "mine" and len(read_sa1b(tmp_path / "a.json")) == 1
