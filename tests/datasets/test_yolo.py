from __future__ import annotations

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from mask_scenery import assert_same_masks, images, ring_and_parts
from skimage.draw import polygon2mask

from napari_sam.datasets.formats.yolo import class_names, read_yolo, write_yolo
from napari_sam.datasets.records import AnnotatedImage, MaskObject
from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask


def folders(tmp_path, shape=(20, 30)):
    """Lay out a set as it is trained on, and give the place of the masks of a.tif."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    tifffile.imwrite(tmp_path / "images" / "a.tif", np.zeros(shape, np.uint8))
    return tmp_path / "labels" / "a.txt"


@settings(deadline=None, max_examples=50)
@given(images())
def test_filled_by_the_even_odd_rule_masks_come_back_with_their_holes(tmp_path_factory, image):
    path = folders(tmp_path_factory.mktemp("yolo"), image.shape)
    write_yolo(path, [image])
    (again,) = read_yolo(path)
    assert_same_masks(image, again)


def test_an_object_is_one_line_of_shares_and_classes_are_told_beside(tmp_path):
    path = folders(tmp_path)
    image = ring_and_parts()
    square = np.zeros((20, 30), bool)
    square[5:10, 6:12] = True
    write_yolo(path, [AnnotatedImage("a.tif", image.shape, (MaskObject(BoxedMask.of(square)), *image.objects))])
    lines = path.read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1", "2", "0"]
    corners = np.array(lines[0].split()[1:], float).reshape(-1, 2)
    assert corners.tolist() in ([[x, y] for x, y in np.roll(corners, k, axis=0)] for k in range(4))
    assert sorted(corners.round(6).tolist()) == [[0.2, 0.25], [0.2, 0.5], [0.4, 0.25], [0.4, 0.5]]
    assert class_names(path.parent) == ["object", "nucleus", "debris"]
    (again,) = read_yolo(path)
    assert [one.category for one in again.objects] == ["object", "nucleus", "debris", "object"]
    assert again.name == "a.tif"


def test_classes_of_a_folder_keep_their_numbers(tmp_path):
    path = folders(tmp_path)
    (path.parent / "classes.txt").write_text("debris\ncell\n")
    write_yolo(path, [ring_and_parts()])
    assert class_names(path.parent) == ["debris", "cell", "nucleus", "object"]
    assert [line.split()[0] for line in path.read_text().splitlines()] == ["2", "0", "3"]


def test_another_filler_sees_the_same_object(tmp_path):
    path = folders(tmp_path)
    square = np.zeros((20, 30), bool)
    square[5:10, 6:12] = square[2:6, 8:20] = True
    write_yolo(path, [AnnotatedImage("a", (20, 30), (MaskObject(BoxedMask.of(square)),))])
    corners = np.array(path.read_text().split()[1:], float).reshape(-1, 2)[:, ::-1] * (20, 30)
    # Its pixels are points, so that ours are centres.
    np.testing.assert_array_equal(polygon2mask((20, 30), corners - 0.5 + 1e-6), square)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cell 0.1 0.1 0.2 0.2 0.3 0.1", "'cell' is not the number of a class"),
        ("-1 0.1 0.1 0.2 0.2 0.3 0.1", "not the number of a class"),
        ("0 0.5 0.5 0.1 0.1", "a box, not a polygon"),
        ("0 0.1 0.1 0.2 0.2 0.3", "no y"),
        ("0 0.1 0.1 0.2 x 0.3 0.1", "not numbers"),
        ("0 0.1 0.1 0.2 nan 0.3 0.1", "not shares"),
        ("0 10 10 20 20 30 10", "not shares"),
        ("0", "three corners"),
        ("0 0.1 0.1", "three corners"),
    ],
)
def test_damaged_lines_are_refused_with_their_place_or_gathered(tmp_path, line, words):
    path, good = folders(tmp_path), "0 0.1 0.1 0.5 0.1 0.5 0.5\n"
    path.write_text(f"{good}\n{line}\n")
    with pytest.raises(InputError, match=rf"a\.txt, line 3: .*{words}"):
        read_yolo(path)
    faults = []
    (image,) = read_yolo(path, faults)
    assert len(faults) == 1 and [one.category for one in image.objects] == ["class 0"]


def test_without_its_image_it_is_refused_with_what_to_do(tmp_path):
    path = folders(tmp_path)
    (tmp_path / "images" / "a.tif").unlink()
    path.write_text("")
    with pytest.raises(InputError, match=r"a\.txt is missing, whose size is needed. Put it beside"):
        read_yolo(path)


def test_what_is_no_text_is_refused(tmp_path):
    path = folders(tmp_path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"a\.txt cannot be read"):
        read_yolo(path)
