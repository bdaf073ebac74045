"""How an object stands out from what is around it: what tells that it has ended, whatever the model answers.

Asked for an object with a mask of it, a model draws one even where nothing is left. Grey values are not so easily
persuaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sam.masks import box_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.planes.plane import Plane

_GAP = 1.5  # pixels around the object that are neither, because of blur
_RING = 0.35  # of the object's size: how wide the ring around it is
_LEAST_RING = 2.0  # pixels
_TOP = 1e30  # grey values beyond this overflow in float32 sooner or later
_CLEAR = (0.5, 1.0)  # standard deviations: contrasts that count for nothing, and in full


@dataclass(frozen=True, slots=True)
class Contrast:
    """How an object stands out on one plane.

    Attributes
    ----------
    difference : float
        Mean grey value of the object less that of the ring around it.
    clearness : float
        How much that counts, 0 to 1: not at all where it is lost in the spread of the grey values.
    """

    difference: float
    clearness: float


def contrast(plane: Plane, mask: NDArray[np.bool_]) -> Contrast:
    """Compare an object, a mask (H, W) that is not empty, with the ring around it."""
    ring_width = max(_LEAST_RING, _RING * float(np.sqrt(np.count_nonzero(mask))))
    # Nothing beyond the ring counts, and distances over a whole large plane take long.
    around = box_slices(mask, ring_width + _GAP)
    inside, values = mask[around], grey_values(plane.pixels[around])
    away = ndimage.distance_transform_edt(~inside)
    ring = (away > _GAP) & (away <= _GAP + ring_width)
    if not ring.any():
        return Contrast(0.0, 0.0)
    difference = float(values[inside].mean() - values[ring].mean())
    spread = float(values[inside].std() + values[ring].std()) / 2
    low, high = _CLEAR
    # Where object and ring are flat there is no spread, and any difference is clear.
    clearness = float(np.clip((abs(difference) - low * spread) / max((high - low) * spread, 1e-9), 0, 1))
    return Contrast(difference, clearness)


def kept(now: Contrast, before: Contrast, start: Contrast) -> float:
    """Tell how much of an object's contrast is left, 0 to 1.

    That is min(c / c_before, c / c_start), as far as those contrasts were clear. The annotated plane counts as well as
    the last one, because an object that fades into another one, plane by plane, never fades much at once.

    Parameters
    ----------
    now, before, start : Contrast
        On the plane, the one before, and the annotated one.
    """
    ratios = (before, _ratio(now, before)), (start, _ratio(now, start))
    return min(1 - known.clearness * (1 - min(1.0, max(0.0, ratio))) for known, ratio in ratios)


def _ratio(one: Contrast, other: Contrast) -> float:
    return one.difference / other.difference if other.difference else 1.0


def grey_values(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Make finite grey values, (H, W), of pixels, (H, W), (H, W, 3) or (H, W, 4)."""
    # Before the conversion: what float32 cannot hold would be infinite, and the mean of it NaN.
    values = np.clip(np.nan_to_num(pixels), -_TOP, _TOP) if pixels.dtype.kind == "f" else pixels
    grey: NDArray[np.float32] = values.astype(np.float32)
    # Alpha says nothing about brightness.
    return grey[..., :3].mean(axis=2) if grey.ndim == 3 else grey
