"""Opening and saving masks in napari, with its own commands."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
import tifffile
from mask_scenery import image_of, ring_and_parts
from napari.components import ViewerModel
from npe2 import PluginManager

from napari_sam.datasets import layers
from napari_sam.datasets.formats.coco import read_coco, write_coco
from napari_sam.datasets.formats.geojson import read_geojson, write_geojson
from napari_sam.datasets.formats.imagej import write_rois
from napari_sam.datasets.formats.sa1b import write_sa1b
from napari_sam.datasets.records import AnnotatedImage, to_labels
from napari_sam.errors import InputError, NapariSamError

PLUGIN = "napari-sam-live"
WRITERS = {"a.json": write_coco, "b.json": write_sa1b, "a.geojson": write_geojson, "a.zip": write_rois}
PLANE = np.zeros((20, 30), np.uint16)
PLANE[2:9, 3:12], PLANE[4:6, 5:7], PLANE[15, 20:30], PLANE[16:, :3] = 3, 0, 3, 12


@pytest.fixture
def viewer():
    PluginManager.instance().discover()
    return ViewerModel()


@pytest.fixture
def sa1b_folder(tmp_path):
    for number in range(2):
        image = ring_and_parts()
        tifffile.imwrite(tmp_path / f"{number}.tif", np.full(image.shape, number, np.uint8))
        write_sa1b(tmp_path / f"{number}.json", [AnnotatedImage(f"{number}.tif", image.shape, image.objects)])
    return tmp_path


@pytest.mark.parametrize("name", WRITERS)
def test_files_of_masks_open_as_labels_with_what_is_known(tmp_path, viewer, name):
    image = ring_and_parts()
    WRITERS[name](tmp_path / name, [image])
    (layer,) = viewer.open(tmp_path / name, plugin=PLUGIN)
    assert layer._type_string == "labels" and layer.data.flags.writeable
    np.testing.assert_array_equal(layer.data, to_labels(image))
    row = layer.features[layer.features["index"] == 4].iloc[0]
    assert (row["category"], row["score"]) == ("nucleus", 0.875)


def test_a_folder_in_the_form_of_sa1b_opens_with_its_images(viewer, sa1b_folder):
    (sa1b_folder / "other.json").write_text("{}")
    opened = viewer.open(sa1b_folder, plugin=PLUGIN)
    assert [layer._type_string for layer in opened] == ["image", "labels"] * 2
    assert [int(layer.data.max()) for layer in opened[::2]] == [0, 1]
    for layer in opened[1::2]:
        np.testing.assert_array_equal(layer.data, to_labels(ring_and_parts()))


def test_what_is_not_ours_is_left_to_others(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}')
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "c.geojson").write_text("[]")
    (tmp_path / "d.txt").write_text("0 0.1 0.1 0.2 0.2 0.3 0.1")
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr("a.tif", b"")
    tifffile.imwrite(tmp_path / "f.tif", PLANE)
    (tmp_path / "f.json").write_text('{"axes": "yx"}')
    assert not any(layers.get_reader(str(path)) for path in (tmp_path, tmp_path / "none.json", *tmp_path.iterdir()))
    assert layers.get_reader([str(tmp_path / "a.json")]) is None


def test_folders_of_pictures_are_still_stacks(tmp_path, viewer):
    for number in range(2):
        tifffile.imwrite(tmp_path / f"{number}.tif", PLANE)
    (layer,) = viewer.open(tmp_path, plugin=PLUGIN)
    assert layer.data.shape == (2, 20, 30)


def test_masks_lie_upon_their_image(tmp_path, viewer):
    tifffile.imwrite(
        tmp_path / "a.ome.tif", PLANE, metadata={"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    )
    write_geojson(tmp_path / "a.geojson", [AnnotatedImage("a.ome.tif", (20, 30), ring_and_parts().objects)])
    (image,) = viewer.open(tmp_path / "a.ome.tif", plugin=PLUGIN)
    (masks,) = viewer.open(tmp_path / "a.geojson", plugin=PLUGIN)
    assert tuple(masks.scale) == tuple(image.scale) == (0.25, 0.5) and masks.units == image.units


@pytest.mark.parametrize("name", ["a.json", "a.geojson", "a.zip"])
@pytest.mark.parametrize("planes", [None, 4])
def test_saved_labels_opened_again_are_the_same(tmp_path, viewer, name, planes):
    data = PLANE
    if planes:
        data = np.zeros((planes, *PLANE.shape), PLANE.dtype)
        data[1], data[2] = PLANE, PLANE[::-1] // 2
    features = {"index": [0, 3, 12], "category": ["", "cell", ""], "score": [np.nan, np.nan, 0.5]}
    layer = viewer.add_labels(data, name="cells", features=features)
    assert layer.save(str(tmp_path / name), plugin=PLUGIN)
    (again,) = viewer.open(tmp_path / name, plugin=PLUGIN)
    np.testing.assert_array_equal(again.data, data)
    table = again.features.set_index("index")
    assert table.loc[3, "category"] == "cell" and table.loc[12, "score"] == 0.5 and np.isnan(table.loc[3, "score"])
    assert again.metadata["image"] == "cells"


def test_of_several_resolutions_the_finest_is_written(tmp_path, viewer):
    layer = viewer.add_labels([PLANE, PLANE[::2, ::2]], multiscale=True)
    layer.save(str(tmp_path / "a.geojson"), plugin=PLUGIN)
    np.testing.assert_array_equal(to_labels(read_geojson(tmp_path / "a.geojson")[0]), PLANE)


def test_what_cannot_be_written_is_said_in_words(tmp_path, viewer):
    layer = viewer.add_labels(np.zeros((2, 2, 3, 3), int))
    with pytest.raises(NapariSamError, match="The layer has 4 axes"):
        layer.save(str(tmp_path / "a.zip"), plugin=PLUGIN)


def test_images_of_coco_are_layers_of_their_own_and_very_many_are_refused(tmp_path, viewer, monkeypatch):
    images = [AnnotatedImage(f"{number}.tif", (4, 4 + number), ()) for number in range(3)]
    write_coco(tmp_path / "a.json", images)
    assert [layer.data.shape for layer in viewer.open(tmp_path / "a.json", plugin=PLUGIN)] == [(4, 4), (4, 5), (4, 6)]
    monkeypatch.setattr(layers, "_MOST_IMAGES", 2)
    with pytest.raises(InputError, match="masks of 3 images; napari opens 2 at most"):
        layers.read_file(str(tmp_path / "a.json"))


def test_a_stack_that_does_not_fit_is_refused(tmp_path):
    image = image_of([], (1000, 1000))
    write_coco(tmp_path / "a.json", [image])
    document = json.loads((tmp_path / "a.json").read_text())
    document["images"][0]["frame_id"] = 2**30
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert read_coco(tmp_path / "a.json")[0].plane == 2**30
    with pytest.raises(InputError, match=r"Masks of a\.tif needs .* of memory"):
        layers.read_file(str(tmp_path / "a.json"))
