"""The order in which a mask is shaped, the settings as values, and what is said of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from napari_sam.errors import InputError
from napari_sam.inference.shaping import UNSHAPED, MaskChange, MaskShaping, shape_mask
from napari_sam.masks import BoxedMask

MASKS = arrays(bool, (20, 24))
SHAPINGS = st.builds(
    MaskShaping,
    threshold=st.floats(-8, 8, allow_nan=False),
    fill_holes=st.booleans(),
    largest_hole=st.integers(0, 9),
    largest_part=st.booleans(),
    smallest_part=st.integers(0, 20),
    smooth=st.integers(0, 3),
    grow=st.integers(-3, 3),
)


@given(MASKS, SHAPINGS)
def test_sizes_are_those_of_what_is_shown(mask, shaping):
    shown = shape_mask(BoxedMask.of(mask), shaping).whole()
    parts, count = ndimage.label(shown, np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())[1:]
    assert (sizes >= shaping.smallest_part).all()
    assert count <= 1 or not shaping.largest_part


@given(MASKS)
def test_unshaped_is_the_mask_itself(mask):
    boxed = BoxedMask.of(mask)
    assert shape_mask(boxed, UNSHAPED) is boxed


def test_specks_do_not_grow_into_the_object():
    mask = np.zeros((30, 30), bool)
    mask[8:20, 8:20] = True
    mask[14, 22] = True
    shown = shape_mask(BoxedMask.of(mask), MaskShaping(largest_part=True, grow=2)).whole()
    assert not shown[:, 22:].any()
    assert shown[14, 21]


@given(SHAPINGS)
def test_settings_are_read_back_equal(shaping):
    assert MaskShaping.from_dict(json.loads(json.dumps(shaping.to_dict()))) == shaping
    assert shaping.changes_nothing == (shaping.to_dict() == {})


def test_what_a_newer_version_knows_is_left_out():
    assert MaskShaping.from_dict({"grow": 2, "unheard_of": 1}) == MaskShaping(grow=2)


@pytest.mark.parametrize(
    "wrong", [{"grow": 101}, {"smooth": -1}, {"threshold": float("nan")}, {"smallest_part": "many"}, {"threshold": 21}]
)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(InputError):
        MaskShaping(**wrong)


@given(MASKS, MASKS)
def test_what_is_added_and_removed_is_counted(before, after):
    change = MaskChange.between(BoxedMask.of(before), BoxedMask.of(after))
    assert change == MaskChange(int((after & ~before).sum()), int((before & ~after).sum()))


def test_words():
    assert UNSHAPED.words() == ""
    assert MaskShaping(fill_holes=True, largest_hole=9, grow=-2, threshold=-1.5).words() == (
        "threshold -1.5, holes up to 9 px filled, shrunk by 2 px"
    )
    assert MaskChange(1200, 3).words == "1,200 px added, 3 px removed"
    assert MaskChange().words == ""
