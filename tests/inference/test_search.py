"""Crops that follow an object, with a model that knows the truth of what it is shown."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_sam.inference.search import CropPlanner, search_object
from napari_sam.prompts import PointPrompt, PromptSet

PLANE = (4000, 5000)
SIDE = 256
CLICK = PromptSet((PointPrompt((2000, 2500)),))


def planner(shape=PLANE, cost=lambda crop: 1):
    return CropPlanner(shape, SIDE, (1.0, 1.0), lambda crop: crop, cost)


class Eye:
    """Answers with discs of given radii around the click, and scores as they come; remembers the crops."""

    def __init__(self, answers, centre=(2000, 2500)):
        self.answers, self.centre, self.crops = answers, centre, []

    def __call__(self, crop):
        self.crops.append(crop)
        rows, columns = (np.arange(n) for n in crop.picture)
        y = crop.to_plane(np.stack([rows, rows], axis=1))[:, 0] - self.centre[0]
        x = crop.to_plane(np.stack([columns, columns], axis=1))[:, 1] - self.centre[1]
        far = y[:, None] ** 2 + x**2
        answers = self.answers(crop) if callable(self.answers) else self.answers
        masks = np.stack([far <= radius**2 for radius, _ in answers])
        scores = np.array([score for _, score in answers], np.float32)
        return SimpleNamespace(masks=masks, scores=scores, logits=np.zeros((len(answers), 4, 4), np.float32))


def sizes(found):
    return [round(float(np.ptp([one.box[0][0], one.box[1][0]]))) for one in found]


def test_a_small_object_takes_one_crop():
    eye = Eye([(20, 0.9), (30, 0.8), (40, 0.7)])
    found = search_object(planner(), CLICK, planner().crop_for(CLICK), eye)
    assert len(eye.crops) == 1
    assert [one.score for one in found] == pytest.approx([0.9, 0.8, 0.7])
    assert not any(one.cut for one in found)


@pytest.mark.parametrize("radius", [100, 200, 700, 1500])
def test_an_object_that_is_cut_is_looked_at_again_until_it_is_whole(radius):
    eye = Eye([(radius, 0.9)])
    (found,) = search_object(planner(), CLICK, planner().crop_for(CLICK), eye)
    assert not found.cut
    assert sizes([found])[0] == pytest.approx(2 * radius, abs=2 * max(found.crop.steps))
    assert len(eye.crops) <= 5


def test_candidates_that_are_whole_outlive_the_crops_they_were_seen_in():
    eye = Eye([(500, 0.9), (20, 0.85), (600, 0.8)])
    found = search_object(planner(), CLICK, planner().crop_for(CLICK), eye)
    assert [one.score for one in found] == pytest.approx([0.9, 0.85, 0.8])
    assert sizes(found)[1] == pytest.approx(40, abs=2)
    assert found[1].crop == eye.crops[0]  # and not the coarse copy of it
    assert not any(one.cut for one in found)


def test_candidates_that_are_cut_are_left_out_beside_whole_ones():
    eye = Eye([(20, 0.9), (500, 0.8), (30, 0.7)])
    found = search_object(planner(), CLICK, planner().crop_for(CLICK), eye)
    assert [one.score for one in found] == pytest.approx([0.9, 0.7])


def test_where_nothing_convinces_a_step_back_is_taken():
    eye = Eye(lambda crop: [(700, 0.95)] * 3 if crop.steps[0] >= 4 else [(3, 0.4), (9, 0.3), (5, 0.2)])
    found = search_object(planner(), CLICK, planner().crop_for(CLICK), eye)
    assert found[0].score == pytest.approx(0.95)
    assert sizes(found)[0] == pytest.approx(1400, abs=20)


@pytest.mark.parametrize("spacing", [(4.0, 1.0), (1.0, 4.0)])
def test_a_step_back_shows_more_where_pixels_are_not_square(spacing):
    place = CropPlanner((20_000, 20_000), SIDE, spacing, lambda crop: crop, lambda crop: 1)
    crop = place.crop_for(CLICK, ((1700, 2200), (2300, 2800)))
    coarser = place.coarser(crop, CLICK)
    assert max(crop.steps) > min(crop.steps) and coarser is not None
    assert tuple(np.array(coarser.steps) / crop.steps) == (4, 4)


def test_one_answer_to_many_prompts_is_the_last_one():
    prompts = PromptSet((PointPrompt((2000, 2500)), PointPrompt((2000, 2520))))
    eye = Eye(lambda crop: [(400, 0.5 + crop.steps[0] / 100)])
    (found,) = search_object(planner(), prompts, planner().crop_for(prompts), eye)
    assert found.crop == eye.crops[-1] != eye.crops[0]


def test_what_costs_too_much_is_not_read_and_the_cut_is_told():
    eye = Eye([(700, 0.9), (800, 0.8), (900, 0.7)])
    dear = planner(cost=lambda crop: 1 << 40)
    found = search_object(dear, CLICK, dear.crop_for(CLICK), eye)
    assert len(eye.crops) == 1
    assert len(found) == 3 and all(one.cut for one in found)


def test_a_fixed_crop_stays():
    eye = Eye([(700, 0.9), (20, 0.1), (900, 0.7)])
    found = search_object(planner(), CLICK, planner().crop_for(CLICK), eye, grow=False)
    assert len(eye.crops) == 1 and len(found) == 3


def test_an_empty_mask_is_no_reason_to_go_on():
    eye = Eye([(-1.0, 0.9)])
    eye.answers = [(0, 0.9)]
    eye.centre = (-9000, -9000)
    (found,) = search_object(planner(), CLICK, planner().crop_for(CLICK), eye)
    assert found.box is None and not found.cut and len(eye.crops) == 1
