from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from segment_anything.utils.transforms import ResizeLongestSide

from napari_sam.errors import InputError
from napari_sam.geometry import Frame, longest_side_frame, square_pixels, stretched_frame

sizes = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


@given(plane=sizes, side=st.sampled_from([128, 1024]), anchor=st.sampled_from([0.0, 0.5]), data=st.data())
def test_to_data_inverts_to_model(plane, side, anchor, data):
    frame = longest_side_frame(plane, side, anchor=anchor)
    yx = data.draw(st.tuples(st.floats(-0.5, plane[0] - 0.5), st.floats(-0.5, plane[1] - 0.5)))
    assert frame.to_data(frame.to_model(yx)) == pytest.approx(np.array(yx), abs=1e-3 * max(1, max(plane) / 128))


def test_model_pixels_are_x_then_y():
    frame = Frame((100, 200), (50, 100), (64, 128), anchor=0.0)
    assert frame.to_model((10, 60)).tolist() == [30.0, 5.0]


def test_anchor_half_maps_pixel_centres_and_borders_exactly():
    frame = Frame((10, 10), (40, 40), (40, 40), anchor=0.5)
    # The plane's border is the content's border, and the first pixel's centre is the middle of 4 model pixels.
    assert frame.to_model([(-0.5, -0.5), (9.5, 9.5), (0, 0)]).tolist() == [[-0.5, -0.5], [39.5, 39.5], [1.5, 1.5]]


def test_longest_side_rounds_as_segment_anything_does():
    resize = ResizeLongestSide(1024)
    for plane in [(480, 641), (641, 480), (1023, 1025), (7, 7), (1200, 1800)]:
        frame = longest_side_frame(plane, 1024)
        assert frame.content == resize.get_preprocess_shape(*plane, 1024)
        xy = np.array([[3.0, 5.0], [0.25, 0.75]])
        np.testing.assert_allclose(frame.to_model(xy[:, ::-1]), resize.apply_coords(xy, plane), rtol=1e-6)


def test_anisotropic_pixels_become_square():
    # 100 rows 2 um apart and 100 columns 0.5 um apart cover 200 x 50 um.
    assert square_pixels((100, 100), (2.0, 0.5)) == (400.0, 100.0)
    frame = longest_side_frame((100, 100), 1024, (2.0, 0.5))
    assert frame.content == (1024, 256)


@pytest.mark.parametrize("spacing", [(0, 1), (1, -1), (np.nan, 1), (np.inf, 1)])
def test_impossible_spacing_is_refused(spacing):
    with pytest.raises(InputError, match="scale of the image layer"):
        square_pixels((10, 10), spacing)


def test_extreme_proportions_keep_a_pixel():
    assert longest_side_frame((1, 5000), 128).content == (1, 128)


def test_stretched_frame_fills_the_canvas():
    assert stretched_frame((30, 70), 1024).content == (1024, 1024)


def test_empty_plane_is_refused():
    with pytest.raises(InputError, match="empty"):
        Frame((0, 5), (1, 1), (4, 4))
