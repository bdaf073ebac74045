"""Which scale to look at an object with: the compact model sees best what spans a few dozen model pixels.

Measured on held-out nuclei, a click is answered best where the object's size (the root of its area) is 30 to 80 model
pixels, a box where it is 20 to 150; an object of ten pixels, or of three hundred, is hardly seen at all. So every plane
is encoded at several scales, each half as fine as the one before, and where that is not fine enough, a window around
the prompts is enlarged and encoded for the occasion. Which scale is right is told by what is known of the object (its
box, or its earlier mask), else by the predicted IoU.

Scales are named by how many canvas pixels one of their pixels spans: 1, 2, 4, 8, and 1/2 or 1/4 for enlarged windows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from napari_sam.model.compact.layers import COARSEST, STRIDE

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam.model.compact.windowed_decode import Look
    from napari_sam.model.protocol import PromptTensors

GRID = 2
"""Canvas pixels per cell of the logits that come out, and that go in as mask prompts."""

TINY = 20.0
"""Canvas pixels: objects smaller than this, as the root of their area, are enlarged."""

SURE = 10.0
"""Logits beyond this are not told apart when scales meet."""

_LEAST_SIDE = 96  # pixels: the longer side of the coarsest scale
_BEST_SIZE = 54.0  # pixels of a scale: the root of an object's area
_SMALL, _SMALL_COST = 24.0, 0.2  # sizes below lose so much predicted IoU for each halving
_LARGE, _LARGE_COST = 130.0, 0.1  # and those above for each doubling

_ALIKE = 0.25  # candidates whose areas differ by less than this share are shown once


def pyramid(pixels: Tensor) -> list[Tensor]:
    """Shrink a canvas (1, 3, H, W) by 2, 4, 8, ... as long as there is something to see; the canvas itself is first."""
    found = [pixels]
    while max(pixels.shape[2:]) >= 2 ** len(found) * _LEAST_SIDE:
        step = 2 ** len(found)
        below, right = (-side % (COARSEST * step) for side in pixels.shape[2:])
        padded = F.pad(pixels, (0, right, 0, below), mode="replicate") if below or right else pixels
        found.append(F.avg_pool2d(padded, step))
    return found


def rescaled(
    prompts: PromptTensors, scale: float, shape: tuple[int, int], origin: Tensor | None = None
) -> PromptTensors:
    """Bring prompts from the canvas to a scale.

    Parameters
    ----------
    prompts : PromptTensors
        Canvas pixels; masks at `GRID`.
    scale : float
        Canvas pixels per pixel of the scale.
    shape : (int, int)
        Height and width of the scale's features, cells of stride 4.
    origin : Tensor, shape (B, 2), optional
        Canvas pixels, (x, y), of each object's window; windows lie on the cells of `GRID`.
    """
    corner = 0.0 if origin is None else origin[:, None].to(prompts.points)
    points = (prompts.points - corner + 0.5) / scale - 0.5
    boxes = prompts.boxes
    if boxes is not None:
        corner = 0.0 if origin is None else origin.repeat(1, 2).to(boxes)
        boxes = (boxes - corner + 0.5) / scale - 0.5
    masks = prompts.masks
    if masks is not None:
        cells = scale * STRIDE / GRID  # of the mask prompt along one cell of the scale
        height, width = (math.ceil(side * cells) for side in shape)
        if origin is None:
            part = masks[:, :, :height, :width]
        else:
            starts = (origin / GRID).long().tolist()
            part = torch.stack([m[:, y : y + height, x : x + width] for m, (x, y) in zip(masks, starts, strict=True)])
        given = (part != 0).flatten(1).any(1)[:, None, None, None]
        part = F.pad(part.clamp(-SURE, SURE), (0, width - part.shape[3], 0, height - part.shape[2]), value=-SURE)
        part = F.interpolate(part, shape, mode="bilinear") if cells < 1 else F.avg_pool2d(part, round(cells))
        masks = part * given
    return replace(prompts, points=points, boxes=boxes, masks=masks)


def known_sizes(prompts: PromptTensors) -> list[float | None]:
    """Root of each object's area, canvas pixels, as its box or its earlier mask tells it; None where neither does."""
    sizes: list[float | None] = [None] * len(prompts.points)
    if prompts.masks is not None:
        for index, cells in enumerate((prompts.masks > 0).flatten(1).sum(1).tolist()):
            if cells:
                sizes[index] = GRID * math.sqrt(cells)
    if prompts.boxes is not None:
        for index, (x0, y0, x1, y1) in enumerate(prompts.boxes.tolist()):
            if not math.isnan(x0):
                sizes[index] = math.sqrt(max(1.0, (x1 - x0 + 1) * (y1 - y0 + 1)))
    return sizes


