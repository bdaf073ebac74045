from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_sam.errors import InputError
from napari_sam.planes.plane import Plane

RAMP = np.linspace(0, 1, 12).reshape(3, 4)


def grey(pixels, **options):
    rendered = Plane(np.asarray(pixels), **options).rendered
    assert rendered.dtype == np.uint8
    assert rendered.shape == (*np.shape(pixels)[:2], 3)
    assert (rendered == rendered[..., :1]).all()
    return rendered[..., 0]


def test_uint8_passes_through_untouched():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(grey(pixels), pixels)
    colour = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Plane(colour).rendered, colour)


def test_contrast_limits_are_the_window_and_not_the_planes_own_range():
    pixels = np.array([[0, 1000], [2000, 4095]], dtype=np.uint16)
    np.testing.assert_array_equal(grey(pixels, contrast_limits=(1000, 2000)), [[0, 0], [255, 255]])
    # A dark plane of a bright stack stays dark.
    assert grey(pixels // 10, contrast_limits=(0, 4095)).max() == 25


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.int64, np.float16, np.float32, ">u2"])
def test_every_dtype_gives_the_same_picture(dtype):
    pixels = (RAMP * 200).astype(dtype)
    expected = np.floor(np.asarray(pixels, float) / 200 * 255 + 0.5)
    np.testing.assert_allclose(grey(pixels, contrast_limits=(0, 200)), expected, atol=1)


def test_gamma_is_applied_after_the_window():
    assert grey(np.array([[0, 64, 255]], np.uint8), gamma=2)[0].tolist() == [0, 16, 255]


@pytest.mark.parametrize("value", [0.0, 7.5, -3.0])
def test_constant_image_is_black_and_silent(value):
    assert grey(np.full((4, 5), value)).max() == 0


def test_nan_is_black_and_infinities_are_the_ends():
    assert grey(np.array([[np.nan, 1.0, 3.0, np.inf, -np.inf]], np.float32))[0].tolist() == [0, 0, 255, 255, 0]
    assert grey(np.full((2, 2), np.nan)).max() == 0


def test_bool_is_black_and_white():
    assert grey(np.array([[True, False]]))[0].tolist() == [255, 0]


def test_wide_integers_keep_their_contrast():
    base = 2**40
    assert grey(np.array([[base, base + 1]], np.int64))[0].tolist() == [0, 255]


@given(npst.arrays(np.float64, (2, 3), elements=st.floats(width=64)))
def test_any_floats_render_without_a_warning(pixels):
    Plane(pixels).rendered  # noqa: B018 - warnings are errors here


def test_rgb_of_other_dtypes_scales_by_the_dtype():
    assert Plane(np.full((2, 2, 3), 65535, np.uint16)).rendered.min() == 255
    assert Plane(np.full((2, 2, 3), 0.5, np.float32)).rendered.max() == 128


def test_alpha_is_laid_over_black():
    pixels = np.zeros((1, 2, 4), np.uint8)
    pixels[..., 0] = 200
    pixels[0, :, 3] = 255, 0
    assert Plane(pixels).rendered[0].tolist() == [[200, 0, 0], [0, 0, 0]]


def test_rendered_is_read_only():
    with pytest.raises(ValueError, match="read-only"):
        Plane(np.zeros((2, 2), np.uint8)).rendered[0, 0] = 1


def test_the_caller_array_is_not_shared():
    pixels = np.zeros((2, 2, 3), np.uint8)
    plane = Plane(pixels)
    first = plane.rendered
    pixels[:] = 9
    assert first.max() == 0


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((3, 4, 5)), "one plane of a stack"),
        (np.zeros(5), "one plane"),
        (np.zeros((0, 4)), "empty"),
        (np.zeros((4, 4), complex), "real numbers"),
        (np.array([["a", "b"]]), "real numbers"),
    ],
)
def test_what_is_no_plane_is_refused_with_words(pixels, words):
    with pytest.raises(InputError, match=words):
        Plane(pixels)


@pytest.mark.parametrize("limits", [(5, 5), (9, 1), (np.nan, 1), (0, np.inf)])
def test_empty_window_is_refused(limits):
    with pytest.raises(InputError, match="low < high"):
        Plane(RAMP, limits)


@pytest.mark.parametrize("gamma", [0, -1, np.nan])
def test_gamma_must_be_positive(gamma):
    with pytest.raises(InputError, match="Gamma"):
        Plane(RAMP, gamma=gamma)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_a_transposed_plane_is_the_plane_that_it_shows(dtype, channels):
    values = np.random.default_rng(1).integers(0, 256, (7, 5, *channels)).astype(dtype)
    turned = values.swapaxes(0, 1)
    assert Plane(turned).digest == Plane(np.ascontiguousarray(turned)).digest
    np.testing.assert_array_equal(Plane(turned).rendered, Plane(np.ascontiguousarray(turned)).rendered)
