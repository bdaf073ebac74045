"""What a proposal is judged by: numbers that every proposal has, whichever way it was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.automatic.proposals import ProposalTable
    from napari_sam.masks import BoxedMask

FEATURES = ("score", "stability", "foreground", "log_area", "roundness", "brightness", "contrast")
"""Names of the columns of `measure_features`, in their order."""

_RING = 2  # pixels on either side of the outline whose grey values are compared


def measure_features(table: ProposalTable, pixels: NDArray[np.generic]) -> NDArray[np.float64]:
    """Measure proposals, so that those of several planes can be compared.

    Parameters
    ----------
    table : ProposalTable
        The proposals.
    pixels : numpy.ndarray, shape (H, W) or (H, W, C)
        The plane that they were found on.

    Returns
    -------
    numpy.ndarray, shape (n, 7), float64
        For each proposal, in the order of the table: `Proposal.score`, `Proposal.stability` and `Proposal.foreground`;
        the logarithm of its area, data pixels; its roundness; how much brighter than the plane it is on the average;
        and how much the grey values on both sides of its outline differ, in the channel where they do most. The last
        two in standard deviations of the plane, so that exposure and bit depth do not count.
    """
    grey = pixels.astype(np.float32) if pixels.ndim == 2 else pixels.mean(axis=2, dtype=np.float32)
    mean, spread = float(grey.mean(dtype=np.float64)), float(grey.std(dtype=np.float64)) or 1.0
    values = np.empty((len(table), len(FEATURES)))
    values[:, 0], values[:, 1] = table.score, table.stability
    values[:, 2] = [proposal.foreground for proposal in table.proposals]
    values[:, 3], values[:, 4] = np.log(table.area), table.roundness
    values[:, 5] = (table.intensity - mean) / spread
    values[:, 6] = [outline_contrast(pixels, proposal.mask) / spread for proposal in table.proposals]
    return values


def outline_contrast(pixels: NDArray[np.generic], mask: BoxedMask) -> float:
    """Measure how much the grey values inside and outside of the outline of a mask differ, two pixels on either side.

    Returns
    -------
    float
        Difference of the means, in the units of the image, of the channel where it is greatest; 0 where there is
        nothing on one of the sides.
    """
    rows, columns = (slice(max(0, side.start - _RING), side.stop + _RING) for side in mask.box)
    around = np.asarray(pixels[rows, columns], np.float32)
    inside = np.zeros(around.shape[:2], bool)
    top, left = mask.box[0].start - rows.start, mask.box[1].start - columns.start
    inside[top : top + mask.mask.shape[0], left : left + mask.mask.shape[1]] = mask.mask
    inner = inside & ~ndimage.binary_erosion(inside, iterations=_RING, border_value=1)
    outer = ndimage.binary_dilation(inside, iterations=_RING) & ~inside
    if not inner.any() or not outer.any():
        return 0.0
    return float(np.abs(around[inner].mean(axis=0) - around[outer].mean(axis=0)).max())
