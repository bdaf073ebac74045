"""Channels laid over each other: colours, resolutions, and channels that lie elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_sam.planes.blending import BlendedImage, Channel
from napari_sam.planes.source import PlaneIndex, PlaneSource

RAMP = np.linspace(0, 1, 256, dtype=np.float32)
GREY = np.stack([RAMP, RAMP, RAMP, np.ones_like(RAMP)], axis=1)
RED = GREY * np.array([1, 0, 0, 1], dtype=np.float32)
GREEN = GREY * np.array([0, 1, 0, 1], dtype=np.float32)


def channel(data, colours=GREY, **changes):
    levels = data if isinstance(data, tuple) else (data,)
    axes = levels[0].ndim
    chosen = {
        "name": "one",
        "levels": levels,
        "axes": axes,
        "contrast_limits": (0.0, 255.0),
        "gamma": 1.0,
        "colours": colours,
        "opacity": 1.0,
        "blend": "additive",
        "steps": (1.0,) * axes,
        "offsets": (0.0,) * axes,
    }
    return Channel(**chosen | changes)


def blended(shape, *channels):
    return BlendedImage(shape, shape, channels)


def test_additive_channels_keep_their_colours():
    red = np.array([[0, 255], [255, 51]], dtype=np.uint8)
    green = np.array([[255, 0], [255, 102]], dtype=np.uint8)
    picture = blended((2, 2), channel(red, RED), channel(green, GREEN))
    assert picture.shape == (2, 2, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[:], [[[0, 255, 0], [255, 0, 0]], [[255, 255, 0], [51, 102, 0]]])


def test_a_window_and_a_gamma_count():
    data = np.array([[100, 150, 200, 50]], dtype=np.uint16)
    picture = blended((1, 4), channel(data, contrast_limits=(100.0, 200.0), gamma=2.0))
    np.testing.assert_array_equal(picture[0, :][:, 0], [0, 64, 255, 0])
    # Floats go another way than small integers, and give the same.
    same = blended((1, 4), channel(data.astype(np.float32), contrast_limits=(100.0, 200.0), gamma=2.0))
    np.testing.assert_array_equal(picture[:], same[:])


@pytest.mark.parametrize(
    ("blend", "expected"),
    [
        ("opaque", 0.6),
        ("translucent", 0.5 * 0.6 + 0.5 * 0.8),
        ("additive", min(1.0, 0.8 + 0.5 * 0.6)),
        ("minimum", 0.6),
        ("multiplicative", 0.8 * 0.6),
    ],
)
def test_modes_lay_over_what_is_below(blend, expected):
    below = np.full((1, 1), 204, dtype=np.uint8)  # 0.8
    above = np.full((1, 1), 153, dtype=np.uint8)  # 0.6
    picture = blended((1, 1), channel(below), channel(above, blend=blend, opacity=0.5))
    assert picture[0, 0][0] == pytest.approx(255 * expected, abs=1)


@pytest.mark.parametrize("blend", ["additive", "minimum", "multiplicative", "translucent", "opaque"])
def test_the_lowest_channel_is_seen_whatever_its_mode(blend):
    picture = blended((1, 1), channel(np.full((1, 1), 90, dtype=np.uint8), blend=blend))
    assert picture[0, 0][0] == 90


def test_rgb_beside_grey():
    colour = np.zeros((1, 2, 4), dtype=np.uint8)
    colour[0, 0] = 10, 20, 30, 255
    colour[0, 1] = 200, 200, 200, 0  # transparent
    rgb = channel(colour, axes=2, contrast_limits=None, steps=(1.0, 1.0), offsets=(0.0, 0.0), blend="translucent")
    grey = channel(np.full((1, 2), 100, dtype=np.uint8))
    np.testing.assert_array_equal(blended((1, 2), grey, rgb)[0], [[10, 20, 30], [100, 100, 100]])


def test_a_channel_that_lies_elsewhere_is_seen_where_it_lies():
    data = np.array([[10, 20], [30, 40]], dtype=np.uint8)
    # Half as fine, and its first pixel lies on pixels 1 and 2 of the image.
    half = channel(data, steps=(0.5, 0.5), offsets=(-0.75, -0.75))
    picture = blended((6, 6), half)[:]
    expected = np.zeros((6, 6), dtype=np.uint8)
    expected[1:3, 1:3], expected[1:3, 3:5], expected[3:5, 1:3], expected[3:5, 3:5] = 10, 20, 30, 40
    np.testing.assert_array_equal(picture[..., 0], expected)
    assert not blended((40, 40), half)[20:30, 20:30].any()


def test_a_flat_channel_lies_on_every_plane_of_a_stack():
    stack = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), dtype=np.uint8)
    flat = np.full((2, 2), 100, dtype=np.uint8)
    picture = blended((3, 2, 2), channel(stack, RED), channel(flat, GREEN))
    np.testing.assert_array_equal(picture[2], np.full((2, 2, 3), (2, 100, 0)))
    # Across the stack, too: the columns of the flat one are those of the image.
    np.testing.assert_array_equal(picture[:, 0, :][..., 1], np.full((3, 2), 100))
    np.testing.assert_array_equal(picture[:, 0, :][..., 0], [[0, 0], [1, 1], [2, 2]])


def test_coarse_pictures_are_read_from_coarse_levels():
    class Counting:
        def __init__(self, array):
            self.array, self.shape, self.dtype, self.ndim, self.read = array, array.shape, array.dtype, array.ndim, 0

        def __getitem__(self, index):
            found = self.array[index]
            self.read += found.size
            return found

    fine, coarse = Counting(np.full((64, 64), 7, np.uint8)), Counting(np.full((16, 16), 9, np.uint8))
    two = channel((fine, coarse))
    assert (BlendedImage((16, 16), (64, 64), (two,))[:] == 9).all()
    assert (fine.read, coarse.read) == (0, 256)
    assert (BlendedImage((64, 64), (64, 64), (two,))[:8, :8] == 7).all()
    assert fine.read == 64


def test_looks_are_equal_for_what_looks_alike():
    data, other = np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8)
    look = blended((2, 2), channel(data)).look
    assert look == blended((2, 2), channel(data)).look
    changes = (
        {"opacity": 0.5},
        {"gamma": 2.0},
        {"contrast_limits": (0.0, 9.0)},
        {"blend": "minimum"},
        {"offsets": (0.0, 1.0)},
        {"colours": RED},
    )
    for change in changes:
        assert blended((2, 2), channel(data, **change)).look != look
    assert blended((2, 2), channel(other)).look != look


def test_a_plane_of_a_blended_stack_is_read_like_any_other():
    stack = np.random.default_rng(0).integers(0, 255, (4, 30, 20)).astype(np.uint8)
    data = blended(stack.shape, channel(stack, RED))
    source = PlaneSource(data, PlaneIndex((0, 2), (None, 5, None), (4, 20)), None, 1.0)
    assert source.channels == ("one",)
    np.testing.assert_array_equal(source.read().rendered[..., 0], stack[:, 5, :])
    assert not source.read().rendered[..., 1:].any()


@given(
    data=arrays.arrays(np.uint8, (5, 6)),
    rows=st.slices(5).filter(lambda s: s.step in (None, 1)),
    columns=st.slices(6).filter(lambda s: s.step in (None, 1)),
    step=st.sampled_from([0.5, 1.0, 2.0]),
    offset=st.integers(-3, 3),
)
def test_a_part_is_a_part_of_the_whole(data, rows, columns, step, offset):
    picture = blended((5, 6), channel(data, steps=(step, 1.0), offsets=(float(offset), 0.0)))
    np.testing.assert_array_equal(picture[rows, columns], picture[:][rows, columns])
