"""A model with adapters, as the training loop takes it."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from napari_sam.model.text_projection import PART
from napari_sam.training.finetune.adapters import adapt, adapter_tensors
from napari_sam.training.networks.adaptable import adaptable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_sam.model.protocol import Features, PromptTensors
    from napari_sam.model.text_projection import ClipSpace
    from napari_sam.training.networks.base import BaseModel, Network


class TrainableAdapter:
    """A copy of a model, with adapters: a `napari_sam.training.trainable.Trainable`.

    Parameters
    ----------
    base : BaseModel
        Is not changed.
    rank : int
        Of the adapters.
    encoder_blocks : int
        See `napari_sam.training.networks.adaptable.adaptable`.
    space : ClipSpace, optional
        The CLIP model whose words it learns. Default: how it takes words, if it does, stays as it is.
    """

    def __init__(self, base: BaseModel, rank: int, encoder_blocks: int = 0, space: ClipSpace | None = None) -> None:
        late = adaptable(base.network, encoder_blocks).is_late
        # What never changes is in memory once, however many copies there are of what learns.
        shared = {id(tensor): tensor for name, tensor in base.network.named_parameters() if not late(name)}
        self.network: Network = copy.deepcopy(base.network, shared)
        self._base, self._inner = base.network, adaptable(self.network, encoder_blocks)
        takes_new = space is not None and self.network.text_space is None
        if space is not None and takes_new:
            self.network.take_words(space)
        self.adapted = adapt(
            self.network,
            lambda name: self._inner.is_late(name) and (space is not None or PART not in name),
            rank,
            is_new=lambda name: takes_new and PART in name,
        )
        words = {} if space is None else {"clip": asdict(space)}
        self.description = json.dumps({"base": base.sha256, "rank": rank, "encoder_blocks": encoder_blocks} | words)

    saves_whole = False

    def is_pretrained(self, parameter: str) -> bool:
        """Tell whether a parameter is of an image encoder that should change slowly."""
        return self._inner.is_pretrained(parameter)

    def features(self, images: Tensor) -> Features:
        """Encode N planes, (N, 3, H, W) uint8."""
        return self._inner.features(images)

    def resume(self, encoded: Features) -> Features:
        """Give the features of planes of which something was computed before."""
        return self._inner.resume(encoded)

    def respond(self, features: Features, objects: Tensor, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Answer prompts."""
        return self._inner.respond(features, objects, prompts)

    def dense(self, features: Features, windows: Sequence[tuple[slice, slice]] | None) -> Tensor | None:
        """Return the logits of the dense head, where there is one."""
        return self._inner.dense(features, windows)

    def learnt(self, network: Network | None = None) -> dict[str, Tensor]:
        """Give what has been learnt, as an adapter's file holds it.

        Parameters
        ----------
        network : Network, optional
            One with the same adapters, such as the averaged one; by default this one's.
        """
        return adapter_tensors(self.network if network is None else network, self.adapted, self._base)
