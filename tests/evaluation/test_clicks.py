from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from napari_sam.evaluation import clicks
from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.prompts import BoxPrompt, MaskPrompt, PointPrompt


def rectangle(shape, rows, columns):
    mask = np.zeros(shape, bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


@dataclass
class Answer:
    masks: np.ndarray
    logits: np.ndarray


class Paint:
    """Knows nothing but its prompts: a square of 11 pixels around each positive click, less those around negative ones.

    A box is filled; an earlier answer comes back as it was.
    """

    def __init__(self):
        self.asked = []

    def embed(self, image):
        return image.shape[:2]

    def predict(self, embedding, prompts):
        self.asked.append(tuple(prompts))
        mask = np.zeros(embedding, bool)
        for prompt in sorted(prompts, key=lambda p: isinstance(p, PointPrompt)):
            match prompt:
                case MaskPrompt(logits=logits):
                    mask |= logits > 0
                case BoxPrompt(start=(y0, x0), stop=(y1, x1)):
                    mask[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1] = True
                case PointPrompt(position=(y, x), positive=positive):
                    mask[max(0, int(y) - 5) : int(y) + 6, max(0, int(x) - 5) : int(x) + 6] = positive
        return Answer(mask[None], np.where(mask, 1.0, -1.0)[None].astype(np.float32))


class TestNextClick:
    def test_first_click_is_deepest_in_the_object(self):
        truth = rectangle((40, 60), (10, 21), (20, 31))
        assert clicks.next_click(truth, np.zeros_like(truth)) == PointPrompt((15, 25), positive=True)

    def test_largest_missed_part(self):
        truth = rectangle((60, 60), (5, 16), (5, 16)) | rectangle((60, 60), (30, 51), (30, 51))
        answer = rectangle((60, 60), (5, 10), (5, 16))
        assert clicks.next_click(truth, answer) == PointPrompt((40, 40), positive=True)

    def test_what_was_wrongly_taken_gets_a_negative_click(self):
        truth = rectangle((60, 60), (5, 16), (5, 16))
        answer = truth | rectangle((60, 60), (30, 41), (30, 41))
        assert clicks.next_click(truth, answer) == PointPrompt((35, 35), positive=False)

    def test_regions_are_told_apart_though_they_touch_at_a_corner(self):
        truth = rectangle((30, 30), (0, 9), (0, 9)) | rectangle((30, 30), (9, 20), (9, 20))
        assert clicks.next_click(truth, np.zeros_like(truth)).position == (14, 14)

    def test_the_edge_of_the_plane_is_a_border(self):
        truth = rectangle((31, 31), (0, 31), (0, 11))
        y, x = clicks.next_click(truth, np.zeros_like(truth)).position
        assert x == 5
        assert 5 <= y <= 25

    def test_a_perfect_answer_is_confirmed(self):
        truth = rectangle((30, 30), (5, 10), (5, 10))
        assert clicks.next_click(truth, truth).positive


def test_intersection_over_union():
    one, other = rectangle((20, 20), (0, 10), (0, 10)), rectangle((20, 20), (5, 15), (0, 10))
    assert clicks.intersection_over_union(one, other) == pytest.approx(1 / 3)
    assert clicks.intersection_over_union(one, one) == 1
    assert clicks.intersection_over_union(one, np.zeros_like(one)) == 0


def test_tight_box_goes_through_the_outermost_pixels():
    assert clicks.tight_box(rectangle((30, 30), (3, 8), (10, 21))) == BoxPrompt((3, 10), (7, 20))


class TestClickCurve:
    def test_every_click_adds_its_square(self):
        truth = rectangle((60, 60), (10, 21), (10, 32))
        robot = Paint()
        curve = clicks.click_curve(robot, robot.embed(truth[..., None]), truth, 4)
        assert curve[0] == pytest.approx(0.5)
        assert list(curve) == sorted(curve)
        assert [sum(isinstance(p, PointPrompt) for p in asked) for asked in robot.asked] == [1, 2, 3, 4]

    @pytest.mark.parametrize("carry", [True, False])
    def test_earlier_answers_go_back_in_if_wanted(self, carry):
        truth = rectangle((60, 60), (10, 21), (10, 32))
        robot = Paint()
        clicks.click_curve(robot, (60, 60), truth, 3, carry=carry)
        masks = [sum(isinstance(p, MaskPrompt) for p in asked) for asked in robot.asked]
        assert masks == ([0, 1, 1] if carry else [0, 0, 0])


class TestEvaluate:
    @pytest.fixture
    def images(self):
        labels = np.zeros((2, 60, 60), np.uint16)
        labels[0, 5:16, 5:16] = 1
        labels[0, 30:41, 30:52] = 7
        labels[1, 20:22, 20:22] = 3  # a speck
        labels[1, 30:41, 30:41] = 4
        image = np.zeros((60, 60, 3), np.uint8)
        return [LabelledImage(f"i{n}", f"kind {n}", image, labels[n]) for n in (0, 1)]

    def test_every_object_but_specks(self, images):
        scores = clicks.evaluate(Paint(), images, clicks=2)
        assert [(s.image, s.label) for s in scores] == [("i0", 1), ("i0", 7), ("i1", 4)]
        assert scores[0].clicks == (1.0, 1.0)
        assert scores[1].clicks[0] == pytest.approx(0.5)
        assert all(s.box == 1 for s in scores)

    def test_a_sample_is_drawn_alike(self, images):
        one, two = (clicks.evaluate(Paint(), images, most_objects=1) for _ in range(2))
        assert one == two
        assert len(one) == 2

    def test_summary(self, images):
        table = clicks.summarise(clicks.evaluate(Paint(), images, clicks=3))
        assert table["all"]["objects"] == 3
        assert table["all"]["1 click"] == pytest.approx(2.5 / 3, abs=1e-4)
        assert table["kind 1"] == {"objects": 1, "1 click": 1, "2 clicks": 1, "3 clicks": 1, "box": 1}
