"""Of several masks of one object, keep one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def suppress(boxes: NDArray[np.integer], scores: NDArray[np.floating], most_iou: float) -> NDArray[np.int64]:
    """Drop boxes that overlap too much with a better one: greedy non-maximum suppression.

    Parameters
    ----------
    boxes : numpy.ndarray, shape (n, 4), int
        Two opposite corners of each, (y0, x0, y1, x1), data pixels. The area is that between the corners, so that a box
        of one row or column has none, and no overlap with any.
    scores : numpy.ndarray, shape (n,), float
        Greater is better; of equal ones, the first is.
    most_iou : float
        Greatest intersection over union of two boxes that are both kept.

    Returns
    -------
    numpy.ndarray, shape (m,), int64
        Places of the boxes that are kept, the best first.
    """
    corners = np.asarray(boxes, np.float32)
    areas = (corners[:, 2:] - corners[:, :2]).prod(1)
    left = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        sides = np.minimum(corners[best, 2:], corners[left, 2:]) - np.maximum(corners[best, :2], corners[left, :2])
        common = sides.clip(0).prod(1)
        union = areas[best] + areas[left] - common
        iou = np.divide(common, union, out=np.zeros_like(union), where=union > 0)
        # Quotients of float32 and a bound of float64, as in torchvision: it decides where they are all but equal.
        left = left[iou <= np.float64(most_iou)]
    return np.array(kept, np.int64)
