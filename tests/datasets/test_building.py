from __future__ import annotations

from mask_scenery import assert_same_masks, image_of, ring_and_parts

from napari_sam.datasets.building import save_masks
from napari_sam.datasets.records import AnnotatedImage
from napari_sam.datasets.table import find_format


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
