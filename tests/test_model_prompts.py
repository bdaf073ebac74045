"""What is drawn by hand, as models take it."""

from __future__ import annotations

import numpy as np
import pytest

from fakes import BrightnessModel, blob
from napari_sam.errors import InputError
from napari_sam.masks import iou
from napari_sam.planes.plane import Plane
from napari_sam.predictor import Predictor
from napari_sam.prompts import (
    SCRIBBLE_POINTS,
    AreaPrompt,
    BoxPrompt,
    MaskPrompt,
    PointPrompt,
    PromptSet,
    ScribblePrompt,
)
from napari_sam.prompts.model_prompts import SURE, model_prompts

SHAPE = (40, 60)
ALL = frozenset({"point", "box", "mask"})
DISC = blob(SHAPE) > 0  # around (12, 40)


def taken(prompts, kinds=ALL):
    model = BrightnessModel()
    frame = model.frame(SHAPE)
    return model_prompts(PromptSet.of(prompts), frame, kinds, model.logits_shape(frame))


def test_what_is_not_drawn_passes_as_it_is():
    prompts = PromptSet((PointPrompt((1, 2)), BoxPrompt((0, 0), (5, 5)), MaskPrompt(np.zeros((20, 30)))))
    assert taken(prompts).prompts == prompts


@pytest.mark.parametrize("positive", [True, False])
def test_a_scribble_becomes_points_along_it_in_its_place(positive):
    first, last = PointPrompt((1, 1)), PointPrompt((2, 2))
    found = taken((first, ScribblePrompt([(5, 10), (5, 40)], positive), last)).prompts.points
    assert (found[0], found[-1], len(found)) == (first, last, SCRIBBLE_POINTS + 2)
    assert {(point.position[0], point.positive) for point in found[1:-1]} == {(5, positive)}


def test_of_a_scribble_that_leaves_the_plane_the_part_on_it_counts():
    found = taken((ScribblePrompt([(5, 10), (5, 4000)]),)).prompts.points
    assert [point.position for point in found] == [(5, 10)]


def test_an_area_is_a_box_for_a_model_without_masks():
    prompts = taken((AreaPrompt.of(DISC),), frozenset({"point", "box"})).prompts
    assert prompts == PromptSet((BoxPrompt((3.5, 31.5), (20.5, 48.5)),))


def test_an_area_is_a_click_for_a_model_of_clicks():
    assert taken((AreaPrompt.of(DISC),), frozenset({"point"})).prompts == PromptSet((PointPrompt((12, 40)),))


def test_a_model_of_masks_gets_the_area_itself():
    logits = taken((AreaPrompt.of(DISC),)).prompts.mask.logits
    assert (logits.min(), logits.max()) == (-SURE, SURE)
    assert logits[6, 20] == SURE
    assert -SURE < logits[6, 16] < SURE or -SURE < logits[6, 15] < SURE  # the border runs through a cell


def test_areas_add_up_and_a_box_that_was_drawn_stays():
    box = BoxPrompt((0, 0), (30, 59))
    square = AreaPrompt((25, 5), np.ones((6, 6), bool))
    both = taken((AreaPrompt.of(DISC), square, box)).prompts
    assert both.box == box
    assert (both.mask.logits[6, 20], both.mask.logits[13, 3]) == (SURE, SURE)


def test_an_area_with_an_earlier_answer_says_half_of_what_goes_in():
    earlier = MaskPrompt(np.full((20, 30), -2.0))
    logits = taken((AreaPrompt.of(DISC), earlier)).prompts.mask.logits
    assert (logits[6, 20], logits[19, 0]) == ((SURE - 2) / 2, (-SURE - 2) / 2)


def test_a_negative_area_is_background_for_the_model():
    found = taken((AreaPrompt.of(DISC, positive=False), PointPrompt((30, 5)), MaskPrompt(np.full((20, 30), 3.0))))
    assert PointPrompt((12, 40), False) in found.prompts.points
    assert (found.prompts.mask.logits[6, 20], found.prompts.mask.logits[19, 0]) == (-SURE, 3)
    assert (found.excluded == DISC).all()


@pytest.fixture
def predictor():
    return Predictor(BrightnessModel(), "digest")


def test_a_scribble_is_answered_as_clicks_and_with_one_mask(predictor):
    embedding = predictor.embed(Plane(blob(SHAPE)))
    found = predictor.predict(embedding, [ScribblePrompt([(12, 36), (12, 44)])])
    assert len(found.masks) == 1
    assert iou(found.masks[0], DISC) > 0.8


def test_a_negative_area_is_taken_off_every_answer(predictor):
    embedding = predictor.embed(Plane(blob(SHAPE)))
    half = AreaPrompt((0, 40), np.ones((40, 20), bool), positive=False)
    click = PointPrompt((12, 35))
    plain, cut = (predictor.predict(embedding, prompts, multimask=True) for prompts in ([click], [click, half]))
    assert plain.masks[:, :, 40:].any()
    assert not cut.masks[:, :, 40:].any()
    assert (plain.masks[:, :, :40] == cut.masks[:, :, :40]).all()


def test_objects_answered_together_are_compared_as_the_model_takes_them(predictor):
    embedding = predictor.embed(Plane(blob(SHAPE)))
    [found] = predictor.predict_many(embedding, [[AreaPrompt.of(DISC)]])
    assert iou(found.masks[0], DISC) > 0.8
    with pytest.raises(InputError, match="all have a box or none"):
        next(predictor.predict_many(embedding, [[AreaPrompt.of(DISC)], [ScribblePrompt([(12, 40)])]]))


def test_what_lies_outside_is_refused_before_it_is_laid_out(predictor):
    embedding = predictor.embed(Plane(blob(SHAPE)))
    with pytest.raises(InputError, match="area lies outside"):
        predictor.predict(embedding, [AreaPrompt((50, 0), np.ones((3, 3), bool))])
