from __future__ import annotations

import zipfile

import numpy as np
import pytest
import roifile
import tifffile
from hypothesis import given, settings
from mask_scenery import assert_same_masks, image_of, images, ring_and_parts

from napari_sam.datasets.formats.imagej import is_roi_archive, read_rois, write_rois
from napari_sam.datasets.records import AnnotatedImage, MaskObject
from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask


def roi(kind, box=(2, 1, 6, 4), **known) -> roifile.ImagejRoi:
    made = roifile.ImagejRoi(roitype=kind, **known)
    made.left, made.top, made.right, made.bottom = box
    return made


def read(tmp_path, rois, faults=None):
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, one in enumerate(rois):
            archive.writestr(f"{number}.roi", one if isinstance(one, bytes) else one.tobytes())
    return read_rois(path, faults)


@settings(deadline=None, max_examples=50)
@given(images())
def test_masks_come_back(tmp_path_factory, image):
    path = tmp_path_factory.mktemp("imagej") / "a.zip"
    write_rois(path, [image])
    (again,) = read_rois(path)
    assert_same_masks(image, again)


def test_what_is_known_of_an_object_comes_back(tmp_path):
    write_rois(tmp_path / "a.zip", [ring_and_parts()])
    (again,) = read_rois(tmp_path / "a.zip")
    one, two, three = again.objects
    assert (one.number, one.category, one.score, one.stability) == (4, "nucleus", 0.875, 0.9375)
    assert (two.number, two.category, two.score) == (7, "debris", None)
    assert (three.number, three.category) == (3, None)
    assert (again.name, again.shape, again.notes) == ("a.tif", (20, 30), ())


def test_roifile_reads_traced_and_composite_rois_with_names_groups_and_no_position(tmp_path):
    square = np.zeros((20, 30), bool)
    square[3:5, 7:9] = True
    image = ring_and_parts()
    write_rois(
        tmp_path / "a.zip", [AnnotatedImage("a", (20, 30), (*image_of([square], (20, 30)).objects, *image.objects))]
    )
    rois = roifile.roiread(tmp_path / "a.zip")
    traced, ring, parts, _ = rois
    assert traced.roitype == roifile.ROI_TYPE.TRACED and not traced.composite
    assert sorted(traced.coordinates().tolist()) == [[7, 3], [7, 5], [9, 3], [9, 5]]
    assert ring.composite and len(ring.coordinates(multi=True)) == 3 and len(parts.coordinates(multi=True)) == 3
    assert (ring.left, ring.top, ring.right, ring.bottom) == (3, 2, 15, 12)
    assert [one.group for one in rois] == [0, 1, 2, 0] and {one.position for one in rois} == {0}
    assert len({one.name for one in rois}) == 4


def test_planes_of_a_stack_are_positions_from_one(tmp_path):
    image = ring_and_parts()
    planes = [AnnotatedImage("a.tif", image.shape, image.objects[at : at + 1], at * 2) for at in range(2)]
    write_rois(tmp_path / "a.zip", planes)
    assert [one.position for one in roifile.roiread(tmp_path / "a.zip")] == [1, 3]
    again = read_rois(tmp_path / "a.zip")
    assert [one.plane for one in again] == [0, 2]
    for one, other in zip(planes, again, strict=True):
        assert_same_masks(one, other)


@pytest.mark.parametrize("edge", [33_000, 60_500])
def test_objects_far_out_keep_their_place(tmp_path, edge):
    mask = np.ones((3, 4), bool)
    holed = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
    plane = (60_536, 60_536)
    objects = tuple(MaskObject(BoxedMask((edge, edge + 2), one, plane)) for one in (mask, holed))
    write_rois(tmp_path / "a.zip", [AnnotatedImage("a", plane, objects)])
    (again,) = read_rois(tmp_path / "a.zip")
    for one, other in zip(objects, again.objects, strict=True):
        assert one.mask.origin == other.mask.origin
        np.testing.assert_array_equal(one.mask.mask, other.mask.mask)


def test_planes_beyond_the_coordinates_of_imagej_are_refused(tmp_path):
    with pytest.raises(InputError, match="up to 60536 px"):
        write_rois(tmp_path / "a.zip", [AnnotatedImage("a", (60_537, 4), ())])
    assert not list(tmp_path.iterdir())


def test_category_and_name_of_any_letters_come_back_or_are_replaced(tmp_path):
    (one, *_), shape = ring_and_parts().objects, (20, 30)
    objects = tuple(MaskObject(one.mask, category=name) for name in ("Zelle ä µ", "12", "\U0001f9eb", "a\nscore: 5"))
    write_rois(tmp_path / "a.zip", [AnnotatedImage("Ä.tif", shape, objects)])
    (again,) = read_rois(tmp_path / "a.zip")
    assert [other.category for other in again.objects] == ["Zelle ä µ", "12", "?", "a?score: 5"]
    assert again.name == "Ä.tif" and again.objects[3].score is None


