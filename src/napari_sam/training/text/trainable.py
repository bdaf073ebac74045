"""A model that learns words, as the training loop takes it."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal, get_args

import torch

from napari_sam.model.text_projection import PART
from napari_sam.training.networks.adaptable import adaptable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_sam.model.protocol import Features, PromptTensors
    from napari_sam.model.text_projection import ClipSpace
    from napari_sam.training.networks.base import BaseModel, Network

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
        self._inner = adaptable(self.network)
        self.description = description_of(base, space, trained)

    saves_whole = True

    def is_pretrained(self, parameter: str) -> bool:
        """Tell whether a parameter is another than those of the projection, which alone is new."""
        return PART not in parameter

    def features(self, images: Tensor) -> Features:
        """Encode N planes, (N, 3, H, W) uint8."""
        with torch.set_grad_enabled(self._all):
            return self._inner.features(images)

    def resume(self, encoded: Features) -> Features:
        """Give the features of planes of which something was computed before."""
        return self._inner.resume(encoded)

    def respond(self, features: Features, objects: Tensor, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Answer prompts."""
        return self._inner.respond(features, objects, prompts)

    def dense(self, features: Features, windows: Sequence[tuple[slice, slice]] | None) -> Tensor | None:
        """Return the logits of the dense head, where it learns."""
        return self._inner.dense(features, windows) if self._all else None
