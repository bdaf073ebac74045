from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from napari_sam.inference.request import Candidate
from napari_sam.widgets.controls.thumbnails import draw_thumbnail


def disc(radius: int, origin: tuple[int, int]) -> Candidate:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    mask = y**2 + x**2 <= radius**2
    return Candidate(0.9, int(mask.sum()), origin, mask)


def test_a_picture_is_square_and_holds_the_whole_contour():
    picture = draw_thumbnail(disc(20, (40, 60)), np.full((120, 160, 3), 90, np.uint8), 72)
    assert picture.shape == (72, 72, 3) and picture.dtype == np.uint8
    rim = (picture == 255).all(axis=-1)
    assert rim.any()
    assert not (rim[0].any() or rim[-1].any() or rim[:, 0].any() or rim[:, -1].any())
    assert (picture[36, 36] == 90).all()  # the object itself is not painted over


def test_the_white_rim_has_a_dark_one_beside_it_on_a_white_image():
    picture = draw_thumbnail(disc(20, (40, 60)), np.full((120, 160, 3), 255, np.uint8), 72)
    assert (picture == 85).all(axis=-1).sum() > 100


def test_the_image_is_cut_out_where_the_mask_lies():
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[60, 80] = (10, 200, 30)  # the centre of the disc below
    picture = draw_thumbnail(
        disc(20, (40, 60)), pixels, 57
    )  # 57 = 41 * 1.4: one pixel of the plane for one of the picture
    assert np.argwhere((picture == (10, 200, 30)).all(axis=-1)).tolist() == [[28, 28]]


def test_beyond_the_border_of_the_plane_is_black():
    picture = draw_thumbnail(disc(20, (0, 0)), np.full((41, 41, 3), 90, np.uint8), 72)
    assert (picture[0] == 0).all() and (picture[:, 0] == 0).all()
    assert (picture[36, 36] == 90).all()


def test_an_empty_mask_and_an_unknown_plane_still_give_a_picture():
    empty = Candidate(0.1, 0, (5, 5), np.zeros((0, 0), bool))
    assert draw_thumbnail(empty, np.zeros((40, 40, 3), np.uint8), 30).shape == (30, 30, 3)
    picture = draw_thumbnail(disc(5, (0, 0)), None, 30)
    assert len(np.unique(picture)) == 3  # grey, the rim and its shadow


@pytest.mark.parametrize("radius", [1, 900])
def test_no_mask_is_too_small_or_too_large(radius):
    pixels = np.full((2000, 2000, 3), 90, np.uint8)
    candidate = disc(radius, (50, 50))
    tracemalloc.start()
    try:
        picture = draw_thumbnail(candidate, pixels, 72)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 1e6  # what the picture shows is looked at, not the plane of 12 MB
    assert (picture == 255).all(axis=-1).any()