def scales_for(size: float | None, count: int, coarsest: int) -> list[float]:
    """Choose the scales of a first look at an object.

    Parameters
    ----------
    size : float or None
        See `known_sizes`; None takes every scale of the plane.
    count : int
        At most so many scales, the best ones first.
    coarsest : int
        Scales of the plane are 1, 2, 4, ... to this one.
    """
    steps = round(math.log2(coarsest))
    if size is None:
        return [2.0**step for step in range(steps + 1)]
    wanted = math.log2(size / _BEST_SIZE)
    finest = math.log2(zoom(size))
    near = sorted((abs(step - wanted), step) for step in (*([finest] if finest else []), *range(steps + 1)))
    return [2.0**step for _distance, step in near[:count]]


def zoom(size: float) -> float:
    """Scale of the window in which an object of so many canvas pixels is seen: 1/4 or 1/2, or 1 for no window."""
    return 1.0 if size >= TINY else 0.5 if size >= 0.6 * TINY else 0.25


@dataclass(frozen=True, slots=True)
class ScaleCandidate:
    """One mask of one look.

    Attributes
    ----------
    look : Look
    mask : int
        Index in the look's masks.
    scale : float
    origin : (int, int)
        First cell of the scale's features on the canvas, (y, x), cells of `GRID`.
    size : float
        Root of the mask's area, canvas pixels.
    score : float
        Predicted IoU, less what the scale is unfit for a mask of this size.
    """

    look: Look
    mask: int
    scale: float
    origin: tuple[int, int]
    size: float
    score: float


def candidates(look: Look, scale: float, origin: tuple[int, int], *, multimask: bool) -> list[ScaleCandidate]:
    """Rate the masks of a look: all three, or the single one."""
    found = []
    for mask in range(1, len(look.scores)) if multimask else (0,):
        size = STRIDE * math.sqrt(float((look.logits[mask] > 0).sum()))
        small = max(0.0, math.log2(_SMALL / max(size, 1.0)))
        large = max(0.0, math.log2(max(size, 1.0) / _LARGE))
        score = float(look.scores[mask]) - _SMALL_COST * small - _LARGE_COST * large
        found.append(ScaleCandidate(look, mask, scale, origin, size * scale, max(0.0, score)))
    return found


def best(found: list[ScaleCandidate], count: int) -> list[ScaleCandidate]:
    """Take the `count` best, each unlike the ones before it as far as there are enough, best first."""
    ranked = sorted(found, key=lambda candidate: -candidate.score)
    chosen: list[ScaleCandidate] = []
    for candidate in ranked:
        if all(abs(math.log(max(candidate.size, 1) / max(other.size, 1))) > _ALIKE / 2 for other in chosen):
            chosen.append(candidate)
    chosen += [candidate for candidate in ranked if not any(candidate is other for other in chosen)]
    return sorted(chosen[:count], key=lambda candidate: -candidate.score)


def paste(candidate: ScaleCandidate, grid: Tensor) -> None:
    """Write a mask's logits, at the right place and size, into a (h, w) grid of cells of `GRID`."""
    cells = round(candidate.scale * STRIDE / GRID) or 1
    logits = candidate.look.logits[candidate.mask].float()[None, None]
    if candidate.scale * STRIDE < GRID:
        logits = F.avg_pool2d(logits, round(GRID / (candidate.scale * STRIDE)))
    elif cells > 1:
        logits = F.interpolate(logits, scale_factor=cells, mode="bilinear", align_corners=False)
    fine = candidate.scale * STRIDE / GRID
    y, x = (round(first + cell * fine) for first, cell in zip(candidate.origin, candidate.look.corner, strict=True))
    patch = grid[y : y + logits.shape[2], x : x + logits.shape[3]]
    patch.copy_(logits[0, 0, : patch.shape[0], : patch.shape[1]])
