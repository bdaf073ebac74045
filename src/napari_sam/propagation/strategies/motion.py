"""Where an object of one plane should lie on the next, as the pixels around it move, grow and shrink.

Dense optical flow by the iterative method of Lucas and Kanade, in a box around the object (Le Besnerais and
Champagnat 2005; `skimage.registration.optical_flow_ilk`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.masks import box_slices
from napari_sam.propagation.contrast import grey_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.planes.plane import Plane

_MOST = 128  # pixels: longest side of the box; a larger one is looked at coarsely
_WARPS = 3  # more do not follow better
_LEAST_ROOM = 6  # pixels of the box around the object
_RADII = (3, 12)  # pixels: limits of the neighbourhood that moves alike
_FARTHEST = 0.5  # of the object's size: motion beyond this is noise
_LEAST_LEFT = 0.2  # of the object's area: less is a flow that went wrong
_SMOOTH = 1.0  # pixels, sigma
_PERCENTILES = (1, 99)


def moved(mask: NDArray[np.bool_], before: Plane, plane: Plane) -> NDArray[np.bool_]:
    """Move a mask as the pixels move from one plane to the next.

    Parameters
    ----------
    mask : numpy.ndarray, shape (H, W), bool
        The object on `before`; not empty.
    before, plane : Plane
        Neighbours, both (H, W).

    Returns
    -------
    numpy.ndarray, shape (H, W), bool
        Not empty. The mask itself where the motion cannot be told.
    """
    size = float(np.sqrt(np.count_nonzero(mask)))
    around = box_slices(mask, max(size, _LEAST_ROOM))
    one, other = grey_values(before.pixels[around]), grey_values(plane.pixels[around])
    # Percentiles: a single hot pixel would leave everything else without contrast.
    low, high = np.percentile(one, _PERCENTILES)
    # One grey value all over shows no motion.
    if not high > low:
        return mask
    # Rounded up, so that the longest side stays within the bound.
    step = -(-max(one.shape) // _MOST)
    one, other = (_smaller((grey - low) / (high - low), step) for grey in (one, other))
    flow = step * _flow(other, one, float(np.clip(size / 2 / step, *_RADII)))
    length = np.hypot(*flow)
    flow *= np.minimum(1, _FARTHEST * size / np.maximum(length, 1e-6))
    rows, columns = np.indices(mask[around].shape, dtype=np.float32)
    # The flow is known at every `step`-th pixel only, and interpolated between.
    coarse = np.stack([rows, columns]) / step
    down, right = (ndimage.map_coordinates(part, coarse, order=1, mode="nearest") for part in flow)
    place = ndimage.map_coordinates(
        mask[around].astype(np.float32), [rows + down, columns + right], order=1, mode="nearest"
    )
    found = np.zeros_like(mask)
    found[around] = place > 0.5
    return found if np.count_nonzero(found) >= max(1, _LEAST_LEFT * size**2) else mask


def _smaller(grey: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Smooth grey values, clipped to a sound range, and keep every `step`-th."""
    # Smoothed as coarsely as pixels are left out, or those that stay would show patterns that are not there.
    smooth = ndimage.gaussian_filter(np.clip(grey, -1, 2), _SMOOTH if step == 1 else step / 2)
    few: NDArray[np.float32] = smooth[::step, ::step]
    return few


def _flow(fixed: NDArray[np.float32], moving: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
    """Return, for each pixel of `fixed`, how far off its like lies in `moving`: (2, H, W), rows first."""
    from skimage.registration import optical_flow_ilk  # slow to import

    flow: NDArray[np.float32] = optical_flow_ilk(  # type: ignore[no-untyped-call]
        fixed, moving, radius=round(radius), num_warp=_WARPS, gaussian=True, dtype=np.float32
    )
    return flow
