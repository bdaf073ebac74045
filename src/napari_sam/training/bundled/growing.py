"""A larger encoder that begins with what a smaller one has learnt: it answers the same until it learns more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from napari_sam.errors import InputError
from napari_sam.model.compact.backbone import BackboneEncoder
from napari_sam.model.compact.layers import ResidualBlock
from napari_sam.model.compact.model import CompactConfig, CompactSam

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def grown(config: CompactConfig, state: Mapping[str, Tensor], blocks: int) -> tuple[CompactConfig, dict[str, Tensor]]:
    """Put more residual blocks over the finest features of a trained encoder.

    The new ones come last, and add nothing at first: their second convolution is 0 (as in Zhang et al. 2019,
    arXiv 1901.09321).

    Parameters
    ----------
    config : CompactConfig
        Of the trained model.
    state : mapping of str to Tensor
        Its weights.
    blocks : int
        How many there are to be at stride 8, and at stride 4.

    Returns
    -------
    config : CompactConfig
    state : dict of str to Tensor

    Raises
    ------
    InputError
        If the encoder is without a trunk, or has more of them already.
    """
    if not config.backbone:
        raise InputError("Refining blocks go over an encoder with a trunk; these weights have none: leave them out.")
    if blocks < config.refining_blocks:
        raise InputError(f"These weights have {config.refining_blocks} refining blocks already; give as many, or more.")
    larger = replace(config, refining_blocks=blocks)
    model = CompactSam(larger)
    model.load_state_dict(state, strict=False)
    if not isinstance(model.encoder, BackboneEncoder):
        raise TypeError
    for stage in (model.encoder.refine8, model.encoder.refine4):
        for block in list(stage)[config.refining_blocks :]:
            assert isinstance(block, ResidualBlock)
            for values in block.conv2.parameters():
                torch.nn.init.zeros_(values)
    return larger, model.state_dict()
