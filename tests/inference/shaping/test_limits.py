"""Limits of a mask: it never takes a pixel beyond them, and a negative click never adds one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam.errors import InputError
from napari_sam.inference.shaping import LabelExclusion, MaskShaping, shape_mask
from napari_sam.inference.shaping.correction import BRANCHES, added_kind, is_wanted, slenderness
from napari_sam.inference.shaping.exclusion import parse_labels
from napari_sam.inference.shaping.limits import luma, range_inside
from napari_sam.masks import BoxedMask
from napari_sam.planes.plane import Plane
from napari_sam.planes.source import PlaneSource
from napari_sam.prompts import BoxPrompt, PointPrompt, PromptSet

SHAPE = (16, 20)
MASKS = arrays(bool, SHAPE)
PIXELS = arrays(np.uint8, SHAPE)
A, B, NOT = PointPrompt((1, 1)), PointPrompt((2, 2)), PointPrompt((3, 3), False)


def source_of(pixels):
    return PlaneSource.of(Plane(pixels, (0, 255) if pixels.ndim == 2 else None))


def exclusion_of(labels, *which):
    return LabelExclusion("others", which, lambda view, start, shape: labels[view.slices(start, shape)])


@given(MASKS, PIXELS, st.integers(0, 255), st.integers(0, 255), st.integers(0, 2), st.integers(-2, 2), st.booleans())
@settings(max_examples=60)
def test_no_pixel_has_a_value_out_of_range(mask, pixels, one, other, smooth, grow, fill):
    low, high = sorted((one, other))
    shaping = MaskShaping(grey_range=(low, high), smooth=smooth, grow=grow, fill_holes=fill)
    inside = pixels[shape_mask(BoxedMask.of(mask), shaping, source_of(pixels)).whole()]
    assert ((inside >= low) & (inside <= high)).all()


@given(
    MASKS, arrays(np.uint8, SHAPE, elements=st.integers(0, 3)), st.sampled_from([(), (1,), (2, 3)]), st.integers(0, 3)
)
@settings(max_examples=60)
def test_no_pixel_carries_an_excluded_label(mask, labels, which, grow):
    shaping = MaskShaping(grow=grow, exclusion=exclusion_of(labels, *which))
    there = labels[shape_mask(BoxedMask.of(mask), shaping, source_of(np.zeros(SHAPE, np.uint8))).whole()]
    assert not np.isin(there, which or (1, 2, 3)).any()


@given(MASKS, PIXELS)
def test_limits_alone_take_no_other_pixel_away(mask, pixels):
    shaping = MaskShaping(grey_range=(50, 200), exclusion=exclusion_of((pixels % 2).astype(np.uint8)))
    wanted = mask & (pixels >= 50) & (pixels <= 200) & (pixels % 2 == 0)
    np.testing.assert_array_equal(shape_mask(BoxedMask.of(mask), shaping, source_of(pixels)).whole(), wanted)


def test_of_colours_the_luma_counts_and_nan_is_in_no_range():
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[:2] = (0, 200, 0)
    mask = BoxedMask.of(np.ones((4, 4), bool))
    bright = shape_mask(mask, MaskShaping(grey_range=(100, 255)), source_of(colours)).whole()
    assert bright[:2].all()
    assert not bright[2:].any()
    values = np.array([[np.nan, 1.0]], np.float32)
    kept = shape_mask(
        BoxedMask.of(np.ones((1, 2), bool)), MaskShaping(grey_range=(-1e9, 1e9)), source_of(values)
    ).whole()
    np.testing.assert_array_equal(kept, [[False, True]])
    assert luma(values) is values


def test_values_inside_a_mask_less_its_border():
    pixels = np.full((10, 10), 100.0)
    pixels[0, 0], pixels[0, 1], pixels[5, 5] = 0, 255, np.nan
    assert range_inside(pixels, np.ones((10, 10), bool)) == (100, 100)
    assert range_inside(pixels, np.zeros((10, 10), bool)) is None


@pytest.mark.parametrize(
    ("text", "labels"), [("", ()), (" All ", ()), ("3", (3,)), ("7-9, 3", (3, 7, 8, 9)), ("2-2", (2,))]
)
def test_labels_are_read(text, labels):
    assert parse_labels(text) == labels


@pytest.mark.parametrize("text", ["0", "a", "9-7", "1,,2", "-3", "1-99999999"])
def test_what_are_no_labels_is_refused(text):
    with pytest.raises(InputError):
        parse_labels(text)


def test_exclusions_are_written_down_and_exclude_nothing_when_read_back():
    shaping = MaskShaping(exclusion=exclusion_of(np.ones(SHAPE, np.uint8), 2, 3), grey_range=(1, 2))
    assert shaping.to_dict() == {"grey_range": (1, 2), "exclusion": {"layer": "others", "labels": [2, 3]}}
    again = MaskShaping.from_dict({"grey_range": [1, 2], "exclusion": {"layer": "others", "labels": [2, 3]}})
    assert again.words() == shaping.words() == 'values 1 to 2 only, without labels 2, 3 of "others"'
    mask = BoxedMask.of(np.ones(SHAPE, bool))
    assert (
        shape_mask(mask, MaskShaping(exclusion=again.exclusion), source_of(np.ones(SHAPE, np.uint8))).area == mask.area
    )


@pytest.mark.parametrize("wrong", [{"grey_range": (2, 1)}, {"grey_range": (1, float("nan"))}, {"correction": "maybe"}])
def test_limits_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError):
        MaskShaping(**wrong)


def test_what_was_added():
    assert added_kind(PromptSet((A, B)), PromptSet((A,))) == "more"
    assert added_kind(PromptSet((A, NOT)), PromptSet((A,))) == "less"
    assert added_kind(PromptSet((A, B, NOT)), PromptSet((A,))) is None
    assert added_kind(PromptSet((A, BoxPrompt((0, 0), (9, 9)))), PromptSet((A,))) is None
    assert added_kind(PromptSet((B,)), PromptSet((A,))) is None
    assert added_kind(PromptSet((A,)), None) is None


def test_branches_are_told_from_bodies():
    y, x = np.ogrid[:128, :128]
    disc = (y - 64) ** 2 + (x - 64) ** 2 <= 900
    ellipse = (y - 64) ** 2 / 30**2 + (x - 64) ** 2 / 15**2 <= 1
    cross = np.zeros((128, 128), bool)
    cross[62:66, 4:124] = cross[4:124, 62:66] = True
    assert slenderness(disc) < slenderness(ellipse) < BRANCHES < slenderness(cross)
    assert slenderness(np.zeros((4, 4), bool)) == 0
    logits = np.where(cross, 1, -1).astype(np.float32)
    assert is_wanted("branches", logits)
    assert not is_wanted("branches", np.where(disc, 1, -1).astype(np.float32))
    assert is_wanted("on", logits)
    assert not is_wanted("off", logits)
