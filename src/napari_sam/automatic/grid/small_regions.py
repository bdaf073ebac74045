"""Fill small holes of a mask and remove small islands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.masks import BoxedMask

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EIGHT = np.ones((3, 3), dtype=bool)  # pixels that touch at a corner belong together


def without_small_regions(mask: BoxedMask, least: int) -> BoxedMask:
    """Fill what is not the mask and smaller than `least` pixels, then remove parts of the mask that are smaller.

    Parts belong together where they touch at a corner; of a mask of small parts only, the largest part stays.

    Parameters
    ----------
    mask : BoxedMask
        Not empty.
    least : int
        Data pixels.

    Returns
    -------
    BoxedMask
        The same object where nothing was too small.
    """
    # What is not the mask and goes on beyond so wide a margin is large enough on the margin alone.
    margin = max(math.isqrt(least) + 1, -(-least // min(mask.plane)))
    low = np.maximum(np.array(mask.origin) - margin, 0)
    high = np.minimum(np.add(mask.origin, mask.mask.shape) + margin, mask.plane)
    window = np.zeros(high - low, dtype=bool)
    top, left = mask.origin[0] - low[0], mask.origin[1] - low[1]
    window[top : top + mask.mask.shape[0], left : left + mask.mask.shape[1]] = mask.mask
    holes = _small_parts(~window, least)
    filled = window | holes
    islands = _small_parts(filled, least)
    if not (holes.any() or islands.any()):
        return mask
    cleaned = filled & ~islands
    if not cleaned.any():
        cleaned = _largest_part(filled)
    boxed = BoxedMask.of(cleaned)
    return BoxedMask((int(low[0]) + boxed.origin[0], int(low[1]) + boxed.origin[1]), boxed.mask, mask.plane)


def _small_parts(mask: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    parts, _count = ndimage.label(mask, _EIGHT)
    small = np.bincount(parts.ravel()) < least
    small[0] = False
    chosen: NDArray[np.bool_] = small[parts]
    return chosen


def _largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, _count = ndimage.label(mask, _EIGHT)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    largest: NDArray[np.bool_] = parts == sizes.argmax()
    return largest
