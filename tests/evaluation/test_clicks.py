from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import ndimage

from napari_sam.evaluation import clicks, simulated_user
from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.prompts import BoxPrompt, MaskPrompt, PointPrompt


def rectangle(shape, rows, columns):
    mask = np.zeros(shape, bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


@dataclass
class Answer:
    masks: np.ndarray
    scores: np.ndarray
    logits: np.ndarray


class Paint:
    """Knows nothing but its prompts: a square of 11 pixels around each positive click, less those around negative ones.

    A box is filled; an earlier answer comes back as it was. One point alone gets a second candidate, the whole plane,
    and every answer is said to be right by three quarters.
    """

    def __init__(self, *kinds):
        self.asked = []
        self.prompt_kinds = frozenset(kinds or ("point", "box", "mask"))

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
        masks = np.stack((mask, np.ones_like(mask))) if len(prompts) == 1 and not mask.all() else mask[None]
        scores = np.array([0.75, 0.5], np.float32)[: len(masks)]
        return Answer(masks, scores, np.where(masks, 1.0, -1.0).astype(np.float32))


class TestNextClick:
    def test_first_click_is_deepest_in_the_object(self):
        truth = rectangle((40, 60), (10, 21), (20, 31))
        assert simulated_user.next_click(truth, np.zeros_like(truth)) == PointPrompt((15, 25), positive=True)

    def test_largest_missed_part(self):
        truth = rectangle((60, 60), (5, 16), (5, 16)) | rectangle((60, 60), (30, 51), (30, 51))
        answer = rectangle((60, 60), (5, 10), (5, 16))
        assert simulated_user.next_click(truth, answer) == PointPrompt((40, 40), positive=True)

    def test_what_was_wrongly_taken_gets_a_negative_click(self):
        truth = rectangle((60, 60), (5, 16), (5, 16))
        answer = truth | rectangle((60, 60), (30, 41), (30, 41))
        assert simulated_user.next_click(truth, answer) == PointPrompt((35, 35), positive=False)

    def test_regions_are_told_apart_though_they_touch_at_a_corner(self):
        truth = rectangle((30, 30), (0, 9), (0, 9)) | rectangle((30, 30), (9, 20), (9, 20))
        assert simulated_user.next_click(truth, np.zeros_like(truth)).position == (14, 14)

    def test_the_edge_of_the_plane_is_a_border(self):
        truth = rectangle((31, 31), (0, 31), (0, 11))
        y, x = simulated_user.next_click(truth, np.zeros_like(truth)).position
        assert x == 5
        assert 5 <= y <= 25

    def test_a_perfect_answer_is_confirmed(self):
        truth = rectangle((30, 30), (5, 10), (5, 10))
        assert simulated_user.next_click(truth, truth).positive

    def test_only_what_is_needed_is_looked_at_and_nothing_changes_by_it(self):
        """The same definition over the whole plane, written down as it reads."""

        def plainly(truth, answer):
            regions = [ndimage.label(wrong)[0] for wrong in (truth & ~answer, answer & ~truth)]
            parts = [labels == number for labels in regions for number in range(1, labels.max() + 1)]
            region = max(parts, key=np.count_nonzero, default=truth)
            depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
            y, x = np.unravel_index(depth.argmax(), depth.shape)
            return PointPrompt((y, x), positive=bool(truth[y, x]))

        rng = np.random.default_rng(0)
        for _ in range(200):
            noise = ndimage.gaussian_filter(rng.normal(size=(2, *rng.integers(8, 50, 2))), (0, 2, 2))
            truth, answer = noise[0] > 0, noise[1] > rng.uniform(-0.1, 0.1)
            assert simulated_user.next_click(truth, answer) == plainly(truth, answer)


def test_tight_box_goes_through_the_outermost_pixels():
    assert simulated_user.tight_box(rectangle((30, 30), (3, 8), (10, 21))) == BoxPrompt((3, 10), (7, 20))


@pytest.mark.parametrize(
    ("rows", "columns", "box"),
    [((3, 4), (10, 30), BoxPrompt((2.5, 10), (3.5, 29))), ((3, 30), (10, 11), BoxPrompt((3, 9.5), (29, 10.5)))],
)
def test_a_box_around_a_line_has_an_area(rows, columns, box):
    assert simulated_user.tight_box(rectangle((40, 40), rows, columns)) == box


class TestClickCurve:
    def test_every_click_adds_its_square(self):
        truth = rectangle((60, 60), (10, 21), (10, 32))
        model = Paint()
        curve = clicks.click_curve(model, (60, 60), truth, 4)
        assert curve.measured[0] == pytest.approx(0.5)
        assert list(curve.measured) == sorted(curve.measured)
        assert curve.predicted == (0.75,) * 4
        assert [sum(isinstance(p, PointPrompt) for p in asked) for asked in model.asked] == [1, 2, 3, 4]

    def test_the_best_candidate_for_the_first_click_is_looked_for(self):
        truth = np.ones((60, 60), bool)
        truth[:6] = False
        curve = clicks.click_curve(Paint(), (60, 60), truth, 2)
        assert curve.measured[0] < 0.05
        assert curve.best == pytest.approx(0.9)

    @pytest.mark.parametrize("carry", [True, False])
    def test_earlier_answers_go_back_in_if_wanted(self, carry):
        truth = rectangle((60, 60), (10, 21), (10, 32))
        model = Paint()
        clicks.click_curve(model, (60, 60), truth, 3, carry=carry)
        masks = [sum(isinstance(p, MaskPrompt) for p in asked) for asked in model.asked]
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

    def test_what_the_model_thinks_of_itself_is_kept(self, images):
        score = clicks.evaluate(Paint(), images, clicks=2)[0]
        assert score.predicted == (0.75, 0.75)
        assert score.box_predicted == 0.75
        assert score.best == 1
        assert score.area == 121

    def test_a_model_that_takes_boxes_only(self, images):
        model = Paint("box")
        scores = clicks.evaluate(model, images)
        assert all(score.clicks == score.predicted == () and score.best is None for score in scores)
        assert [score.box for score in scores] == [1, 1, 1]
        assert all(isinstance(prompt, BoxPrompt) for asked in model.asked for prompt in asked)

    def test_a_model_that_takes_no_masks_gets_points_again(self, images):
        model = Paint("point", "box")
        clicks.evaluate(model, images, clicks=3)
        assert not any(isinstance(prompt, MaskPrompt) for asked in model.asked for prompt in asked)

    def test_labels_may_be_any_numbers(self, images):
        item = images[1]
        wide = [LabelledImage(item.name, item.kind, item.image, item.labels.astype(np.uint32) * 1_000_000_000)]
        assert clicks.evaluate(Paint(), wide, clicks=1)[-1].label == 4_000_000_000

    def test_every_image_is_visited_once_encoded_once(self, images):
        empty = LabelledImage("i2", "kind 1", images[0].image, np.zeros((60, 60), np.uint8))
        seen = []
        clicks.evaluate(
            Paint(), [*images, empty], clicks=1, visit=lambda item, embedding: seen.append((item.name, embedding))
        )
        assert seen == [("i0", (60, 60)), ("i1", (60, 60)), ("i2", (60, 60))]

    def test_progress_never_goes_back(self, images):
        told = []
        clicks.evaluate(Paint(), images, clicks=1, progress=told.append)
        assert told == sorted(told)
        assert told[-1] == 1

    def test_summary(self, images):
        table = clicks.summarise(clicks.evaluate(Paint(), images, clicks=3))
        assert table["all"]["objects"] == 3
        assert table["all"]["1 click"] == pytest.approx(2.5 / 3, abs=1e-4)
        assert {"objects": 1, "1 click": 1, "2 clicks": 1, "3 clicks": 1, "box": 1}.items() <= table["kind 1"].items()
        assert table["all"]["bias"] == pytest.approx(0.75 - 11 / 12, abs=0.05)
