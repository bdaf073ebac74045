from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion

from napari_sam.model.protocol import PromptTensors
from napari_sam.training.data import simulated_prompts


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def squares(count: int = 1) -> torch.Tensor:
    """Squares of 16 cells, (x, y) from (20, 10), on planes of 48 cells."""
    masks = torch.zeros(count, 1, 48, 48)
    masks[:, :, 10:26, 20:36] = 1
    return masks


def at(masks: torch.Tensor, clicks: torch.Tensor) -> torch.Tensor:
    """Values of the masks under clicks (B, 2)."""
    cells = ((clicks + 0.5) / simulated_prompts.STRIDE).long()
    return masks[torch.arange(len(masks)), 0, cells[:, 1], cells[:, 0]]


def test_depth_is_the_chessboard_distance_to_the_border():
    depth = simulated_prompts.depth(squares())[0, 0]
    assert depth[10, 20] == 1
    assert depth[12, 25] == 3
    assert depth[17, 27] == depth.max() == 8
    assert depth[0, 0] == 0


@pytest.mark.parametrize("shape", [(40, 50), (1, 5), (3, 1), (1, 1)])
def test_depth_counts_erosions_and_the_edge_of_the_plane_is_no_border(shape):
    region = np.random.default_rng(0).random(shape) < 0.97
    square = np.ones((3, 3), bool)
    eroded = [binary_erosion(region, square, iterations=n, border_value=1) for n in range(1, 12)]
    depth = simulated_prompts.depth(torch.from_numpy(region)[None, None])[0, 0]
    np.testing.assert_array_equal(depth, region + np.sum(eroded, axis=0))


def test_clicks_fall_into_the_region_and_seek_its_depth():
    masks = squares(400)
    clicks = simulated_prompts.draw_click(masks > 0, generator())
    assert (at(masks, clicks) == 1).all()
    deep = at(simulated_prompts.depth(masks), clicks)
    assert deep.mean() > simulated_prompts.depth(masks)[masks > 0].mean() + 1
    assert (deep == 1).any()  # but not always


def test_clicks_are_drawn_alike_from_one_seed():
    one, two, other = (simulated_prompts.draw_click(squares(5) > 0, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_boxes_surround_the_object_unsteadily():
    boxes = simulated_prompts.draw_box(squares(500), generator())
    tight = torch.tensor([39.5, 19.5, 71.5, 51.5])  # borders of the square, model pixels
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert torch.allclose(boxes.median(0).values, tight, atol=0.5)
    assert 1 < boxes.std(0).mean() < 4
    assert (boxes - tight).abs().max() < 25


class TestFirstPrompts:
    @pytest.fixture
    def prompts(self) -> PromptTensors:
        return simulated_prompts.first_prompts(squares(600), generator())

    def test_every_object_is_told_something(self, prompts):
        clicked = prompts.labels[:, 0] == 1
        boxed = torch.isfinite(prompts.boxes).all(1)
        masked = prompts.masks.flatten(1).any(1)
        assert (clicked | boxed | masked).all()
        shares = [kind.float().mean().item() for kind in (clicked & ~boxed, boxed & ~clicked, boxed & clicked, masked)]
        assert shares == pytest.approx([0.55, 0.33, 0.07, 0.05], abs=0.06)
        assert not (masked & (clicked | boxed)).any()

    def test_rough_masks_resemble_the_object(self, prompts):
        masked = prompts.masks.flatten(1).any(1)
        truth = torch.nn.functional.avg_pool2d(squares(600), 2)[masked] > 0.5
        rough = prompts.masks[masked] > 0
        iou = (rough & truth).sum((1, 2, 3)) / (rough | truth).sum((1, 2, 3))
        assert iou.mean() > 0.5
        assert iou.min() < 0.95


class TestCorrect:
    def prompts(self) -> PromptTensors:
        return PromptTensors(torch.full((1, 1, 2), 50.0), torch.ones(1, 1, dtype=torch.long))

    def logits(self, rows, columns) -> torch.Tensor:
        logits = torch.full((1, 1, 24, 24), -5.0)
        logits[..., slice(*rows), slice(*columns)] = 5.0
        return logits

    @pytest.fixture
    def always_click(self, monkeypatch):
        monkeypatch.setattr(simulated_prompts, "_AGAIN", 0.0)

    @pytest.mark.usefixtures("always_click")
    def test_a_missed_half_gets_a_positive_click(self):
        for seed in range(10):
            answer = self.logits((5, 13), (10, 13))  # the left part of the square
            after = simulated_prompts.correct(self.prompts(), answer, squares(), generator(seed))
            assert after.labels.tolist() == [[1, 1]]
            x, y = after.points[0, 1].tolist()
            assert 50 < x < 72
            assert 19 < y < 52

    @pytest.mark.usefixtures("always_click")
    def test_what_is_too_much_gets_a_negative_click(self):
        for seed in range(10):
            answer = self.logits((5, 20), (10, 18))  # the square and as much below it
            after = simulated_prompts.correct(self.prompts(), answer, squares(), generator(seed))
            assert after.labels.tolist() == [[1, 0]]
            assert after.points[0, 1, 1] > 51

    @pytest.mark.usefixtures("always_click")
    def test_a_perfect_answer_is_confirmed(self):
        after = simulated_prompts.correct(self.prompts(), self.logits((5, 13), (10, 18)), squares(), generator())
        assert after.labels[0, 1] == 1
        assert at(squares(), after.points[:, 1]) == 1

    def test_earlier_prompts_stay_and_answers_come_back_sometimes(self):
        answer = self.logits((5, 13), (10, 13))
        before = self.prompts()
        after = [simulated_prompts.correct(before, answer, squares(), generator(seed)) for seed in range(20)]
        assert all(torch.equal(a.points[:, :1], before.points) for a in after)
        kept = [bool(a.masks.any()) for a in after]
        assert any(kept)
        assert not all(kept)
        assert all(torch.equal(a.masks, answer) for a, k in zip(after, kept, strict=True) if k)

    def test_some_answers_are_shown_again_without_a_click(self):
        answer = self.logits((5, 13), (10, 13))
        after = [simulated_prompts.correct(self.prompts(), answer, squares(), generator(seed)) for seed in range(40)]
        again = [one for one in after if one.labels.tolist() == [[1, -1]]]
        assert 0 < len(again) < len(after) / 2
        assert all(torch.equal(one.masks, answer) for one in again)
