"""Prompts out of a mask: what a strategy says to the model about an object that it expects somewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.masks import box_slices, deepest_pixel
from napari_sam.prompts import BoxPrompt, PointPrompt, PromptSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam.planes.plane import Plane
    from napari_sam.predictor import Predictor
    from napari_sam.prompts import Prompt

_TOUCHING = np.ones((3, 3), bool)  # pixels that meet at a corner are one piece
_DEBRIS = 0.05  # of the largest piece's area
_MARGIN = 0.1  # of the object's size, the root of its area


def pieces(mask: NDArray[np.bool_], least_share: float = _DEBRIS) -> list[NDArray[np.bool_]]:
    """Take a mask apart into connected pieces, the largest first.

    Parameters
    ----------
    mask : numpy.ndarray, shape (H, W), bool
    least_share : float
        Pieces smaller than this share of the largest one are debris, and left out.

    Returns
    -------
    list of numpy.ndarray, shape (H, W), bool
        Empty where the mask is.
    """
    labels, count = ndimage.label(mask, _TOUCHING)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    # Stable, so that pieces of equal area come in the same order on every machine.
    kept = [number for number in np.argsort(-areas, kind="stable") if areas[number] >= least_share * areas.max()]
    return [labels == number + 1 for number in kept]


def box_around(mask: NDArray[np.bool_], margin: float = 0.0) -> BoxPrompt:
    """Draw a box along the outer edges of a mask that is not empty, and a margin, data pixels, farther out."""
    rows, columns = box_slices(mask)
    # Half a pixel out: corners of boxes are positions, and positions are centres of pixels.
    return BoxPrompt(
        (rows.start - 0.5 - margin, columns.start - 0.5 - margin),
        (rows.stop - 0.5 + margin, columns.stop - 0.5 + margin),
    )


def deepest_point(mask: NDArray[np.bool_]) -> PointPrompt:
    """Click where a mask that is not empty is deepest; the edge of the plane is no border of the object."""
    y, x = deepest_pixel(mask, closed=False)
    return PointPrompt((float(y), float(x)))


def box_margin(masks: Sequence[NDArray[np.bool_]]) -> float:
    """Choose how far a box should stay away from the last mask, data pixels, as the object moved and grew before.

    Parameters
    ----------
    masks : sequence of numpy.ndarray, shape (H, W), bool
        The object on the last planes, the newest at the end; none is empty.
    """
    size = float(np.sqrt(np.count_nonzero(masks[-1])))
    if len(masks) == 1:
        return 1.0 + _MARGIN * size
    boxes = [np.array([[side.start, side.stop] for side in box_slices(mask)]) for mask in masks[-2:]]
    change = float(np.abs(boxes[1] - boxes[0]).max())
    return 1.0 + min(change, _MARGIN * 2 * size)


def prompts_for(predictor: Predictor, plane: Plane, mask: NDArray[np.bool_], margin: float) -> PromptSet:
    """Say, as well as the model understands it, where an object is expected.

    With a mask and a click; a box besides hurts, because the model then fills it (mean 3D IoU .71 instead of .76 with
    the bundled model). With a box where one of the two is not understood.

    Parameters
    ----------
    predictor : Predictor
    plane : Plane
        The one to be answered.
    mask : numpy.ndarray, shape (H, W), bool
        Where the object is expected, in one piece; not empty.
    margin : float
        How far the box stays away from it, data pixels.
    """
    kinds = predictor.prompt_kinds
    prompts: list[Prompt] = []
    if "point" in kinds:
        prompts.append(deepest_point(mask))
    if "box" in kinds and not {"point", "mask"} <= kinds:
        prompts.append(box_around(mask, margin))
    if "mask" in kinds:
        prompts.append(predictor.mask_prompt(plane, mask))
    return PromptSet(tuple(prompts))
