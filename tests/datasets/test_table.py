"""What holds for every format."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from mask_scenery import assert_same_masks, image_of, ring_and_parts

from napari_sam.datasets.records import AnnotatedImage, MaskObject, to_labels
from napari_sam.datasets.table import FORMATS, find_format
from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask


@pytest.fixture(autouse=True)
def image_of_yolo(tmp_path):
    """Its shares are of the size of the image beside it, which differs from test to test."""

    def put(shape):
        tifffile.imwrite(tmp_path / "a.tiff", np.zeros(shape, np.uint8))

    return put


@pytest.fixture(params=FORMATS, ids=lambda one: one.name)
def kind(request):
    return request.param


def test_masks_come_back_pixel_by_pixel_where_the_format_is_exact(tmp_path, kind, image_of_yolo):
    image = ring_and_parts()
    image_of_yolo(image.shape)
    kind.write(tmp_path / f"a{kind.suffix}", [image])
    (again,) = kind.read(tmp_path / f"a{kind.suffix}")
    if kind.exact:
        assert_same_masks(image, again)
    else:
        assert (to_labels(again) > 0).sum() == pytest.approx((to_labels(image) > 0).sum(), rel=0.1)


def test_an_image_without_objects_is_written_too(tmp_path, kind, image_of_yolo):
    image_of_yolo((4, 5))
    kind.write(tmp_path / f"a{kind.suffix}", [image_of([], (4, 5))])
    (again,) = kind.read(tmp_path / f"a{kind.suffix}")
    assert (again.shape, again.objects) == ((4, 5), ())


def test_what_is_not_there_or_nonsense_is_refused_with_its_name_or_gathered(tmp_path, kind):
    path = tmp_path / f"a{kind.suffix}"
    with pytest.raises(InputError, match="There is no file"):
        kind.read(path)
    for contents in (b"", b"nonsense \xff", b"{}", b"PK\x03\x04nothing"):
        path.write_bytes(contents)
        with pytest.raises(InputError, match=rf"a{kind.suffix}"):
            kind.read(path)
        faults = []
        assert kind.read(path, faults) == [] and len(faults) == 1


def test_a_place_that_cannot_be_written_is_refused(tmp_path, kind):
    with pytest.raises(InputError, match="cannot be written"):
        kind.write(tmp_path / "none" / f"a{kind.suffix}", [ring_and_parts()])


def test_an_unknown_name_is_answered_with_those_that_there_are():
    assert find_format("coco").title == "COCO JSON"
    with pytest.raises(InputError, match=r"labels, coco, sa1b"):
        find_format("csv")


def test_numbers_of_numpy_are_numbers(tmp_path, kind, image_of_yolo):
    image_of_yolo((9, 9))
    mask = BoxedMask(tuple(np.array([2, 3])), np.ones((2, 3), bool), tuple(np.array([9, 9])))
    one = MaskObject(mask, np.int64(5), "a", np.float32(0.5), np.float64(0.25), tuple(np.array([2.0, 3.0], np.float32)))
    kind.write(tmp_path / f"a{kind.suffix}", [AnnotatedImage("a.tiff", (np.int64(9), np.int64(9)), (one,))])
    (again,) = kind.read(tmp_path / f"a{kind.suffix}")
    assert again.objects[0].mask.area == 6
