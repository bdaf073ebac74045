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

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sam.geometry import Frame

_MUCH = 500_000  # pixels of a mask, from which on it is quicker to interpolate all of the plane


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
    """Tell where `upscaled` is greater than the threshold: (B, n, H, W) bool.

    A pixel is a mean of cells, and no greater than the greatest, so that on a processor only the surroundings of cells
    beyond the threshold are looked at: a nucleus costs what a nucleus does, however large the plane.
    """
    if not logits.is_cpu:  # which would have to wait to hear where these cells are
        return upscaled(logits, frame) > threshold
    sides = zip(logits.shape[-2:], frame.canvas, frame.content, frame.plane, strict=True)
    down, across = (_axis(*lengths) for lengths in sides)
    masks = torch.zeros((*logits.shape[:2], *frame.plane), dtype=torch.bool)
    for mask, cells in zip(masks.flatten(0, 1), logits.float().flatten(0, 1), strict=True):
        beyond = cells > threshold
        (rows, y), (columns, x) = down.reached(beyond.any(1)), across.reached(beyond.any(0))
        if (rows.stop - rows.start) * (columns.stop - columns.start) < _MUCH:
            part = down.weights[rows, y] @ cells[y, x] @ across.weights[columns, x].mT
            torch.gt(part, threshold, out=mask[rows, columns])
        else:
            torch.gt(upscaled(cells[None, None], frame)[0, 0], threshold, out=mask)
    return masks


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

    def reached(self, cells: Tensor) -> tuple[slice, slice]:
        """Find all pixels between those that some (cells,) bool have a weight in, and all cells with one in these."""
        (places,) = np.nonzero(cells.numpy())
        if not len(places):
            return slice(0, 0), slice(0, 0)
        start = int(np.searchsorted(self.last, places[0]))
        stop = int(np.searchsorted(self.first, places[-1], side="right"))
        if start >= stop:  # in the padding
            return slice(0, 0), slice(0, 0)
        return slice(start, stop), slice(int(self.first[start]), int(self.last[stop - 1]) + 1)


@lru_cache(maxsize=8)
def _axis(cells: int, canvas: int, content: int, plane: int) -> _Axis:
    units = F.interpolate(torch.eye(cells)[None], scale_factor=canvas / cells, mode="linear")[..., :content]
    if content != plane:
        units = F.interpolate(units, plane, mode="linear", align_corners=False)
    weights = units[0].mT.contiguous()
    there = (weights != 0).numpy()
    return _Axis(weights, there.argmax(1), cells - 1 - there[:, ::-1].argmax(1))
