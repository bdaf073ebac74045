"""Where the compact model's decoder looks: windows of the features, around what was said.

Windows are counted in cells of stride 4 and written (y, x); sides and corners are multiples of 4 cells, so that the
coarser features are cut along their own cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_sam.model.compact.layers import COARSEST, STRIDE
from napari_sam.model.protocol import PromptTensors
from napari_sam.model.text_projection import given

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_STEP = COARSEST // STRIDE


def extents(prompts: PromptTensors, shape: tuple[int, int]) -> Tensor:
    """Find what each object's prompts span.

    Parameters
    ----------
    prompts : PromptTensors
        Model pixels; a box of NaN is no box, a mask without a positive cell no mask.
    shape : (int, int)
        Height and width of the canvas, cells.

    Returns
    -------
    Tensor, shape (B, 4), on the CPU
        (y0, x0, y1, x1), cells; the whole canvas where nothing was said, or words alone.
    """
    points = prompts.points.detach().float().cpu()
    low, high = [torch.full((len(points), 2), torch.inf)], [torch.full((len(points), 2), -torch.inf)]
    if points.shape[1]:
        padding = ~_places(prompts).cpu()[:, :, None]
        low.append(points.masked_fill(padding, torch.inf).amin(1))
        high.append(points.masked_fill(padding, -torch.inf).amax(1))
    if prompts.boxes is not None:
        boxes = prompts.boxes.detach().float().cpu()
        low.append(boxes[:, :2].nan_to_num(torch.inf))
        high.append(boxes[:, 2:].nan_to_num(-torch.inf))
    if prompts.masks is not None:
        start, stop = _mask_extents(prompts.masks[:, 0] > 0)
        low.append(start * STRIDE)
        high.append(stop * STRIDE)
    first, last = torch.stack(low).amin(0), torch.stack(high).amax(0)
    found = torch.cat((first.flip(1), last.flip(1)), 1) / STRIDE
    whole = torch.tensor([0.0, 0.0, *shape])
    return torch.where(torch.isfinite(found).all(1, keepdim=True), found, whole)


def _places(prompts: PromptTensors) -> Tensor:
    """Tell which points say where to look, (B, N) bool: with words, what is not the object may be far from it."""
    there = prompts.labels >= 0
    if prompts.texts is None:
        return there
    pointed = (prompts.labels == 1).any(1, keepdim=True)
    return there & (pointed | ~given(prompts.texts)[:, None])


def _mask_extents(masks: Tensor) -> tuple[Tensor, Tensor]:
    """First cell and end, (x, y), of each (B, h, w) mask; infinities for an empty one."""
    starts, stops = [], []
    for axis in (1, 2):  # over the rows to see which columns are used, and the other way round
        used = masks.any(axis).cpu()
        cells = torch.arange(used.shape[1], dtype=torch.float32).expand_as(used)
        starts.append(cells.masked_fill(~used, torch.inf).amin(1))
        stops.append(cells.masked_fill(~used, -torch.inf).amax(1) + 1)
    return torch.stack(starts, 1), torch.stack(stops, 1)


def centres(spans: Tensor) -> Tensor:
    """Middles (B, 2), (x, y), model pixels, of `extents`."""
    return ((spans[:, :2] + spans[:, 2:]) / 2).flip(1) * STRIDE


def window_sides(spans: Tensor, least: Tensor, shapes: Tensor) -> Tensor:
    """Sides (B, 2) of the windows: room around the `extents`, at least `least` (B,), no larger than canvases (B, 2)."""
    wanted = torch.maximum(1.5 * (spans[:, 2:] - spans[:, :2]) + 2 * _STEP, least[:, None].float())
    # Sides go in half octaves, so that objects of about one size can be answered together.
    rounded = 2.0 ** (torch.ceil(2 * torch.log2(wanted)) / 2)
    cells = (torch.ceil(rounded / _STEP) * _STEP).long()
    return torch.minimum(cells, shapes)


def window_corners(spans: Tensor, size: tuple[int, int], shapes: Tensor) -> Tensor:
    """First cells (B, 2) of windows of one `size`, centred on the `extents` as far as the canvases (B, 2) allow."""
    middle = (spans[:, :2] + spans[:, 2:]) / 2
    start = torch.round((middle - torch.tensor(size) / 2) / _STEP).long() * _STEP
    return torch.minimum(start.clamp_min(0), shapes - torch.tensor(size))


def cut(maps: Sequence[Tensor], corners: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut a window at each corner (B, 2) out of a map of its own, (C, h, w): (B, C, *size)."""
    windows = [own[:, y : y + size[0], x : x + size[1]] for own, (y, x) in zip(maps, corners.tolist(), strict=True)]
    return torch.stack(windows).contiguous(memory_format=torch.channels_last)


