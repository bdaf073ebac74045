from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
import tifffile
from hypothesis import given, settings
from mask_scenery import assert_same_masks, image_of, images, ring_and_parts, wholes

from napari_sam.datasets.formats.geojson import read_geojson, write_geojson
from napari_sam.datasets.records import AnnotatedImage
from napari_sam.errors import InputError

SQUARE = [[[2, 1], [6, 1], [6, 4], [2, 4], [2, 1]]]


def feature(coordinates=SQUARE, kind="Polygon", **properties):
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": properties,
    }


def read(tmp_path, document, faults=None):
    (tmp_path / "bad.geojson").write_text(json.dumps(document))
    return read_geojson(tmp_path / "bad.geojson", faults)


@settings(deadline=None, max_examples=50)
@given(images())
def test_masks_come_back(tmp_path_factory, image):
    path = tmp_path_factory.mktemp("geojson") / "a.geojson"
    write_geojson(path, [image])
    (again,) = read_geojson(path)
    assert_same_masks(image, again)


def test_what_is_known_of_an_object_comes_back(tmp_path):
    write_geojson(tmp_path / "a.geojson", [ring_and_parts()])
    (again,) = read_geojson(tmp_path / "a.geojson")
    one, two, three = again.objects
    assert (one.number, one.category, one.score, one.stability) == (4, "nucleus", 0.875, 0.9375)
    assert (two.number, two.category, two.score) == (7, "debris", None)
    assert (three.number, three.category) == (3, None)
    assert (again.name, again.shape, again.notes) == ("a.tif", (20, 30), ())


def test_features_are_what_qupath_opens_and_shapely_sees_the_same(tmp_path):
    image = ring_and_parts()
    write_geojson(tmp_path / "a.geojson", [image])
    document = json.loads((tmp_path / "a.geojson").read_text())
    assert document["type"] == "FeatureCollection"
    y, x = np.indices(image.shape) + 0.5
    for one, mask in zip(document["features"], wholes(image), strict=True):
        shape = shapely.geometry.shape(one["geometry"])
        assert shape.is_valid and one["type"] == "Feature"
        np.testing.assert_array_equal(shapely.contains_xy(shape, x, y), mask)
    found, drawn, plain = (one["properties"] for one in document["features"])
    assert (found["objectType"], drawn["objectType"]) == ("detection", "annotation")
    assert found["measurements"] == {"Score": 0.875, "Stability": 0.9375}
    assert found["classification"]["name"] == "nucleus" and "classification" not in plain
    colours = [one["classification"]["color"] for one in (found, drawn)]
    assert colours[0] != colours[1] and all(0 <= part <= 255 for colour in colours for part in colour)


def test_planes_of_a_stack_come_back(tmp_path):
    image = ring_and_parts()
    planes = [AnnotatedImage("a.tif", image.shape, image.objects[at : at + 1], at * 2) for at in range(2)]
    write_geojson(tmp_path / "a.geojson", planes)
    geometries = [one["geometry"] for one in json.loads((tmp_path / "a.geojson").read_text())["features"]]
    assert [one.get("plane") for one in geometries] == [None, {"c": -1, "z": 2, "t": 0}]
    again = read_geojson(tmp_path / "a.geojson")
    assert [one.plane for one in again] == [0, 2]
    for one, other in zip(planes, again, strict=True):
        assert_same_masks(one, other)


def test_images_that_are_no_planes_of_one_stack_are_refused(tmp_path):
    with pytest.raises(InputError, match="2 images"):
        write_geojson(tmp_path / "a.geojson", [ring_and_parts(), image_of([], (3, 3))])


def test_without_a_size_the_image_beside_gives_it_else_the_polygons(tmp_path):
    (image,) = read(tmp_path, {"type": "FeatureCollection", "features": [feature()]})
    assert (image.name, image.shape, image.objects[0].mask.area) == ("bad", (4, 6), 12)
    tifffile.imwrite(tmp_path / "bad.tif", np.zeros((40, 50), np.uint8))
    (image,) = read(tmp_path, {"type": "FeatureCollection", "features": [feature()]})
    assert image.shape == (40, 50)


@pytest.mark.parametrize("document", [[feature(name="Cell 3")], feature()])
def test_lists_and_single_features_are_read_too(tmp_path, document):
    (image,) = read(tmp_path, document)
    assert [(one.number, one.mask.area) for one in image.objects] == [(None, 12)]


def test_measurements_are_read_in_both_ways_and_others_may_be_anything(tmp_path):
    listed = [{"name": "Score", "value": 0.5}, {"name": "Area", "value": "NaN"}]
    document = [feature(measurements=listed), feature(measurements={"Score": 0.25, "Area": None})]
    (image,) = read(tmp_path, document)
    assert [one.score for one in image.objects] == [0.5, 0.25]


def test_what_is_no_area_and_what_covers_no_pixel_is_left_out_and_told(tmp_path):
    tiny = [[[0.1, 0.1], [0.2, 0.1], [0.2, 0.2]]]
    (image,) = read(
        tmp_path, [feature(), feature([1, 2], "Point"), feature(tiny), feature([[1, 2], [3, 4]], "LineString")]
    )
    assert len(image.objects) == 1
    assert image.notes == ("Left out: 2 points or lines.", "Left out: 1 objects that cover no pixel.")


DAMAGE = {
    "no geometry": ({"type": "Feature"}, "geometry is not a record"),
    "text": (feature([[["a", 1], [2, 3], [4, 5]]]), "three corners"),
    "NaN": (feature([[[float("nan"), 1], [2, 3], [4, 5]]]), "NaN is not a number"),
    "far": (feature([[[1e12, 1], [2, 3], [4, 5]]]), "lie nowhere"),
    "short": (feature([[[1, 1], [2, 3]]]), "three corners"),
    "flat": (feature([[1, 2, 3, 4, 5, 6]]), "three corners"),
    "one number": (feature([[[1], [2], [3]]]), "three corners"),
    "plane": (
        feature() | {"geometry": {"type": "Polygon", "coordinates": SQUARE, "plane": {"z": -1}}},
        "z is not a whole",
    ),
    "score": (feature(measurements={"Score": "high"}), "Score is not a number"),
    "class": (feature(classification="cell"), "classification is not a record"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_features_are_refused_with_their_place_or_gathered(tmp_path, kind):
    broken, words = DAMAGE[kind]
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path, [feature(), broken])
    assert "bad.geojson" in str(caught.value)
    if kind != "NaN":  # which is no JSON
        assert "eature 2" in str(caught.value)
        faults = []
        (image,) = read(tmp_path, [feature(), broken], faults)
        assert len(faults) == 1 and len(image.objects) == 1


def test_damaged_sizes_are_refused(tmp_path):
    document = {"type": "FeatureCollection", "image": {"name": "a", "width": -1, "height": 2}, "features": []}
    with pytest.raises(InputError, match="image: width is not a whole number"):
        read(tmp_path, document)
