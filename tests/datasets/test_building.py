from __future__ import annotations

import pytest
from mask_scenery import assert_same_masks, image_of, ring_and_parts

from napari_sam.datasets.building import pair_files, save_masks
from napari_sam.datasets.records import AnnotatedImage
from napari_sam.datasets.table import find_format
from napari_sam.errors import InputError


def stack() -> list[AnnotatedImage]:
    image = ring_and_parts()
    return [AnnotatedImage("s.tif", image.shape, image.objects[at : at + 1], at) for at in range(2)]


def test_planes_of_a_stack_share_a_file_where_the_format_has_planes(tmp_path):
    for name in ("geojson", "imagej"):
        kind = find_format(name)
        (path, other) = save_masks(tmp_path / name, iter([*stack(), image_of([], (4, 4))]), kind)
        assert (path.stem, other.stem) == ("s", "a")
        for one, again in zip(stack(), kind.read(path), strict=True):
            assert_same_masks(one, again)


def test_else_each_plane_has_a_file_with_its_number(tmp_path):
    paths = save_masks(tmp_path, stack(), find_format("sa1b"))
    assert [path.name for path in paths] == ["s_0000.json", "s_0001.json"]


def test_images_are_taken_one_by_one(tmp_path):
    taken = []

    def images():
        for number in range(3):
            # What was given before is on disk by now.
            assert len(list(tmp_path.rglob("*.json"))) == max(0, number - 1)
            taken.append(number)
            yield AnnotatedImage(f"{number}.tif", (4, 4), ())

    save_masks(tmp_path, images(), find_format("sa1b"))
    assert taken == [0, 1, 2]


def test_coco_is_one_file_for_all(tmp_path):
    (path,) = save_masks(tmp_path, iter([*stack(), image_of([], (4, 4))]), find_format("coco"))
    assert path == tmp_path / "annotations.json"
    assert [(image.name, image.plane) for image in find_format("coco").read(path)] == [
        ("s.tif", 0),
        ("s.tif", 1),
        ("a.tif", 0),
    ]


def names(folder, other=None, **options):
    pairs, notes = pair_files(folder, other or folder, **options)
    return [(image.name, labels.name) for image, labels in pairs], notes


def test_labels_beside_their_images_are_matched_by_name(tmp_path):
    for name in ("a.tif", "a_cp_masks.png", "b.png", "b_labels.tif", "c.jpg", "d_mask.png"):
        (tmp_path / name).touch()
    pairs, notes = names(tmp_path)
    assert pairs == [("a.tif", "a_cp_masks.png"), ("b.png", "b_labels.tif")]
    assert notes == ["Images without labels, left out (1): c.", "Labels without an image, left out (1): d."]


def test_stacks_of_all_formats_are_matched_where_they_are_wanted(tmp_path):
    for name in ("a.nii.gz", "a_labels.nii.gz", "b.npy", "b_labels.npy", "b_seg.npy", "c.png", "c_masks.jpg"):
        (tmp_path / name).touch()
    pairs, _notes = names(tmp_path, stacks=True)
    assert pairs == [("a.nii.gz", "a_labels.nii.gz"), ("b.npy", "b_labels.npy")]
    with pytest.raises(InputError, match="No image of"):
        names(tmp_path)


def test_images_of_one_name_have_labels_of_their_own(tmp_path):
    for name in ("a.png", "a.tif", "a.png_labels.tif", "a.tif_labels.tif"):
        (tmp_path / name).touch()
    assert names(tmp_path)[0] == [("a.png", "a.png_labels.tif"), ("a.tif", "a.tif_labels.tif")]
    (tmp_path / "a.tif_labels.tif").unlink()
    (tmp_path / "a.png_labels.tif").unlink()
    (tmp_path / "a_labels.tif").touch()
    with pytest.raises(InputError, match="share one name"):
        names(tmp_path)
