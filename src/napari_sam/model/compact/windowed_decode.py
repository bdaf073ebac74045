"""One look at the features of one scale: the decoder's answer in a window that grows while a mask touches its edge."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from napari_sam.model.compact import windows as window
from napari_sam.model.compact.layers import STRIDE

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam.model.compact.decoder import MaskDecoder
    from napari_sam.model.protocol import Features, PromptTensors


@dataclass(frozen=True, slots=True)
class Look:
    """What the decoder saw of one object.

    Attributes
    ----------
    logits : Tensor, shape (4, h, w)
        In the window, at stride 4 of the scale: the single mask, then three candidates.
    scores : Tensor, shape (4,)
        Predicted IoU.
    corner : (int, int)
        First cell of the window, (y, x).
    """

    logits: Tensor
    scores: Tensor
    corner: tuple[int, int]


def look(
    decoder: MaskDecoder,
    features: Features,
    prompts: PromptTensors,
    least: int,
    most: float = math.inf,
    *,
    multimask: bool,
) -> list[Look]:
    """Answer B objects, each in its own window.

    Parameters
    ----------
    decoder : MaskDecoder
    features : tuple of Tensor
        At strides 4, 8 and 16, and the similarity features; of one plane, or one for each object.
    prompts : PromptTensors
        Pixels of this scale.
    least : int
        Least side of a window, pixels of this scale.
    most : float
        A window that is wider than this does not grow: what does not fit into it is seen better at a coarser scale.
    multimask : bool
        Which masks are to lie wholly in the window: the three candidates, or the single one.
    """
    shape = (features[0].shape[2], features[0].shape[3])
    shown = slice(1, None) if multimask else slice(0, 1)
    spans = window.extents(prompts, shape)
    sides = torch.full((len(spans),), least // STRIDE)
    found: dict[int, Look] = {}
    pending = torch.arange(len(spans))
    while len(pending):
        sizes = window.window_sides(spans[pending], sides[pending], shape)
        group = pending[(sizes == sizes[0]).all(1)]
        size = int(sizes[0, 0]), int(sizes[0, 1])
        corners = window.window_corners(spans[group], size, shape)
        masks, scores = _answer(decoder, features, window.take(prompts, group), spans[group], corners, size)
        growing = window.touches(masks[:, shown], corners, size, shape) & (max(size) * STRIDE <= most)
        for row in torch.nonzero(~growing)[:, 0].tolist():
            y, x = corners[row].tolist()
            found[int(group[row])] = Look(masks[row], scores[row].float(), (y, x))
        sides[group[growing]] = 2 * max(size)
        pending = pending[~torch.isin(pending, group[~growing])]
    return [found[index] for index in range(len(spans))]


def _answer(
    decoder: MaskDecoder,
    features: Features,
    prompts: PromptTensors,
    spans: Tensor,
    corners: Tensor,
    size: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Run the decoder in one window of `size` for each object."""
    f4, f8, f16 = (
        window.cut(part, corners // step, (size[0] // step, size[1] // step))
        for part, step in zip(features[:3], (1, 2, 4), strict=True)
    )
    keys = window.cut(features[3].flatten(1, 2), corners, size).reshape(-1, *features[3].shape[1:3], *size)
    masks = None if prompts.masks is None else window.cut(prompts.masks, corners, size)
    inside = replace(prompts, masks=masks)
    origin = corners.flip(1).to(f4.device, torch.float32) * STRIDE
    centre = window.centres(spans).to(f4.device)
    answer: tuple[Tensor, Tensor] = decoder((f4, f8, f16), keys, inside, origin, centre)
    return answer
