"""Limits of a mask: pixels that it never takes, whatever the model says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.masks import BoxedMask
from napari_sam.planes import Crop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam.inference.shaping.settings import MaskShaping
    from napari_sam.planes.source import PlaneSource
    from napari_sam.prompts import AreaPrompt

_LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
"""Rec. ITU-R BT.709."""
_BAND = 1 << 22
"""Pixels that are read at a time."""


def limited(boxed: BoxedMask, shaping: MaskShaping, source: PlaneSource) -> BoxedMask:
    """Leave out the pixels that a mask must not take.

    Only the box of the mask is read, at full resolution.

    Parameters
    ----------
    boxed : BoxedMask
        The mask.
    shaping : MaskShaping
        Says what the limits are.
    source : PlaneSource
        The plane.
    """
    exclusion = shaping.exclusion
    if (shaping.grey_range is None and exclusion is None) or not boxed.area:
        return boxed
    allowed = boxed.mask.copy()
    height, width = allowed.shape
    # In bands: the mask may cover a plane that does not fit into memory.
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        band = allowed[top : top + rows]
        start = boxed.origin[0] + top, boxed.origin[1]
        if shaping.grey_range is not None:
            values = grey_values(source, start, (band.shape[0], width))
            band &= (values >= shaping.grey_range[0]) & (values <= shaping.grey_range[1])
        if exclusion is not None:
            band &= ~exclusion.covers(source.view, start, (band.shape[0], width))
    cut = BoxedMask.of(allowed)
    origin = (boxed.origin[0] + cut.origin[0], boxed.origin[1] + cut.origin[1]) if cut.mask.size else (0, 0)
    return BoxedMask(origin, cut.mask, boxed.plane)


def without_areas(boxed: BoxedMask, areas: Sequence[AreaPrompt]) -> BoxedMask:
    """Take off a mask what the person drew around as not belonging to the object.

    The predictor does so, too; but what is drawn anew from logits, filled or grown may come back.
    """
    mask = boxed.whole() if any(not area.positive for area in areas) else None
    if mask is None:
        return boxed
    for area in areas:
        if not area.positive:
            there = area.on_plane(boxed.plane)
            mask[there.box] &= ~there.mask
    return BoxedMask.of(mask)


def grey_values(source: PlaneSource, start: tuple[int, int], shape: tuple[int, int]) -> NDArray[Any]:
    """Read the values of a rectangle of a plane, as they are in the data; of colours, the luma, float32.

    Parameters
    ----------
    source : PlaneSource
        The plane.
    start, shape : (int, int)
        Upper left pixel and size, data pixels, (y, x).
    """
    pixels = source.pyramid.read(Crop((float(start[0]), float(start[1])), shape))
    return luma(pixels)


def luma(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return grey values, (h, w): those of grey pixels as they are; the luma of colours, (h, w, 3 or 4), float32."""
    return pixels if pixels.ndim == 2 else pixels[..., :3].astype(np.float32) @ _LUMA


def range_inside(pixels: NDArray[Any], mask: NDArray[np.bool_], share: float = 0.02) -> tuple[float, float] | None:
    """Find the range of grey values inside a mask, less a share of its pixels at either end; None where it is empty.

    Parameters
    ----------
    pixels : numpy.ndarray, shape (h, w) or (h, w, channels)
        Data of the image.
    mask : numpy.ndarray, shape (h, w), bool
        The mask.
    share : float
        How many of the pixels are left out at each end, 0 to 0.5: the border of an object is of mixed values.
    """
    inside = luma(pixels)[mask]
    inside = inside[np.isfinite(inside)]
    if not inside.size:
        return None
    low, high = np.quantile(inside.astype(np.float64), [share, 1 - share], method="nearest")
    return float(low), float(high)