def test_rectangles_ovals_and_groups_of_imagej_are_read(tmp_path):
    kinds = roifile.ROI_TYPE
    (image,) = read(tmp_path, [roi(kinds.RECT, group=7), roi(kinds.OVAL, (0, 0, 21, 11), position=1)])
    square, oval = image.objects
    assert (square.mask.area, square.mask.origin, square.category) == (12, (1, 2), "group 7")
    y, x = np.indices((11, 21)) + 0.5
    np.testing.assert_array_equal(oval.mask.whole(), ((x - 10.5) / 10.5) ** 2 + ((y - 5.5) / 5.5) ** 2 < 1)
    assert image.shape == (11, 21)


def test_the_size_is_that_of_the_image_beside(tmp_path):
    tifffile.imwrite(tmp_path / "bad.tif", np.zeros((40, 50), np.uint8))
    (image,) = read(tmp_path, [roi(roifile.ROI_TYPE.RECT)])
    assert image.shape == (40, 50)


def test_rois_that_are_no_areas_are_left_out_and_told(tmp_path):
    point = roifile.ImagejRoi.frompoints([[1, 2]])
    point.roitype = roifile.ROI_TYPE.POINT
    (image,) = read(tmp_path, [roi(roifile.ROI_TYPE.RECT), roi(roifile.ROI_TYPE.LINE), point])
    assert len(image.objects) == 1 and image.notes == ("Left out: 2 ROIs that are points, lines or texts.",)


def composite(*path: float) -> roifile.ImagejRoi:
    made = roi(roifile.ROI_TYPE.RECT)
    made.shape_roi_size, made.multi_coordinates = len(path), np.array(path, np.float32)
    return made


def cut(made: roifile.ImagejRoi, **fields: int) -> bytes:
    """Promise more than the file has."""
    made = roifile.ImagejRoi.frombytes(made.tobytes())
    data = bytearray(made.tobytes())
    places = {"n_coordinates": slice(16, 18), "shape_roi_size": slice(36, 40)}
    for name, value in fields.items():
        place = places[name]
        data[place] = value.to_bytes(place.stop - place.start, "big")
    return bytes(data)


TRIANGLE = (0, 1, 1, 1, 9, 1, 1, 9, 9, 4)
DAMAGE = {
    "nothing": b"",
    "short": b"Iout" + bytes(30),
    "other": bytes(100),
    "many corners": cut(roifile.ImagejRoi.frompoints([[1, 1], [5, 1], [5, 5]]), n_coordinates=60_000),
    "much path": cut(composite(*TRIANGLE), shape_roi_size=2**31 - 1),
    "no number": composite(0, np.nan, 1, 1, 9, 1, 1, 9, 9, 4),
    "far": composite(0, 1e30, 1, 1, 9, 1, 1, 9, 9, 4),
    "command": composite(7, 1, 1),
    "curve": composite(0, 1, 1, 2, 9, 1, 9, 9, 4),
    "end": composite(0, 1, 1, 1, 9),
    "two corners": composite(0, 1, 1, 1, 9, 1),
    "score": roi(roifile.ROI_TYPE.RECT, props="score: high\n"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_rois_are_refused_with_their_name_or_gathered(tmp_path, kind):
    good = roi(roifile.ROI_TYPE.RECT)
    with pytest.raises(InputError, match=r"1\.roi") as caught:
        read(tmp_path, [good, DAMAGE[kind]])
    assert "bad.zip" in str(caught.value)
    faults = []
    (image,) = read(tmp_path, [good, DAMAGE[kind]], faults)
    assert len(faults) == 1 and len(image.objects) == 1


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_sam.datasets.documents.largest_read", lambda: 10**7)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.roi", bytes(10**7))
    assert (tmp_path / "bomb.zip").stat().st_size < 20_000
    monkeypatch.setattr("napari_sam.datasets.formats.imagej.read_member", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(InputError, match=r"bomb\.zip, a\.roi: .* memory"):
        read_rois(tmp_path / "bomb.zip")


def test_archives_of_rois_are_told_from_others(tmp_path):
    write_rois(tmp_path / "a.zip", [image_of([], (4, 5))])
    assert is_roi_archive(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("a.txt", "text")
    (tmp_path / "c.zip").write_bytes(b"nonsense")
    for name in ("b.zip", "c.zip", "none.zip"):
        assert not is_roi_archive(tmp_path / name)
    with pytest.raises(InputError, match="holds no ROIs"):
        read_rois(tmp_path / "b.zip")
