from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_scenery import assert_same_masks, image_of, images, ring_and_parts, wholes
from pycocotools import mask as runs
from pycocotools.coco import COCO

from napari_sam.datasets.formats.coco import read_coco, write_coco
from napari_sam.errors import InputError


def opened(path) -> COCO:
    """Open with pycocotools, which tells of it on standard output."""
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


@settings(deadline=None, max_examples=50)
@given(st.lists(images(), max_size=3))
def test_masks_of_all_images_come_back(tmp_path_factory, several):
    path = tmp_path_factory.mktemp("coco") / "a.json"
    write_coco(path, several)
    for image, again in zip(several, read_coco(path), strict=True):
        assert_same_masks(image, again)


def test_pycocotools_opens_it_and_sees_the_same(tmp_path):
    image = ring_and_parts()
    write_coco(tmp_path / "a.json", [image_of([], (5, 5)), image])
    coco = opened(tmp_path / "a.json")
    assert [one["file_name"] for one in coco.loadImgs([1, 2])] == ["a.tif", "a.tif"]
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=2))
    assert [coco.loadCats(one["category_id"])[0]["name"] for one in annotations] == ["nucleus", "debris", "object"]
    for one, mask in zip(annotations, wholes(image), strict=True):
        np.testing.assert_array_equal(coco.annToMask(one), mask)
        assert one["bbox"] == runs.toBbox(one["segmentation"]).tolist() and one["area"] == mask.sum()


def test_scores_labels_and_planes_come_back(tmp_path):
    image = ring_and_parts()
    plane = type(image)(image.name, image.shape, image.objects, 3)
    write_coco(tmp_path / "a.json", [plane])
    (again,) = read_coco(tmp_path / "a.json")
    one = again.objects[0]
    assert (one.number, one.category, one.score, one.stability, again.plane) == (4, "nucleus", 0.875, 0.9375, 3)


def document(**annotation):
    known = {"id": 1, "image_id": 7, "category_id": 1}
    return {
        "images": [{"id": 7, "file_name": "a.png", "width": 40, "height": 30}],
        "annotations": [known | annotation],
        "categories": [{"id": 1, "name": "cell"}],
    }


def read(tmp_path, content):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(content))
    return read_coco(path)


def test_polygons_are_filled_as_pycocotools_does(tmp_path):
    polygons = [[3.5, 2.25, 20, 4, 12, 19.5], [30, 20, 39.9, 20, 41, 31.5, 30, 29]]
    (image,) = read(tmp_path, document(segmentation=polygons))
    coco = opened(tmp_path / "bad.json")
    np.testing.assert_array_equal(image.objects[0].mask.whole(), coco.annToMask(coco.loadAnns(1)[0]))
    assert image.objects[0].mask.area > 100


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ({"segmentation": [[1, 2, 3, 4]]}, "three corners"),
        ({"segmentation": [[1, 2, 3, 4, 5]]}, "three corners"),
        ({"segmentation": [[1, 2, 3, 4, 5, "6"]]}, "not a number"),
        ({"segmentation": [[1, 2, 3, 4, 10**9, 5]]}, "outside the image"),
        ({"segmentation": []}, "no polygons"),
        ({"segmentation": [5]}, "not a list"),
        ({"segmentation": None}, "not a record"),
        ({"segmentation": {"size": [30, 40], "counts": [0, 3]}}, "cover 3 of 1200"),
        ({"segmentation": [[1, 1, 9, 1, 9, 9]], "category_id": 2}, "category 2"),
        ({"segmentation": [[1, 1, 9, 1, 9, 9]], "image_id": 8}, "image 8"),
        ({"segmentation": [[1, 1, 9, 1, 9, 9]], "image_id": None}, "image_id is not a number"),
    ],
)
def test_damaged_annotations_are_refused(tmp_path, annotation, words):
    with pytest.raises(InputError, match=rf"bad\.json, annotation 1: .*{words}"):
        read(tmp_path, document(**annotation))


def test_a_zigzag_is_refused_before_pycocotools_walks_along_it(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_sam.datasets.documents.largest_read", lambda: 10**6)
    zigzag = [[0, 0, 40, 30] * 1000]
    with pytest.raises(InputError, match="memory"):
        read(tmp_path, document(segmentation=zigzag))


def test_damaged_images_and_other_json_are_refused(tmp_path):
    twice = document(segmentation=[[1, 1, 9, 1, 9, 9]])
    twice["images"] *= 2
    with pytest.raises(InputError, match="image 2: id 7 is that of another"):
        read(tmp_path, twice)
    with pytest.raises(InputError, match="is not COCO's JSON"):
        read(tmp_path, {"images": []})
    with pytest.raises(InputError, match="is not COCO's JSON"):
        read(tmp_path, [])
