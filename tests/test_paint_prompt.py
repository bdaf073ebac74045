"""What is painted by hand: laid over masks, put together, written down, and given to models as logits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam.errors import InputError
from napari_sam.geometry import Frame
from napari_sam.masks import BoxedMask
from napari_sam.planes import Crop
from napari_sam.prompts import PaintPrompt, PointPrompt, PromptSet
from napari_sam.prompts.model_prompts import model_prompts, painted_logits

PLANE = (12, 15)
MASKS = arrays(bool, PLANE)
STROKES = arrays(np.int8, (5, 6), elements=st.integers(-1, 1)).filter(lambda values: values.any())
CORNERS = st.tuples(st.integers(-3, 11), st.integers(-3, 14))


@st.composite
def paints(draw):
    values = draw(STROKES)
    return PaintPrompt(draw(CORNERS), values > 0, values < 0)


def laid(paint):
    """The painted and the erased pixels of the plane, (H, W) each."""
    return tuple(boxed.whole() for boxed in paint.on_plane(PLANE))


@given(MASKS, paints())
def test_what_is_painted_is_always_in_and_what_is_erased_never(mask, paint):
    added, erased = laid(paint)
    np.testing.assert_array_equal(
        paint.over(BoxedMask.of(mask).shifted((0, 0), PLANE)).whole(), (mask | added) & ~erased
    )


@given(MASKS, paints(), paints())
def test_two_strokes_are_one_after_the_other(mask, first, second):
    boxed = BoxedMask.of(mask).shifted((0, 0), PLANE)
    one_by_one = second.over(first.over(boxed)).whole()
    np.testing.assert_array_equal(first.then(second).over(boxed).whole(), one_by_one)


@given(paints())
def test_it_is_written_down_and_read_back_equal(paint):
    prompts = PromptSet((PointPrompt((1, 2)), paint))
    again = PromptSet.from_json(prompts.to_json())
    assert again == prompts and hash(again) == hash(prompts) and again.paint == paint


@given(paints())
def test_the_whole_plane_as_a_picture_shows_the_same(paint):
    there = Crop((0.0, 0.0), PLANE).prompts(PromptSet((paint,))).paint
    added, erased = laid(paint)
    if there is None:
        assert not added.any() and not erased.any()
    else:
        np.testing.assert_array_equal(laid(there), (added, erased))


def test_logits_are_sure_of_it_where_a_cell_is_painted_as_a_whole():
    added, erased = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    added[:4, :4], erased[4:, 4:6] = True, True
    logits = painted_logits(
        np.full((2, 2), 1, np.float32), PaintPrompt((0, 0), added, erased), Frame((8, 8), (8, 8), (8, 8))
    )
    np.testing.assert_allclose(logits, [[8, 1], [1, -3.5]])


def test_models_are_not_asked_about_it_but_their_masks_are_painted():
    paint = PaintPrompt((2, 2), np.ones((1, 1), bool), np.zeros((1, 1), bool))
    prompts = PromptSet((PointPrompt((1, 2)), paint))
    assert prompts.ambiguous and prompts.unpainted == PromptSet((PointPrompt((1, 2)),))
    taken = model_prompts(prompts, Frame(PLANE, PLANE, PLANE), {"point"}, (4, 4))
    assert taken.prompts == prompts.unpainted and taken.paint == paint


def test_erasing_alone_says_not_where_an_object_is():
    nothing, dot = np.zeros((1, 1), bool), np.ones((1, 1), bool)
    assert PromptSet((PaintPrompt((2, 2), nothing, dot),)).is_background_only
    assert PromptSet((PaintPrompt((2, 2), dot, nothing),)).is_placed


@pytest.mark.parametrize(
    ("added", "erased", "words"),
    [
        (np.zeros((2, 2), bool), np.zeros((2, 2), bool), "Nothing is painted"),
        (np.ones((2, 2), bool), np.ones((2, 2), bool), "not both"),
        (np.ones((2, 2), bool), np.ones((2, 3), bool), "of one shape"),
        (np.ones((2, 2)), np.ones((2, 2), bool), "arrays of bool"),
    ],
)
def test_what_is_no_paint_is_refused(added, erased, words):
    with pytest.raises(InputError, match=words):
        PaintPrompt((0, 0), added, erased)
    with pytest.raises(InputError, match="one paint"):
        dot = PaintPrompt((0, 0), np.ones((1, 1), bool), np.zeros((1, 1), bool))
        PromptSet((dot, dot))
