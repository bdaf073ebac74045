"""Many prompts are answered as each is by itself, in few calls."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fakes import BrightnessModel, SmallCanvas
from napari_sam.automatic.cleaning import clean_proposal
from napari_sam.automatic.prompted import answer_objects, objects_of_labels, objects_of_prompts
from napari_sam.cache.memory import EmbeddingCache
from napari_sam.errors import Cancelled
from napari_sam.inference.engine import Engine
from napari_sam.inference.logits import KeptLogits
from napari_sam.inference.shaping import MaskShaping
from napari_sam.model.protocol import Decoded, PromptTensors
from napari_sam.planes import whole
from napari_sam.planes.plane import Plane
from napari_sam.planes.source import PlaneSource
from napari_sam.predictor import Predictor
from napari_sam.prompts import BoxPrompt, PointPrompt, PromptSet

CENTRES = [(y, x) for y in range(20, 400, 40) for x in range(20, 500, 40)]


def discs(shape=(400, 500), radius=9):
    """A disc at each centre, no two of one brightness beside each other."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    image = np.zeros(shape, np.uint8)
    for number, (cy, cx) in enumerate(CENTRES):
        image[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = 140 + 50 * (number % 3)
    return image


class ManyAtOnce:
    """Answers many objects in one call, each as the model below answers it alone."""

    calls: list[int]

    def decode(self, features, prompts, frame, *, multimask):
        self.calls = [*getattr(self, "calls", []), len(prompts.points)]
        alone = [
            super(ManyAtOnce, self).decode(features, _row(prompts, row), frame, multimask=multimask)
            for row in range(len(prompts.points))
        ]
        return Decoded(torch.cat([one.logits for one in alone]), torch.cat([one.scores for one in alone]))


def _row(prompts, row):
    parts = (prompts.points, prompts.labels, prompts.boxes, prompts.masks)
    return PromptTensors(*(None if part is None else part[row : row + 1] for part in parts))


class Bright(ManyAtOnce, BrightnessModel):
    pass


class Small(ManyAtOnce, SmallCanvas):
    pass


def engine_of(model):
    return Engine(Predictor(model, "fake"), EmbeddingCache(1 << 26))


@pytest.fixture(params=[Bright, Small])
def engine(request):
    return engine_of(request.param())


def answers(engine, objects, image=None):
    source = PlaneSource.of(Plane(discs() if image is None else image, (0, 255)))
    return [one for lot in answer_objects(engine, source, objects) for one in lot]


@pytest.mark.parametrize("model", [Bright, Small])
def test_each_point_is_answered_as_by_itself(model):
    points = [PointPrompt(at) for at in CENTRES[::7]]
    objects, _ = objects_of_prompts(points)
    found = answers(engine_of(model()), objects)
    assert sorted(one.asked for one in found) == list(range(len(points)))
    alone, source = engine_of(model()), PlaneSource.of(Plane(discs(), (0, 255)))
    for proposal in found:
        one = alone.segment(source, PromptSet((points[proposal.asked],))).candidates[0]
        assert proposal.score == pytest.approx(one.score)
        assert proposal.mask.origin == one.origin
        np.testing.assert_array_equal(proposal.mask.mask, one.mask)


def test_points_and_boxes_go_together(engine):
    objects, _ = objects_of_prompts([PointPrompt(CENTRES[0])], [BoxPrompt((45, 45), (75, 75))])
    found = {one.asked: one for one in answers(engine, objects)}
    assert found[0].point == CENTRES[0]
    assert found[1].point is None


def test_many_are_answered_in_few_calls():
    model = Bright()
    objects, _ = objects_of_prompts([PointPrompt(at) for at in CENTRES])
    found = answers(engine_of(model), objects)
    assert len(found) == len(CENTRES) == 120
    assert model.calls == [16] * 7 + [8]
    assert model.encoded == 1


def test_objects_near_each_other_share_a_crop():
    model = Small()
    objects, _ = objects_of_prompts([PointPrompt(at) for at in CENTRES])
    answers(engine_of(model), objects)
    # Some are cut off by the crop that they share, and are looked for in one of their own.
    assert model.encoded < len(CENTRES) / 2


def test_somebody_else_may_be_answered_after_each_lot(engine):
    objects, _ = objects_of_prompts([PointPrompt(at) for at in CENTRES])
    source = PlaneSource.of(Plane(discs(), (0, 255)))
    assert max(len(lot) for lot in answer_objects(engine, source, objects)) <= 16


def test_progress_grows_to_one(engine):
    told = []
    objects, _ = objects_of_prompts([PointPrompt(at) for at in CENTRES[:40]])
    source = PlaneSource.of(Plane(discs(), (0, 255)))
    assert list(answer_objects(engine, source, objects, told.append))
    np.testing.assert_array_less(np.array(told[:-1]) - 1e-9, told[1:])
    assert told[-1] == 1


def test_work_can_be_cancelled(engine):
    def progress(share):
        if share > 0.5:
            raise Cancelled

    objects, _ = objects_of_prompts([PointPrompt(at) for at in CENTRES])
    with pytest.raises(Cancelled):
        list(answer_objects(engine, PlaneSource.of(Plane(discs(), (0, 255))), objects, progress))


def test_no_object_at_all_is_no_work(engine):
    assert answers(engine, ()) == []


def test_rough_labels_are_answered_with_their_agreement(engine):
    image, labels = discs(), np.zeros((400, 500), int)
    for number, (y, x) in enumerate(CENTRES[::11], 1):
        labels[y - 4 : y + 5, x - 4 : x + 5] = 10 * number
    objects = objects_of_labels(labels)
    found = answers(engine, objects, image)
    assert [one.asked for one in sorted(found, key=lambda one: one.asked)] == list(range(len(objects)))
    for one in found:
        rough = objects[one.asked].rough
        assert one.agreement == pytest.approx(one.mask.iou(rough))
        assert one.mask.iou(rough) < 1


def test_what_the_model_does_not_see_gives_nothing():
    """A rough object thinner than a pixel of the picture."""
    labels = np.zeros((2000, 2000), int)
    labels[1001, 0:1999] = 1
    found = answers(engine_of(Small()), objects_of_labels(labels), np.zeros((2000, 2000), np.uint8))
    assert found == []


# -- which candidate, and what is kept of it ------------------------------------------------------


def bodies():
    """Bodies with a kernel and a core each, so that the three candidates of a click differ."""
    y, x = np.ogrid[:400, :500]
    image = np.zeros((400, 500), np.uint8)
    for cy, cx in CENTRES[::5]:
        for radius, value in ((15, 160), (9, 225), (5, 240)):
            image[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = value
    return image


@pytest.mark.parametrize("model", [Bright, Small])
@pytest.mark.parametrize(("level", "rank"), [("whole", 0), ("part", 1), ("subpart", 2)])
def test_each_point_is_of_the_level_that_is_asked_for(model, level, rank):
    points = [PointPrompt(at) for at in CENTRES[::5]]
    source, objects = PlaneSource.of(Plane(bodies(), (0, 255))), objects_of_prompts(points)[0]
    found = [one for lot in answer_objects(engine_of(model()), source, objects, level=level) for one in lot]
    assert len(found) == len(points)
    alone, chosen = engine_of(model()), 0
    for proposal in found:
        candidates = alone.segment(source, PromptSet((points[proposal.asked],))).candidates
        sizes = sorted({one.area for one in candidates}, reverse=True)
        if len(sizes) == 3:  # a crop may cut one of them off, or show two alike
            expected = next(one for one in candidates if one.area == sizes[rank])
            assert (proposal.score, proposal.mask.origin) == (pytest.approx(expected.score), expected.origin)
            np.testing.assert_array_equal(proposal.mask.mask, expected.mask)
            chosen += 1
    assert chosen


def test_boxes_have_no_level():
    objects, _ = objects_of_prompts([], [BoxPrompt((5, 5), (35, 35))])
    source = PlaneSource.of(Plane(bodies(), (0, 255)))
    best, part = (
        next(one for lot in answer_objects(engine_of(Bright()), source, objects, level=level) for one in lot)
        for level in ("best", "part")
    )
    np.testing.assert_array_equal(best.mask.whole(), part.mask.whole())


@pytest.mark.parametrize("model", [Bright, Small])
@pytest.mark.parametrize("threshold", [-19.0, 15.0])
def test_logits_that_are_kept_are_drawn_as_those_of_a_click(model, threshold):
    points = [PointPrompt(at) for at in CENTRES[::5]]
    source, engine = PlaneSource.of(Plane(bodies(), (0, 255))), engine_of(model())
    shaping = MaskShaping(threshold=threshold)
    found = [one for lot in answer_objects(engine, source, objects_of_prompts(points)[0]) for one in lot]
    changed = 0
    for proposal in found:
        one = engine.segment(source, PromptSet((points[proposal.asked],)), shaping=shaping).candidates[0]
        cleaned = clean_proposal(proposal, shaping, source, engine)
        changed += one.area != proposal.mask.area
        assert cleaned.origin == one.origin
        np.testing.assert_array_equal(cleaned.mask, one.mask)
    assert changed


def test_only_the_logits_that_may_count_are_kept():
    logits = np.full((60, 80), -30.0, np.float32)
    logits[30:34, 40:45] = -19.0
    kept = KeptLogits.of(whole((60, 80)), logits)
    assert (kept.origin, kept.values.shape, kept.shape) == ((26, 36), (12, 13), (60, 80))
    assert not KeptLogits.of(whole((60, 80)), np.full((60, 80), -30.0, np.float32)).values.size
