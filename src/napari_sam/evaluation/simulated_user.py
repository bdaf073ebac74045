"""Where a robot clicks, and the box that it draws, to show a model an object that it knows.

The first click lies deepest in the object, every further one deepest in the largest region that is wrong (Xu et al.
2016; Sofiiuk et al. 2022; Kirillov et al. 2023, appendix A).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.prompts import BoxPrompt, PointPrompt

if TYPE_CHECKING:
    from numpy.typing import NDArray


def intersection_over_union(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """IoU of two masks of one shape; 1 when both are empty."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


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
    window = _extent(wrong if wrong.any() else truth)
    region = max(_largest_region(missed[window]), _largest_region(taken[window]), key=np.count_nonzero)
    if not region.any():
        region = truth[window]
    inner = _extent(region)
    depth = ndimage.distance_transform_edt(np.pad(region[inner], 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    y = int(row) + window[0].start + inner[0].start
    x = int(column) + window[1].start + inner[1].start
    return PointPrompt((y, x), positive=bool(truth[y, x]))


def _largest_region(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected part of a mask, empty if there is none."""
    labels, count = ndimage.label(mask)
    if not count:
        return mask
    region: NDArray[np.bool_] = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    return region


def _extent(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns that a mask, which is not empty, covers."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def tight_box(mask: NDArray[np.bool_]) -> BoxPrompt:
    """Box through the centres of the outermost pixels of a mask that is not empty.

    Where the mask is one pixel thin, the box takes in that pixel's width: a box without area is no box.
    """
    rows, columns = _extent(mask)
    (y0, y1), (x0, x1) = (
        (side.start, side.stop - 1) if side.stop - side.start > 1 else (side.start - 0.5, side.start + 0.5)
        for side in (rows, columns)
    )
    return BoxPrompt((y0, x0), (y1, x1))
