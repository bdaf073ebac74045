"""From SAM's logits to the plane: bilinear to the canvas, without the padding, and bilinear to data pixels.

Two steps, as the authors do it; one would give other numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from napari_sam.model.mask_drawing import draw_masks

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sam.geometry import Frame


def upscaled(logits: Tensor, frame: Frame) -> Tensor:
    """Bring (B, n, h, w) logits to the plane's (B, n, H, W)."""
    factors = tuple(canvas / side for canvas, side in zip(frame.canvas, logits.shape[-2:], strict=True))
    # What lies in the padding is not computed, but for the cells that the last rows and columns reach to.
    rows, columns = (math.ceil(side / factor) + 1 for side, factor in zip(frame.content, factors, strict=True))
    on_canvas = F.interpolate(logits[..., :rows, :columns], scale_factor=factors, mode="bilinear")
    content = on_canvas[..., : frame.content[0], : frame.content[1]]
    if frame.content == frame.plane:
        return content
    return F.interpolate(content, frame.plane, mode="bilinear", align_corners=False)


def masks_of(logits: Tensor, frame: Frame, threshold: float) -> Tensor:
    """Tell where `upscaled` is greater than the threshold: (B, n, H, W) bool."""
    if not logits.is_cpu:  # which would have to wait to hear where these cells are
        return upscaled(logits, frame) > threshold
    sides = zip(logits.shape[-2:], frame.canvas, frame.content, frame.plane, strict=True)
    down, across = (_axis(*lengths).reached for lengths in sides)
    return draw_masks(
        logits, frame.plane, threshold, (down, across), lambda cells: upscaled(cells[None, None], frame)[0, 0]
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    """What cells make of pixels along one axis.

    Attributes
    ----------
    weights : Tensor, shape (pixels, cells), float32
        What `upscaled` makes of units.
    first, last : ndarray, shape (pixels,)
        The cells that each pixel is a mean of; neither ever falls.
    """

    weights: Tensor
    first: NDArray[np.intp]
    last: NDArray[np.intp]

    def reached(self, cells: Tensor) -> tuple[slice, slice, Tensor]:
        """Find all pixels between those that some (cells,) bool have a weight in, all cells in these, and weights."""
        (places,) = np.nonzero(cells.numpy())
        start = stop = first = last = 0
        if len(places):
            start = int(np.searchsorted(self.last, places[0]))
            # Not before the start, where all are in the padding.
            stop = max(start, int(np.searchsorted(self.first, places[-1], side="right")))
        if start < stop:
            first, last = int(self.first[start]), int(self.last[stop - 1]) + 1
        pixels, used = slice(start, stop), slice(first, last)
        return pixels, used, self.weights[pixels, used]


@lru_cache(maxsize=8)
def _axis(cells: int, canvas: int, content: int, plane: int) -> _Axis:
    units = F.interpolate(torch.eye(cells)[None], scale_factor=canvas / cells, mode="linear")[..., :content]
    if content != plane:
        units = F.interpolate(units, plane, mode="linear", align_corners=False)
    weights = units[0].mT.contiguous()
    there = (weights != 0).numpy()
    return _Axis(weights, there.argmax(1), cells - 1 - there[:, ::-1].argmax(1))
