"""A model that learns words, as the training loop takes it."""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal, get_args

import torch

from napari_sam.model.compact.model import CompactSam
from napari_sam.model.protocol import PromptTensors
from napari_sam.model.text_projection import PART, given
from napari_sam.training.bundled.trainable import TrainableCompact

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam.model.protocol import Features
    from napari_sam.model.sam.sam import Sam
    from napari_sam.model.text_projection import ClipSpace
    from napari_sam.training.text.base import BaseModel, Network

Trained = Literal["projection", "decoder", "all"]
"""What learns: the projection of words alone, also what reads prompts and draws masks, or the image encoder too."""

TRAINED: tuple[Trained, ...] = get_args(Trained)

_SEES = ("image_encoder.", "encoder.", "similarity.", "dense.")  # names of what never reads a prompt
_ASIDE = "instance_decoder."  # micro-sam's: what is trained here says nothing of it


def learns(parameter: str, trained: Trained) -> bool:
    """Tell whether a parameter, by its name, is changed by training."""
    if PART in parameter:
        return True
    if trained == "projection" or parameter.startswith(_ASIDE):
        return False
    return trained == "all" or not parameter.startswith(_SEES)


def description_of(base: BaseModel, space: ClipSpace, trained: Trained) -> str:
    """Say which run this is: what else must be the same where one goes on."""
    return json.dumps({"base": base.sha256, "clip": asdict(space), "trained": trained})


class TrainableText:
    """A copy of a model, with a projection of words: a `napari_sam.training.trainable.Trainable`.

    Parameters
    ----------
    base : BaseModel
        Is not changed.
    space : ClipSpace
        The CLIP model whose embeddings it learns; the weights of its projection are random, unless it has one.
    trained : {"projection", "decoder", "all"}
    """

    def __init__(self, base: BaseModel, space: ClipSpace, trained: Trained) -> None:
        self.network: Network = copy.deepcopy(base.network)
        if self.network.text_space is None:
            self.network.take_words(space)
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(learns(name, trained))
        self._all = trained == "all"
        self._inner: TrainableCompact | TrainableSam
        match self.network:
            case CompactSam() as network:
                self._inner = TrainableCompact(network.config, network)
            case network:
                self._inner = TrainableSam(network)
        self.description = description_of(base, space, trained)

    def is_pretrained(self, parameter: str) -> bool:
        """Tell whether a parameter is another than those of the projection, which alone is new."""
        return PART not in parameter

    def features(self, images: Tensor) -> Features:
        """Encode N planes, (N, 3, H, W) uint8."""
        with torch.set_grad_enabled(self._all):
            return self._inner.features(images)

    def respond(self, features: Features, objects: Tensor, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Answer prompts."""
        return self._inner.respond(features, objects, prompts)

    def dense(self, features: Features) -> Tensor | None:
        """Return the logits of the dense head, where it learns."""
        return self._inner.dense(features) if self._all else None


class TrainableSam:
    """A SAM to train: crops are of the size of its canvas.

    Parameters
    ----------
    network : Sam
    """

    def __init__(self, network: Sam) -> None:
        self.network = network

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
        side = self.network.config.side
        frame = self.network.frame((side, side))
        order: list[int] = []
        found: list[tuple[Tensor, Tensor]] = []
        for rows in _alike(objects, prompts):
            plane = int(objects[rows[0]])
            own = tuple(part[plane : plane + 1] for part in features)
            told = _without_padding(prompts, torch.tensor(rows, device=objects.device))
            answers = [self.network.decode(own, told, frame, multimask=several) for several in (False, True)]
            found.append((torch.cat([a.logits for a in answers], 1), torch.cat([a.scores for a in answers], 1)))
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
