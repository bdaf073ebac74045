"""What one step makes better: the answers of a simulated session of prompts, and the dense head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_sam.model.text_projection import given
from napari_sam.training.data.simulated_prompts import ask_by_text, correct, first_prompts
from napari_sam.training.losses import answer_loss, dense_loss

if TYPE_CHECKING:
    from torch import Tensor, nn

    from napari_sam.training.data.batches import Batch
    from napari_sam.training.trainable import Trainable


def objective(
    model: Trainable[nn.Module], batch: Batch, extra_rounds: int, dense_weight: float, generator: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch: the first answer, and the last of some rounds of correction; between them without gradient.

    Returns
    -------
    loss : Tensor, scalar
    measured : dict of str to float
        Losses, and mean IoU of the single mask after a click, after a box, after words and at the end, for the log.
    """
    features = model.features(batch.images) if batch.encoded is None else model.resume(batch.encoded)
    # Only of images in which every object is labelled: elsewhere, background may be an object. First, so that its
    # gradient is computed last, when the memory of the others is free.
    everything = model.dense(features, batch.windows) if batch.complete.any() else None
    # The truth is drawn at twice the resolution of the logits; simulated prompts are read from cells of theirs.
    truth = torch.nn.functional.avg_pool2d(batch.masks, 2)
    prompts = first_prompts(truth, generator)
    if batch.texts is not None:
        prompts = ask_by_text(prompts, batch.texts)
    boxed = torch.zeros_like(prompts.labels[:, 0], dtype=torch.bool)
    if prompts.boxes is not None:
        boxed = torch.isfinite(prompts.boxes).all(1)
    # A click alone may mean a part or the whole; a box does not.
    ambiguous = (prompts.labels[:, 0] == 1) & ~boxed
    logits, scores = model.respond(features, batch.objects, prompts)
    first, first_iou = answer_loss(logits, scores, truth, ambiguous)
    answer = _chosen(logits, scores, ambiguous)
    for _ in range(extra_rounds):
        prompts = correct(prompts, answer, truth, generator)
        # Only where a round ends up is learnt from: gradients through all rounds would take the memory of all.
        with torch.no_grad():
            answer = model.respond(features, batch.objects, prompts)[0][:, :1]
    prompts = correct(prompts, answer, truth, generator)
    logits, scores = model.respond(features, batch.objects, prompts)
    last, last_iou = answer_loss(logits, scores, truth, torch.zeros_like(ambiguous))
    loss, measured = first + last, {"first": first.item(), "last": last.item()}
    if everything is not None:
        dense = dense_loss(everything[batch.complete], batch.dense[batch.complete])
        loss, measured["dense"] = loss + dense_weight * dense, dense.item()
    shown = {"click": first_iou[ambiguous, 0], "box": first_iou[boxed, 0], "corrected": last_iou[:, 0]}
    if batch.texts is not None:
        shown["words"] = first_iou[given(batch.texts), 0]
    measured |= {name: iou.mean().item() for name, iou in shown.items() if len(iou)}
    return loss, measured


def _chosen(logits: Tensor, scores: Tensor, ambiguous: Tensor) -> Tensor:
    """Take the answer that a person would go on from: the best of three after one click, else the single mask."""
    best = 1 + scores[:, 1:].argmax(1)
    index = torch.where(ambiguous, best, torch.zeros_like(best))
    return logits[torch.arange(len(logits), device=logits.device), index].detach()[:, None]
