from __future__ import annotations

import numpy as np
import pytest

from napari_sam.errors import Cancelled
from napari_sam.planes import Crop
from napari_sam.planes.pyramid import Level, Pyramid, level_factors


class Counted:
    """An array that counts the pixels that are read of it."""

    def __init__(self, array):
        self.array, self.read, self.most = array, 0, 0

    def level(self, factors=(1.0, 1.0)):
        return Level(self, self.array.shape[:2], factors)

    def __call__(self, rows, columns):
        part = self.array[rows, columns]
        self.read += part[..., 0].size if part.ndim == 3 else part.size
        self.most = max(self.most, part.size)
        return part


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 60_000, (400, 600), dtype=np.uint16)


def test_a_crop_is_read_pixel_by_pixel_and_nothing_else(pixels):
    plane = Counted(pixels)
    crop = Crop((40, 60), (100, 200))
    got = Pyramid((plane.level(),)).read(crop)
    assert np.array_equal(got, pixels[40:140, 60:260])
    assert plane.read == 100 * 200


def test_a_coarse_crop_is_averaged_not_skipped_through(pixels):
    got = Pyramid((Counted(pixels).level(),)).read(Crop((40, 60), (100, 200), (4, 2)))
    wanted = np.rint(pixels[40:140, 60:260].reshape(25, 4, 100, 2).mean((1, 3)))
    assert got.dtype == np.uint16 and got.shape == (25, 100)
    assert np.abs(got - wanted).max() <= 1


def test_blocks_at_the_far_border_may_be_smaller():
    plane = np.arange(7 * 5, dtype=np.float64).reshape(7, 5)
    got = Pyramid((Counted(plane).level(),)).read(Crop((0, 0), (7, 5), (4, 4)))
    assert got.shape == (2, 2) and got.dtype == np.float64
    assert got[1, 1] == plane[4:, 4:].mean()


def test_much_is_read_in_bands(monkeypatch, pixels):
    monkeypatch.setattr("napari_sam.planes.pyramid._MOST_AT_ONCE", 600 * 16)
    plane, told = Counted(pixels), []
    crop = Crop((0, 0), (400, 600), (8, 8))
    got = Pyramid((plane.level(),)).read(crop, told.append)
    assert plane.most <= 600 * 16 and len(told) == 25
    assert np.abs(got - pixels.reshape(50, 8, 75, 8).mean((1, 3))).max() <= 1

    def stop(_fraction):
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        Pyramid((plane.level(),)).read(crop, stop)


@pytest.mark.parametrize(("steps", "level"), [((1, 1), 0), ((2, 2), 0), ((4, 4), 1), ((8, 8), 1), ((16, 16), 2)])
def test_the_coarsest_level_that_is_fine_enough_is_read(pixels, steps, level):
    arrays = [Counted(pixels), Counted(pixels[::4, ::4]), Counted(pixels[::16, ::16])]
    pyramid = Pyramid(tuple(a.level((f, f)) for a, f in zip(arrays, (1.0, 4.0, 16.0), strict=True)))
    crop = pyramid.fitted(Crop((64, 64), (256, 256), steps))
    assert crop == Crop((64, 64), (256, 256), steps)
    assert pyramid.read(crop).shape == crop.picture
    assert [a.read > 0 for a in arrays] == [i == level for i in range(3)]
    assert arrays[level].read == pyramid.cost(crop)


def test_levels_that_do_not_fit_the_steps_are_laid_on_their_own_pixels():
    fine = np.zeros((300, 300), np.uint8)
    fine[150:180, 90:120] = 200
    coarse = fine.reshape(100, 3, 100, 3).mean((1, 3)).astype(np.uint8)
    pyramid = Pyramid((Counted(fine).level(), Counted(coarse).level((3.0, 3.0))))
    crop = pyramid.fitted(Crop((64, 64), (128, 128), (4, 4)))
    assert crop.steps == (3, 3) and crop.start == (63, 63)
    got = pyramid.read(crop)
    assert got.shape == crop.picture
    origin, mask = crop.on_plane(got > 100, (300, 300))
    assert origin == (150, 90) and mask.shape == (30, 30)
    assert mask.sum() == 30 * 30 - 4  # interpolation takes the corners off


@pytest.mark.parametrize("odd", [(1001, 1003), (1000, 1002), (999, 1001)])
@pytest.mark.parametrize("up", [True, False])
def test_levels_rounded_up_or_down_are_read_to_the_border(odd, up):
    fine = np.tile(np.arange(odd[1], dtype=np.float32), (odd[0], 1))
    side = [-(-n // 4) if up else n // 4 for n in odd]
    coarse = fine[: side[0] * 4 : 4, : side[1] * 4 : 4] + 1.5
    factors = level_factors(odd, coarse.shape)
    assert factors == (4.0, 4.0)
    pyramid = Pyramid((Counted(fine).level(), Counted(coarse).level(factors)))
    crop = pyramid.fitted(Crop((0, 0), odd, (4, 4)))
    got = pyramid.read(crop)
    assert got.shape == crop.picture
    places = crop.to_plane(np.stack([np.arange(got.shape[1] - 2)] * 2, axis=1))[:, 1]
    np.testing.assert_allclose(got[5, :-2], places)


def test_factors_that_are_no_whole_numbers_are_kept():
    assert level_factors((1000,), (400,)) == (2.5,)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_colour_keeps_its_channels_and_dtype(dtype):
    colour = np.zeros((40, 40, 3), dtype)
    colour[..., 1] = 1 if dtype is np.float32 else 200
    got = Pyramid((Counted(colour).level(),)).read(Crop((0, 0), (40, 40), (4, 4)))
    assert got.shape == (10, 10, 3) and got.dtype == dtype
    assert np.array_equal(got[3, 3], colour[0, 0])


def test_bool_becomes_a_share():
    got = Pyramid((Counted(np.eye(8, dtype=bool)).level(),)).read(Crop((0, 0), (8, 8), (2, 2)))
    assert got.dtype == np.float32 and got[0, 0] == 0.5
