"""Masks on the plane out of a coarse grid of logits, in less time than all of the logits there would take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

MUCH = 500_000
"""Pixels of a mask, from which on it is quicker to interpolate all of the plane."""


def draw_masks(
    logits: Tensor,
    plane: tuple[int, int],
    threshold: float,
    axes: tuple[Callable[[Tensor], tuple[slice, slice, Tensor]], Callable[[Tensor], tuple[slice, slice, Tensor]]],
    whole: Callable[[Tensor], Tensor],
    least: float = -torch.inf,
) -> Tensor:
    """Tell where interpolated logits are greater than a threshold.

    A pixel is a mean of cells, and no greater than the greatest, so that only the surroundings of cells beyond the
    threshold are looked at: a nucleus costs what a nucleus does, however large the plane.

    Parameters
    ----------
    logits : Tensor, shape (B, n, h, w)
    plane : (int, int)
        H and W, data pixels.
    threshold : float
    axes : (callable, callable)
        Down and across: each takes which cells along the axis are beyond the threshold, (cells,) bool, and gives the
        pixels that these have a weight in, all cells with a weight in those pixels, and the weights, (pixels, cells).
    whole : callable
        Interpolates (h, w) cells to all of the plane, (H, W); for large masks that is quicker.
    least : float
        Cells no greater than this do not count, whatever the threshold.

    Returns
    -------
    Tensor, shape (B, n, H, W), bool
    """
    masks = torch.zeros((*logits.shape[:2], *plane), dtype=torch.bool, device=logits.device)
    down_of, across_of = axes
    # One by one: a small mask must not pay for a large one.
    for mask, cells in zip(masks.flatten(0, 1), logits.float().flatten(0, 1), strict=True):
        beyond = cells > max(threshold, least)
        rows, y, down = down_of(beyond.any(1))
        columns, x, across = across_of(beyond.any(0))
        if len(down) * len(across) < MUCH:
            torch.gt(down @ cells[y, x] @ across.mT, threshold, out=mask[rows, columns])
        else:
            torch.gt(whole(cells), threshold, out=mask)
    return masks
