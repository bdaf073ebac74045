"""Between a plane and the compact model's canvas: grey values on the way in, interpolation on the way out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from napari_sam.geometry import Frame
from napari_sam.model import mask_drawing
from napari_sam.model.compact.layers import COARSEST, STRIDE
from napari_sam.model.compact.scales import GRID
from napari_sam.model.compact.windows import interpolation

if TYPE_CHECKING:
    from torch import Tensor

OUTSIDE = -30.0
"""Logit of every cell outside the window that the decoder looked at: certainly not the object."""

_PERCENTILES = (0.01, 0.998)
_LEAST_CONTRAST = 6.0  # grey levels: below this the noise of a constant image is not stretched to full range


def normalise(pixels: Tensor) -> Tensor:
    """Stretch each image between its 1st and 99.8th percentile, all channels alike, to about -2 ... 2.

    Parameters
    ----------
    pixels : Tensor, shape (N, 3, H, W), uint8

    Returns
    -------
    Tensor, shape (N, 3, H, W), float32
        A very dark image looks like its bright twin; a constant one stays flat.
    """
    count = len(pixels)
    # All histograms at once, and nothing is read back: on a GPU every reading waits for all that went before.
    levels = pixels.flatten(1)
    if count > 1:
        levels = levels.int() + 256 * torch.arange(count, dtype=torch.int32, device=pixels.device)[:, None]
    histograms = torch.bincount(levels.flatten(), minlength=256 * count).view(count, 256)
    shares = histograms.cumsum(1) / pixels[0].numel()
    low, high = ((shares < share).sum(1).float()[:, None, None, None] for share in _PERCENTILES)
    # In place: of a large plane, memory for every step would take longer than the steps.
    stretched = pixels.float().sub_(low).div_((high - low).clamp_min(_LEAST_CONTRAST))
    return stretched.clamp_(-0.5, 1.5).sub_(0.5).div_(0.25)


def magnified(
    pixels: Tensor, frame: Frame, part: tuple[tuple[int, int], tuple[int, int]], factor: float, least: int
) -> tuple[Tensor, Frame]:
    """Enlarge a part of a canvas by bilinear interpolation; see `napari_sam.model.protocol.MagnifyingModel`.

    Parameters
    ----------
    pixels : Tensor, shape (1, 3, H, W), float32
        The canvas, normalised.
    frame : Frame
        Where the plane lies on it.
    part : ((int, int), (int, int))
        Upper left corner and the one beyond the lower right one, data pixels, (y, x).
    factor : float
        Pixels that each of the canvas becomes, along an axis.
    least : int
        Least side of the new canvas, model pixels.
    """
    positions, content, canvas = [], [], []
    for first, last, scale, side in zip(*part, frame.scale, pixels.shape[2:], strict=True):
        count = max(1, round((last - first) * scale * factor))
        padded = -(-max(count, least) // COARSEST) * COARSEST
        # The last pixel is repeated in the padding, as on every canvas.
        own = (torch.arange(padded, device=pixels.device).clamp_max(count - 1) + 0.5) / count
        # On the canvas, in units of its sides: grid_sample counts from -1 to 1.
        positions.append(2 * (first + own * (last - first)) * scale / side - 1)
        content.append(count)
        canvas.append(padded)
    rows, columns = torch.meshgrid(*positions, indexing="ij")
    grid = torch.stack((columns, rows), -1)[None]
    found = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)
    (top, left), (bottom, right) = part
    return found, Frame((bottom - top, right - left), (content[0], content[1]), (canvas[0], canvas[1]), frame.anchor)


def upscaled(logits: Tensor, frame: Frame) -> Tensor:
    """Bring (B, n, h, w) logits at stride 2 to the plane, (B, n, H, W), by bilinear interpolation to data pixels.

    Only the rows and columns that the decoder looked at are computed; the others are `OUTSIDE`.
    """
    full = logits.new_full((*logits.shape[:2], *frame.plane), OUTSIDE, dtype=torch.float32)
    for plane, cells in zip(full, logits.float(), strict=True):
        for mask, own in zip(plane, cells, strict=True):  # a small candidate must not pay for a large one
            seen = own > OUTSIDE
            rows, y, down = interpolation(seen.any(1), frame.plane[0], frame.scale[0] / GRID)
            columns, x, across = interpolation(seen.any(0), frame.plane[1], frame.scale[1] / GRID)
            if down.shape[0] * across.shape[0] < mask_drawing.MUCH:
                mask[rows, columns] = down @ own[y, x] @ across.T
            else:
                mask.copy_(_stretched(own, frame))
    return full


def masks_of(logits: Tensor, frame: Frame, threshold: float) -> Tensor:
    """Tell where `upscaled` is greater than the threshold: (B, n, H, W) bool."""
    down, across = (
        partial(interpolation, pixels=pixels, cells_per_pixel=scale / GRID)
        for pixels, scale in zip(frame.plane, frame.scale, strict=True)
    )
    whole = partial(_stretched, frame=frame)
    return mask_drawing.draw_masks(logits, frame.plane, threshold, (down, across), whole, least=OUTSIDE)


def _stretched(cells: Tensor, frame: Frame) -> Tensor:
    """Interpolate a whole (h, w) grid: for large areas quicker than products with matrices that are nearly empty."""
    factors = [GRID / scale for scale in frame.scale]
    full = F.interpolate(cells[None, None], scale_factor=factors, mode="bilinear", align_corners=False)[0, 0]
    # The canvas covers the plane; but the product of its size and the factor may be rounded down.
    below, right = (max(0, wanted - got) for wanted, got in zip(frame.plane, full.shape, strict=True))
    if below or right:
        full = F.pad(full[None], (0, right, 0, below), mode="replicate")[0]
    return full[: frame.plane[0], : frame.plane[1]]


def interpolated(cells: Tensor, frame: Frame) -> Tensor:
    """Bring all of (n, h, w) values at stride 4 to the plane, (n, H, W), by bilinear interpolation to data pixels."""
    everywhere = torch.ones(max(cells.shape[1:]), dtype=torch.bool, device=cells.device)
    (_, _, down), (_, _, across) = (
        interpolation(everywhere[:count], pixels, scale / STRIDE)
        for count, pixels, scale in zip(cells.shape[1:], frame.plane, frame.scale, strict=True)
    )
    return down @ cells @ across.T
