"""What objects are described by: once for a plane, whatever the model."""

from __future__ import annotations

import numpy as np
import pytest

from fakes import BrightnessModel
from napari_sam.automatic.descriptors import Descriptors
from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask
from napari_sam.predictor import Predictor

PLANE = (48, 64)
LOG_AREA, ROUNDNESS, SOLIDITY, GREY, CONTRAST, TEXTURE = range(2, 8)
"""Columns after the mean and the spread of the only feature of `BrightnessModel`."""


def square(y: int, x: int, side: int, hole: int = 0) -> BoxedMask:
    mask = np.ones((side, side), bool)
    start = (side - hole) // 2
    mask[start : start + hole, start : start + hole] = False
    return BoxedMask((y, x), mask, PLANE)


def picture(*bright: tuple[BoxedMask, int], ground: int = 10) -> np.ndarray:
    pixels = np.full(PLANE, ground, np.uint8)
    for mask, level in bright:
        pixels[mask.box][mask.mask] = level
    return pixels


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(BrightnessModel(), "weights")


def described(predictor: Predictor, pixels: np.ndarray, masks: list[BoxedMask], **extra) -> Descriptors:
    return Descriptors.of(predictor, predictor.embed(pixels, contrast_limits=(0, 255)), pixels, masks, **extra)


def test_what_a_person_sees_is_measured(predictor):
    small, ring = square(4, 4, 6), square(20, 20, 12, hole=6)
    found = described(predictor, picture((small, 100), (ring, 60)), [small, ring]).values
    np.testing.assert_allclose(found[:, LOG_AREA], np.log([36, 108]))
    np.testing.assert_allclose(found[:, SOLIDITY], [1, 0.75])
    assert found[0, ROUNDNESS] > found[1, ROUNDNESS]
    np.testing.assert_allclose(found[:, GREY], [100, 60])
    np.testing.assert_allclose(found[:, CONTRAST], [90, 50])
    np.testing.assert_allclose(found[:, TEXTURE], 0, atol=1e-6)


def test_features_are_those_under_the_masks(predictor):
    dim, bright = square(4, 4, 16), square(24, 40, 16)
    found = described(predictor, picture((dim, 50), (bright, 200)), [dim, bright])
    assert found.values[0, 0] < found.values[1, 0]
    assert found.values[0, 0] > found.background[0] > 10


def test_a_colour_image_has_the_mean_of_its_channels(predictor):
    mask = square(4, 4, 6)
    grey = picture((mask, 90))
    colour = np.stack([grey, np.zeros_like(grey), grey], -1)
    found = described(predictor, colour, [mask])
    np.testing.assert_allclose(found.values[0, GREY], 60)


def test_an_object_that_fills_the_plane_has_no_contrast(predictor):
    whole = BoxedMask((0, 0), np.ones(PLANE, bool), PLANE)
    assert described(predictor, picture(), [whole]).values[0, CONTRAST] == 0


def test_the_image_is_encoded_once_and_more_examples_cost_nothing():
    model = BrightnessModel()
    predictor = Predictor(model, "weights")
    masks = [square(4, 4, 6), square(20, 20, 8)]
    found = described(predictor, picture((masks[0], 90)), masks)
    assert model.encoded == 1
    np.testing.assert_array_equal(found.take([1]).values, found.values[1:])
    assert len(found.take([])) == 0
    assert model.encoded == 1


def test_no_objects_have_the_columns_of_others(predictor):
    some = described(predictor, picture(), [square(4, 4, 6)])
    none = described(predictor, picture(), [])
    assert none.values.shape == (0, some.values.shape[1])


def test_other_descriptions_are_joined_as_one_block(predictor):
    masks = [square(4, 4, 6), square(20, 20, 8)]
    extra = np.arange(10, dtype=np.float32).reshape(2, 5)
    found = described(predictor, picture(), masks, extra=extra)
    np.testing.assert_array_equal(found.values[:, -5:], extra)
    assert np.isnan(found.background[-5:]).all()
    # Each block has the same sum of squares.
    np.testing.assert_allclose(np.add.reduceat(found.weights**2, [0, 1, 2, 8]), 1)


@pytest.mark.parametrize(
    ("masks", "extra", "words"),
    [
        ([BoxedMask((0, 0), np.ones((2, 2), bool), (9, 9))], None, "not of one plane"),
        ([BoxedMask((0, 0), np.zeros((2, 2), bool), PLANE)], None, "An object is empty"),
        ([square(4, 4, 6)], np.zeros((3, 2)), "3 extra descriptions for 1 objects"),
    ],
)
def test_what_does_not_fit_is_refused_with_words(predictor, masks, extra, words):
    with pytest.raises(InputError, match=words):
        described(predictor, picture(), masks, extra=extra)


def test_another_plane_than_the_embedded_one_is_refused(predictor):
    with pytest.raises(InputError, match="not of one plane"):
        Descriptors.of(predictor, predictor.embed(picture()), np.zeros((9, 9)), [])
