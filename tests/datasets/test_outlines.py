from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mask_scenery import masks, ring_and_parts

from napari_sam.datasets.documents import EmptyMaskError, Intake
from napari_sam.datasets.outlines import extent, fill, polygons_of, require_ring
from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask


def valid(mask: BoxedMask) -> list[shapely.Polygon]:
    return [shapely.Polygon(rings[0], rings[1:]) for rings in polygons_of(mask)]


def filled(polygons, plane) -> np.ndarray:
    return fill([[np.asarray(r, float) for r in rings] for rings in polygons], plane, Intake(Path("a"))).whole()


@settings(deadline=None, max_examples=150)
@given(masks)
def test_an_outline_gives_the_same_pixels_back_and_is_valid(mask):
    boxed = BoxedMask.of(mask)
    polygons = valid(boxed)
    assert all(polygon.is_valid for polygon in polygons)
    assert sum(polygon.area for polygon in polygons) == mask.sum()
    assert shapely.MultiPolygon(polygons).is_valid
    assert all(polygon.exterior.is_ccw and not any(hole.is_ccw for hole in polygon.interiors) for polygon in polygons)
    np.testing.assert_array_equal(filled(polygons_of(boxed), mask.shape), mask)


@settings(deadline=None)
@given(masks)
def test_shapely_sees_the_centres_of_the_same_pixels_inside(mask):
    union = shapely.MultiPolygon(valid(BoxedMask.of(mask)))
    y, x = np.indices(mask.shape)
    np.testing.assert_array_equal(shapely.contains_xy(union, x + 0.5, y + 0.5), mask)


def test_a_hole_an_island_and_parts_that_touch_in_a_corner_have_rings_of_their_own():
    ring, parts, border = ring_and_parts().objects
    assert [len(rings) for rings in polygons_of(ring.mask)] in ([2, 1], [1, 2])
    assert [len(rings) for rings in polygons_of(parts.mask)] == [1, 1, 1]
    (square, *_) = sorted(polygons_of(border.mask), key=lambda rings: rings[0][:, 1].min())
    assert square[0].min(axis=0).tolist() == [0, 0] and square[0].max(axis=0).tolist() == [30, 1]


def test_straight_edges_have_no_corners_between():
    ((outline,),) = polygons_of(BoxedMask.of(np.ones((40, 50), bool)))
    assert len(outline) == 5


eighths = st.integers(-40, 120).map(lambda number: number / 8)


@settings(deadline=None)
@given(st.lists(st.tuples(eighths, eighths), min_size=3, max_size=5))
def test_any_polygon_covers_the_centres_that_are_in_it(corners):
    polygon = shapely.Polygon(corners)
    assume(polygon.is_valid)
    y, x = np.indices((10, 11)) + 0.5
    try:
        mask = filled([[corners]], (10, 11))
    except EmptyMaskError:
        mask = np.zeros((10, 11), bool)
    # Centres on, or next to, an edge may be on either side.
    clear = shapely.distance(polygon.exterior, shapely.points(x, y)) > 1e-6
    np.testing.assert_array_equal(mask[clear], shapely.contains_xy(polygon, x, y)[clear])


def test_parts_that_overlap_are_one():
    square = np.array([[1, 1], [6, 1], [6, 6], [1, 6]])
    mask = filled([[square], [square + 2]], (10, 10))
    assert mask.sum() == 25 + 25 - 9 and mask[4, 4]


def test_edges_are_crossed_bit_by_bit(monkeypatch):
    star = [[[[0, 0], [30, 3], [2, 28], [17, 0.5], [29, 29], [1, 14]]]]
    whole = filled(star, (30, 30))
    monkeypatch.setattr("napari_sam.polygons._AT_ONCE", 7)
    np.testing.assert_array_equal(filled(star, (30, 30)), whole)
    assert 100 < whole.sum() < 700


def test_what_lies_beside_the_plane_is_cut_off_or_is_nothing():
    assert filled([[[[-1e9, -1e9], [5, -1e9], [5, 1e9], [-1e9, 1e9]]]], (4, 8))[:, :5].all()
    for corners in (
        [[20, 20], [30, 20], [30, 30]],
        [[1.1, 1.1], [1.2, 1.1], [1.2, 1.2]],
        [[-9, -9], [-2, -9], [-2, -2]],
    ):
        with pytest.raises(EmptyMaskError):
            filled([[corners]], (10, 10))
    with pytest.raises(EmptyMaskError):
        filled([], (10, 10))


def test_a_polygon_that_does_not_fit_is_refused_before_it_is_filled(monkeypatch):
    monkeypatch.setattr("napari_sam.datasets.documents.largest_read", lambda: 10**6)
    with pytest.raises(InputError, match="memory"):
        filled([[[[0, 0], [1e6, 0], [1e6, 1e6]]]], (10**6, 10**6))


def test_the_extent_is_that_of_all_rings():
    rings = [[np.array([[0.5, 2], [7.25, 3], [4, 9]])], [np.array([[1.0, 1], [2, 1], [2, 12.5]])]]
    assert extent(rings) == (13, 8)
    assert extent([]) == (1, 1)


@pytest.mark.parametrize(
    "corners", [[[0, 0], [1, 1]], [[0, 0, 0]] * 3, [[0, 0], [1, np.nan], [2, 2]], [[0, 0], [1, 3e9], [2, 2]]]
)
def test_no_outline_is_refused(corners):
    with pytest.raises(InputError, match="outline"):
        require_ring(np.array(corners))
