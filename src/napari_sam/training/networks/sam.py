"""A SAM, as the training loop takes it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import torch

from napari_sam.model.protocol import PromptTensors
from napari_sam.model.text_projection import given

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam.model.protocol import Features
    from napari_sam.model.sam.sam import Sam


class TrainableSam:
    """A SAM to train: crops are of the size of its canvas.

    Parameters
    ----------
    network : Sam
    """

    def __init__(self, network: Sam) -> None:
        self.network = network
        self.canvas_side: int | None = network.config.side

    def is_late(self, parameter: str) -> bool:
        """Tell whether a parameter is of what reads prompts and draws masks."""
        return parameter.startswith(("mask_decoder.", "prompt_encoder."))

    def features(self, images: Tensor) -> Features:
        """Encode N planes, (N, 3, side, side) uint8, one after the other: each fills a processor or a GPU."""
        config = self.network.config
        mean, std = (
            images.new_tensor(v, dtype=torch.float32)[:, None, None] for v in (config.pixel_mean, config.pixel_std)
        )
        seen = [self.network.encode(((image.float() - mean) / std)[None]) for image in images]
        return tuple(torch.cat(parts) for parts in zip(*seen, strict=True))

    def respond(self, features: Features, objects: Tensor, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Answer prompts: objects of one plane with like prompts together, exactly as they are answered in use."""
        order: list[int] = []
        found: list[tuple[Tensor, Tensor]] = []
        for rows in _alike(objects, prompts):
            plane = int(objects[rows[0]])
            own = tuple(part[plane : plane + 1] for part in features)
            told = _without_padding(prompts, torch.tensor(rows, device=objects.device))
            answer = self.network.decode_every(own, told)
            found.append((answer.logits, answer.scores))
            order += rows
        back = torch.tensor(order, device=objects.device).argsort()
        logits, scores = (torch.cat(parts)[back] for parts in zip(*found, strict=True))
        return logits, scores

    def dense(self, features: Features) -> None:
        """Return None: what some SAMs have beside them is not trained here."""


def _alike(objects: Tensor, prompts: PromptTensors) -> list[list[int]]:
    """Sort objects by plane and by the kinds of their prompts."""
    count = len(objects)
    nothing = torch.zeros(count, dtype=torch.bool, device=objects.device)
    boxed = nothing if prompts.boxes is None else given(prompts.boxes)
    masked = nothing if prompts.masks is None else prompts.masks.flatten(1).any(1)
    worded = nothing if prompts.texts is None else given(prompts.texts)
    kinds = torch.cat((torch.stack((objects, boxed, masked, worded), 1), prompts.labels < 0), 1).tolist()
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row, kind in enumerate(kinds):
        groups[tuple(kind)].append(row)
    return list(groups.values())


def _without_padding(prompts: PromptTensors, rows: Tensor) -> PromptTensors:
    """Take the prompts of some objects that have the same kinds of them."""
    there = prompts.labels[rows[0]] >= 0
    boxes, masks, texts = (
        None if part is None else part[rows] for part in (prompts.boxes, prompts.masks, prompts.texts)
    )
    return PromptTensors(
        prompts.points[rows][:, there],
        prompts.labels[rows][:, there],
        None if boxes is None or not given(boxes).all() else boxes,
        None if masks is None or not masks.any() else masks,
        None if texts is None or not given(texts).all() else texts,
    )
