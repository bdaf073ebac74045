"""What a good answer is: focal and dice loss of the masks, squared error of the predicted IoU, and the dense head's.

After Segment Anything (Kirillov et al. 2023, appendix A), but for the focal loss, which is summed over the plane and
divided by the object's own area: a mean over the plane would all but silence small objects.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_FOCAL, _DICE, _QUALITY, _ORDER = 2.0, 1.0, 1.0, 0.1
_ORDER_SCALE = 0.1  # of IoU: candidates that differ by less are of about one rank
_GAMMA = 2.0
_IDLE = 0.25  # weight of the three candidates where the prompt is clear and the single mask is what counts
_LEAST_AREA = 40.0  # cells; keeps the focal loss of specks in bounds


def mask_losses(logits: Tensor, truth: Tensor) -> Tensor:
    """Focal plus dice loss of (B, M, h, w) logits to (B, 1, 2h, 2w) truth at twice the resolution: (B, M)."""
    logits = F.interpolate(logits, truth.shape[-2:], mode="bilinear", align_corners=False)
    truth = truth.expand_as(logits)
    probability = logits.sigmoid()
    error = (probability - truth).abs()
    focal = F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * error**_GAMMA
    area = truth.sum((2, 3))
    # A share of the plane keeps an object of few pixels from outweighing all others.
    focal_loss = focal.sum((2, 3)) / (area + 0.02 * truth[0, 0].numel() + _LEAST_AREA)
    # One pixel more on either side of the fraction: two empty masks agree.
    overlap = 2 * (probability * truth).sum((2, 3)) + 1
    dice_loss = 1 - overlap / (probability.sum((2, 3)) + area + 1)
    return _FOCAL * focal_loss + _DICE * dice_loss


def intersection_over_union(logits: Tensor, truth: Tensor) -> Tensor:
    """IoU (B, M) of (B, M, h, w) logits with (B, 1, 2h, 2w) truth, both cut at their thresholds."""
    answer = F.interpolate(logits, truth.shape[-2:], mode="bilinear", align_corners=False) > 0
    inside = truth > 0.5
    return (answer & inside).sum((2, 3)) / (answer | inside).sum((2, 3)).clamp_min(1)


def answer_loss(logits: Tensor, scores: Tensor, truth: Tensor, ambiguous: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of an answer.

    Parameters
    ----------
    logits : Tensor, shape (B, 4, h, w)
        The single mask, then three candidates.
    scores : Tensor, shape (B, 4)
        Predicted IoU.
    truth : Tensor, shape (B, 1, 2h, 2w)
    ambiguous : Tensor, shape (B,), bool
        Whether all that was said is one click: then the best of the three candidates counts in full.

    Returns
    -------
    loss : Tensor, scalar
    iou : Tensor, shape (B, 4)
        Measured IoU, without gradient.
    """
    each = mask_losses(logits, truth)
    # Only the best candidate learns, so that three different ones come of it (Kirillov et al. 2023, section 3).
    best = each[:, 1:].amin(1)
    masks = each[:, 0] + torch.where(ambiguous, 1.0, _IDLE) * best
    # The measured IoU is what scores are to become, not a way to change masks.
    with torch.no_grad():
        iou = intersection_over_union(logits, truth)
    loss = masks.mean() + _QUALITY * F.mse_loss(scores, iou)
    if ambiguous.any():
        loss = loss + _ORDER * _order_loss(scores[ambiguous, 1:], iou[ambiguous, 1:])
    return loss, iou


def _order_loss(scores: Tensor, iou: Tensor) -> Tensor:
    """Cross-entropy of the order of candidates (B, 3) to that of their IoU (ListNet, Cao et al. 2007).

    The squared error alone leaves the order to chance where candidates are alike, and the order is what a person sees.
    """
    wanted = (iou / _ORDER_SCALE).softmax(1)
    return -(wanted * (scores / _ORDER_SCALE).log_softmax(1)).sum(1).mean()


def dense_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the dense head's (N, 3, h, w) logits to their soft targets, plus dice of the foreground.

    0, with its gradient, where there is no image.
    """
    if not len(logits):
        return logits.sum()
    entropy = F.binary_cross_entropy_with_logits(logits, targets)
    probability, truth = logits[:, 0].sigmoid(), targets[:, 0]
    overlap = 2 * (probability * truth).sum((1, 2)) + 1
    return entropy + 0.5 * (1 - overlap / (probability.sum((1, 2)) + truth.sum((1, 2)) + 1)).mean()
