"""The shape between two annotated planes as a prompt.

Shape-based interpolation: the signed distances to the outlines on two planes are averaged, with weights by how near
each plane is; inside is where the mean is positive (Raya and Udupa 1990; Herman, Zheng and Bucholtz 1992). The two
masks are first brought to a common centre, so that an object which moves on does not vanish in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.masks import iou
from napari_sam.propagation.strategies.flow import Flow
from napari_sam.propagation.strategies.mask_prompts import box_margin
from napari_sam.propagation.strategies.protocol import StrategyAnswer
from napari_sam.propagation.strategies.query import ask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.inference.engine import Engine
    from napari_sam.progress import Progress
    from napari_sam.propagation.strategies.protocol import Task

_LEAST_AGREEMENT = 0.5  # IoU of the model's mask with the interpolated one; below it the latter is taken


@dataclass(frozen=True, slots=True)
class Interpolate:
    """Asks the model where interpolation between two annotated planes puts the object."""

    title: str = "Interpolate"
    description: str = (
        "Between two annotated planes, asks the model where the shape in between should be, and takes that shape where "
        "the model disagrees. Where only one side is annotated, follows the motion instead."
    )
    needs_both_ends: bool = True
    beyond: Flow = field(default_factory=Flow)

    def answer(self, engine: Engine, task: Task, progress: Progress) -> StrategyAnswer:
        """Find the object on one plane."""
        if task.ahead is None:
            return self.beyond.answer(engine, task, progress)
        share = (task.index - task.start.index) / (task.ahead.index - task.start.index)
        expected = between(np.asarray(task.start.mask, bool), np.asarray(task.ahead.mask, bool), share)
        found = ask(engine, task.plane, expected, box_margin([expected]), progress)
        agreement = iou(found.mask, expected)
        return StrategyAnswer(found.mask if agreement >= _LEAST_AGREEMENT else expected, found.score * agreement)


def between(one: NDArray[np.bool_], other: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """Interpolate between two masks.

    Parameters
    ----------
    one, other : numpy.ndarray, shape (H, W), bool
        Not empty.
    share : float
        How far to go from `one` to `other`, 0 to 1.

    Returns
    -------
    numpy.ndarray, shape (H, W), bool
        Not empty.
    """
    centres = [np.array(ndimage.center_of_mass(mask)) for mask in (one, other)]
    centre = (1 - share) * centres[0] + share * centres[1]
    distances = [
        # Centres lie between pixels, so that distances are interpolated; beyond the edge the last one goes on.
        ndimage.shift(_signed_distance(mask), centre - own, order=1, mode="nearest")
        for mask, own in zip((one, other), centres, strict=True)
    ]
    found: NDArray[np.bool_] = (1 - share) * distances[0] + share * distances[1] > 0
    # Thin objects may leave nothing in between.
    return found if found.any() else (one if share < 0.5 else other)


def _signed_distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance to the outline, data pixels, positive inside."""
    # A border of background: a mask that fills the plane would have no outside to measure from.
    padded = np.pad(mask, 1)
    inside, outside = ndimage.distance_transform_edt(padded), ndimage.distance_transform_edt(~padded)
    distance: NDArray[np.float64] = (inside - outside)[1:-1, 1:-1]
    return distance
