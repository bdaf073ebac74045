"""A simulated person: the first click or box on an object, then clicks where the answer is wrong.

Rounds follow Segment Anything (Kirillov et al. 2023, appendix A), with clicks drawn by their depth in the region as in
nnInteractive. Positions are model pixels, (x, y); masks are at stride 2, where two pixels across are one cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from napari_sam.model.protocol import PromptTensors
from napari_sam.model.text_projection import given

if TYPE_CHECKING:
    from torch import Generator, Tensor

STRIDE = 2
"""Model pixels per cell of the masks that clicks are drawn from."""

_POINT, _BOX, _BOTH = 0.55, 0.33, 0.07  # the rest: a rough mask
_HANDS = (0.005, 0.02, 0.06)  # how far a box's sides move, shares of the box: standard deviations, equally often
_DEEPEST = 12  # cells; deeper counts the same
_EXPONENTS = (0.0, 1.0, 4.0, 16.0)  # how strongly clicks seek the depth of a region
_KEPT = 0.7  # how often an earlier answer comes back as a mask prompt beside a click
_AGAIN = 0.15  # how often it comes back alone


def depth(region: Tensor) -> Tensor:
    """Count how often a (B, 1, h, w) region can be eroded before a cell is gone, at most 12 times.

    Chessboard distance to the region's border; the edge of the plane is no border.
    """
    left = region.float()
    total = left.clone()
    for _ in range(_DEEPEST - 1):
        left = _eroded(_eroded(left, 2), 3)
        total += left
    return total


def _eroded(region: Tensor, axis: int) -> Tensor:
    """Take the least of each cell and its two neighbours along an axis."""
    last = region.shape[axis] - 1
    least = region.clone()
    # On whole planes at once, which a processor does many times faster than a pooling window at each cell.
    head, tail = least.narrow(axis, 0, last), least.narrow(axis, 1, last)
    torch.minimum(head, region.narrow(axis, 1, last), out=head)
    torch.minimum(tail, region.narrow(axis, 0, last), out=tail)
    return least


def draw_click(region: Tensor, generator: Generator) -> Tensor:
    """Draw a position (B, 2), (x, y), model pixels, inside each (B, 1, h, w) region; anywhere in an empty one."""
    batch, _, _, width = region.shape
    exponents = torch.tensor(_EXPONENTS)[torch.randint(len(_EXPONENTS), (batch,), generator=generator)]
    deep = depth(region)
    deep = deep / deep.amax((1, 2, 3), keepdim=True).clamp_min(1)
    weights = (deep ** exponents.to(deep)[:, None, None, None]) * (region > 0) + 1e-9
    # One random number for each object, drawn on the processor, whatever the device: runs are alike everywhere.
    sums = weights.flatten(1).cumsum(1)
    chance = torch.rand((batch, 1), generator=generator).to(sums)
    cell = torch.searchsorted(sums, chance * sums[:, -1:])[:, 0].clamp_max(sums.shape[1] - 1)
    position = torch.stack((cell % width, cell // width), 1).float()
    inside = torch.rand((batch, 2), generator=generator).to(position)
    return (position + inside) * STRIDE - 0.5


def draw_box(masks: Tensor, generator: Generator) -> Tensor:
    """Draw boxes (B, 4), (x0, y0, x1, y1), model pixels, around (B, 1, h, w) masks.

    Some are exact, as boxes from a detector or from other labels are, some drawn with care, some as unsteady as a hand
    in a hurry: each side moves by up to a tenth of the box, at most 20 pixels. One box in ten is drawn wide.
    """
    edges = []
    for axis in (3, 2):
        used = masks.amax((1, 5 - axis)) > 0.5
        cells = torch.arange(used.shape[1], device=masks.device).expand_as(used)
        low = cells.masked_fill(~used, used.shape[1]).amin(1)
        high = cells.masked_fill(~used, -1).amax(1)
        edges.append(torch.stack((low, high + 1), 1) * STRIDE - 0.5)
    x, y = edges
    boxes = torch.stack((x[:, 0], y[:, 0], x[:, 1], y[:, 1]), 1).float()
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    hands = torch.tensor(_HANDS)[torch.randint(len(_HANDS), (len(boxes), 1), generator=generator)].to(boxes)
    shake = torch.randn(boxes.shape, generator=generator).to(boxes) * sides.clamp_max(200) * hands
    wide = (torch.rand((len(boxes), 1), generator=generator) < 0.1).to(boxes)
    margin = wide * 0.15 * sides * torch.rand((len(boxes), 1), generator=generator).to(boxes)
    out = boxes.new_tensor([-1.0, -1.0, 1.0, 1.0])
    shaken = boxes + shake.clamp(-20, 20) + margin * out
    return torch.cat((torch.minimum(shaken[:, :2], shaken[:, 2:] - 2), shaken[:, 2:]), 1)


def first_prompts(masks: Tensor, generator: Generator) -> PromptTensors:
    """Draw the first prompt of each object: a click, a box, both, or a rough mask.

    Parameters
    ----------
    masks : Tensor, shape (B, 1, h, w)
        1 inside the object, stride 2.
    generator : torch.Generator
        On the processor.
    """
    choice = torch.rand(len(masks), generator=generator).to(masks.device)
    clicks = draw_click(masks > 0.5, generator)[:, None]
    boxes = draw_box(masks, generator)
    with_click = (choice < _POINT) | ((choice >= _POINT + _BOX) & (choice < _POINT + _BOX + _BOTH))
    with_box = (choice >= _POINT) & (choice < _POINT + _BOX + _BOTH)
    with_mask = choice >= _POINT + _BOX + _BOTH
    labels = torch.where(with_click, 1, -1)[:, None]
    boxes = boxes.masked_fill(~with_box[:, None], torch.nan)
    rough = rough_mask(masks, generator) * with_mask[:, None, None, None]
    return PromptTensors(clicks, labels, boxes, rough)


def ask_by_text(prompts: PromptTensors, texts: Tensor) -> PromptTensors:
    """Give some objects an embedding in the place of their first prompt.

    Parameters
    ----------
    prompts : PromptTensors
        Of `first_prompts`.
    texts : Tensor, shape (B, width)
        NaN for an object that keeps its prompt.
    """
    asked = given(texts)
    boxes, masks = prompts.boxes, prompts.masks
    return PromptTensors(
        prompts.points,
        prompts.labels.masked_fill(asked[:, None], -1),
        None if boxes is None else boxes.masked_fill(asked[:, None], torch.nan),
        None if masks is None else masks.masked_fill(asked[:, None, None, None], 0.0),
        texts,
    )


def rough_mask(masks: Tensor, generator: Generator) -> Tensor:
    """Degrade masks into logits at stride 4: blurred, grown or shrunk, with a wavy border."""
    small = F.avg_pool2d(masks, 2)
    waves = torch.randn((len(masks), 1, 6, 6), generator=generator).to(masks)
    waves = F.interpolate(waves, small.shape[-2:], mode="bicubic", align_corners=False)
    shift = torch.randn((len(masks), 1, 1, 1), generator=generator).to(masks)
    return 12 * (F.avg_pool2d(small, 5, 1, 2) - 0.5 + 0.15 * waves + 0.12 * shift)


def correct(prompts: PromptTensors, logits: Tensor, masks: Tensor, generator: Generator) -> PromptTensors:
    """Add a click where the answer is wrong; for a few objects add none, and show the answer alone once more.

    The latter teaches to look again at what one gave (Kirillov et al. 2023, appendix A, "training algorithm").

    Parameters
    ----------
    prompts : PromptTensors
        What was said before.
    logits : Tensor, shape (B, 1, h / 2, w / 2)
        The answer, stride 4.
    masks : Tensor, shape (B, 1, h, w)
        The truth, stride 2.
    generator : torch.Generator
        On the processor.

    Returns
    -------
    PromptTensors
        With one more click, and for most objects with the answer as mask prompt; or with one that pads, and the
        answer.
    """
    truth = masks > 0.5
    answer = F.interpolate(logits.float(), truth.shape[-2:], mode="bilinear", align_corners=False) > 0
    missed, extra = truth & ~answer, answer & ~truth
    wrong = missed | extra
    perfect = ~wrong.flatten(1).any(1)[:, None, None, None]
    where = torch.where(perfect, truth, wrong)
    clicks = draw_click(where, generator)
    cell = ((clicks + 0.5) / STRIDE).long()
    row, column = cell[:, 1].clamp(0, truth.shape[2] - 1), cell[:, 0].clamp(0, truth.shape[3] - 1)
    labels = truth[torch.arange(len(truth), device=truth.device), 0, row, column].long()
    chance = torch.rand(len(masks), generator=generator).to(logits)
    again = chance >= 1 - _AGAIN
    kept = ((chance < _KEPT) | again).to(logits)[:, None, None, None]
    return PromptTensors(
        torch.cat((prompts.points, clicks[:, None]), 1),
        torch.cat((prompts.labels, labels.masked_fill(again, -1)[:, None]), 1),
        prompts.boxes,
        logits.detach().float() * kept,
        prompts.texts,
    )