def joined(prompts: Sequence[PromptTensors]) -> PromptTensors:
    """Put prompts of the same kinds, without masks, one after the other."""
    if len(prompts) == 1:
        return prompts[0]
    points, labels = (torch.cat(parts) for parts in zip(*((p.points, p.labels) for p in prompts), strict=True))
    boxes = [p.boxes for p in prompts if p.boxes is not None]
    texts = [p.texts for p in prompts if p.texts is not None]
    return PromptTensors(points, labels, torch.cat(boxes) if boxes else None, None, torch.cat(texts) if texts else None)


def take(prompts: PromptTensors, index: Tensor) -> PromptTensors:
    """Prompts of some of the objects."""
    index = index.to(prompts.points.device)
    boxes = None if prompts.boxes is None else prompts.boxes[index]
    masks = None if prompts.masks is None else prompts.masks[index]
    texts = None if prompts.texts is None else prompts.texts[index]
    return PromptTensors(prompts.points[index], prompts.labels[index], boxes, masks, texts)


def touches(logits: Tensor, corners: Tensor, size: tuple[int, int], shapes: Tensor) -> Tensor:
    """Tell which of (B, n, h, w) masks reach an edge of their window that is not one of their canvas: (B,) bool."""
    inside = (logits > 0).any(1).cpu()
    grows = torch.zeros(len(inside), dtype=torch.bool)
    for axis in (0, 1):
        profile = inside.any(2 - axis)
        start, stop = corners[:, axis], corners[:, axis] + size[axis]
        grows |= (profile[:, 0] & (start > 0)) | (profile[:, -1] & (stop < shapes[:, axis]))
    return grows


def interpolation(seen: Tensor, pixels: int, cells_per_pixel: float) -> tuple[slice, slice, Tensor]:
    """Compute weights of linear interpolation along one axis.

    Parameters
    ----------
    seen : Tensor, shape (cells,), bool
        Which cells the decoder looked at.
    pixels : int
        Data pixels along the axis.
    cells_per_pixel : float
        Cells per data pixel.

    Returns
    -------
    covered : slice
        The data pixels that seen cells bear on.
    used : slice
        Those cells and one more on either side, from the first that was seen to the last.
    weights : Tensor, shape (covered, used), float32
    """
    centres = ((torch.arange(pixels, device=seen.device) + 0.5) * cells_per_pixel - 0.5).clamp(0, len(seen) - 1)
    cells = torch.nonzero(seen)[:, 0]
    if not len(cells):
        return slice(0, 0), slice(0, 0), centres.new_zeros((0, 0))
    near = torch.nonzero((centres > cells[0] - 1) & (centres < cells[-1] + 1))[:, 0]
    if not len(near):  # more than one cell to a pixel, and only one was seen
        near = (centres - cells[0]).abs().argmin()[None]
    covered = slice(int(near[0]), int(near[-1]) + 1)
    used = slice(max(0, int(cells[0]) - 1), min(len(seen), int(cells[-1]) + 2))
    places = torch.arange(used.start, used.stop, device=seen.device)
    weights = (1 - (centres[covered, None] - places).abs()).clamp_min(0)
    return covered, used, weights
