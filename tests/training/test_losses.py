from __future__ import annotations

import pytest
import torch

from napari_sam.training.losses import answer_loss, dense_loss, intersection_over_union, mask_losses


def square(side: int, value: float = 1.0, size: int = 64) -> torch.Tensor:
    """A square in the middle of a plane: (1, 1, size, size)."""
    mask = torch.zeros(1, 1, size, size)
    low = (size - side) // 2
    mask[..., low : low + side, low : low + side] = value
    return mask


def logits_of(mask: torch.Tensor, height: float = 12.0) -> torch.Tensor:
    return height * (2 * torch.nn.functional.avg_pool2d(mask, 2) - 1)


def test_a_right_answer_costs_little_and_a_wrong_one_much():
    truth = square(32)
    right, empty, inverse = (
        mask_losses(logits, truth)[0, 0]
        for logits in (logits_of(truth), torch.full((1, 1, 32, 32), -12.0), -logits_of(truth))
    )
    assert right < 0.2 < 0.9 < empty < inverse


def test_each_candidate_has_a_loss():
    truth = square(32)
    losses = mask_losses(torch.cat((logits_of(truth), -logits_of(truth)), 1), truth)
    assert losses.shape == (1, 2)
    assert losses[0, 0] < losses[0, 1]


def test_small_objects_are_not_drowned():
    missed = torch.full((1, 1, 32, 32), -4.0)
    large, small = (mask_losses(missed, square(side))[0, 0] for side in (32, 8))
    assert small > 0.25 * large


def test_intersection_over_union():
    logits = torch.cat((logits_of(square(32)), logits_of(square(16)), torch.full((1, 1, 32, 32), -1.0)), 1)
    iou = intersection_over_union(logits, square(32))
    assert iou[0].tolist() == pytest.approx([1, 0.25, 0], abs=0.05)


class TestAnswerLoss:
    def logits(self, *right: bool) -> torch.Tensor:
        truth = square(32)
        return torch.cat([logits_of(truth) if ok else -logits_of(truth) for ok in right], 1)

    def loss(self, logits, ambiguous: bool, scores=None) -> float:
        scores = torch.full((1, 4), 0.5) if scores is None else scores
        return answer_loss(logits, scores, square(32), torch.tensor([ambiguous]))[0].item()

    def test_one_right_candidate_of_three_is_enough(self):
        one, none = (self.loss(self.logits(True, False, ok, False), True) for ok in (True, False))
        all_right = self.loss(self.logits(True, True, True, True), True)
        assert one < none - 1
        assert one - all_right == pytest.approx(0, abs=0.2)  # only the predicted IoU differs

    def test_candidates_count_less_after_a_clear_prompt(self):
        wrong = self.logits(True, False, False, False)
        assert self.loss(wrong, False) < self.loss(wrong, True)

    def test_the_single_mask_always_counts(self):
        for ambiguous in (True, False):
            right, wrong = (self.loss(self.logits(ok, True, True, True), ambiguous) for ok in (True, False))
            assert wrong > right + 1

    def test_predicted_quality_is_learnt(self):
        logits = self.logits(True, True, False, False)
        honest = self.loss(logits, False, torch.tensor([[1.0, 1, 0, 0]]))
        assert honest < self.loss(logits, False, torch.tensor([[0.0, 0, 1, 1]])) - 0.5


def test_candidates_that_are_ordered_wrongly_cost_more():
    """The two answers have the same squared errors of their scores; only the order tells them apart."""
    truth = square(32)
    logits = torch.cat((logits_of(truth), logits_of(truth), logits_of(square(22)), -logits_of(truth)), 1)
    _, iou = answer_loss(logits, torch.zeros(1, 4), truth, torch.tensor([True]))
    error = 0.3
    right = iou + torch.tensor([0.0, error, -error, 0.0])
    wrong = iou + torch.tensor([0.0, -error, error, 0.0])
    losses = [answer_loss(logits, scores, truth, torch.tensor([True]))[0] for scores in (right, wrong)]
    assert losses[0] < losses[1] - 0.05
    clear = [answer_loss(logits, scores, truth, torch.tensor([False]))[0] for scores in (right, wrong)]
    assert clear[0] == pytest.approx(clear[1])


def test_dense_loss_of_no_image_is_nothing_but_has_a_gradient():
    logits = torch.zeros(0, 3, 16, 16, requires_grad=True)
    loss = dense_loss(logits, torch.zeros(0, 3, 16, 16))
    assert loss == 0
    loss.backward()


def test_dense_loss_is_least_at_its_targets():
    targets = torch.cat((square(8, size=16), 1 - square(8, 0.7, 16), 1 - square(8, 0.6, 16)), 1)
    right = torch.logit(targets.clamp(0.01, 0.99))
    assert dense_loss(right, targets) < dense_loss(right * 0.5, targets) < dense_loss(-right, targets)
