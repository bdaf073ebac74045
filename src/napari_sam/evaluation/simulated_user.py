"""Where a simulated user clicks, and the box that it draws, to show a model an object that it knows.

The first click lies deepest in the object, every further one deepest in the largest region that is wrong (Xu et al.
2016; Sofiiuk et al. 2022; Kirillov et al. 2023, appendix A).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.masks import box_slices, deepest_pixel
from napari_sam.prompts import BoxPrompt, PointPrompt

if TYPE_CHECKING:
    from numpy.typing import NDArray


def next_click(truth: NDArray[np.bool_], answer: NDArray[np.bool_]) -> PointPrompt:
    """Click where the largest wrong region is deepest; the edge of the plane is a border too.

    Parameters
    ----------
    truth, answer : numpy.ndarray, shape (H, W), bool
        An empty answer gives the first click. A perfect one gives one more click in the object.

    Returns
    -------
    PointPrompt
        Positive where the object was missed, negative where something else was taken for it.
    """
    missed, taken = truth & ~answer, answer & ~truth
    wrong = missed | taken
    # All that follows looks at no more than it has to: an object is often a thousandth of its plane.
    crop = box_slices(wrong if wrong.any() else truth)
    region = max(_largest_region(missed[crop]), _largest_region(taken[crop]), key=np.count_nonzero)
    if not region.any():
        region = truth[crop]
    row, column = deepest_pixel(region, closed=True)
    y, x = row + crop[0].start, column + crop[1].start
    return PointPrompt((y, x), positive=bool(truth[y, x]))


def _largest_region(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected part of a mask, empty if there is none."""
    # Pixels that meet at a corner only are two regions: they are clicked on one after the other.
    labels, count = ndimage.label(mask)
    if not count:
        return mask
    region: NDArray[np.bool_] = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    return region


def tight_box(mask: NDArray[np.bool_]) -> BoxPrompt:
    """Box through the centres of the outermost pixels of a mask that is not empty.

    Where the mask is one pixel thin, the box takes in that pixel's width: a box without area is no box.
    """
    (y0, y1), (x0, x1) = (
        (side.start, side.stop - 1) if side.stop - side.start > 1 else (side.start - 0.5, side.start + 0.5)
        for side in box_slices(mask)
    )
    return BoxPrompt((y0, x0), (y1, x1))
