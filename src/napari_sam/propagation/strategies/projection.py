"""The rule of micro-sam, as its paper and documents describe it, to compare with.

The mask of the previous plane is projected: on the next one the model gets it as a mask, with clicks on maxima of the
distance to its outline, inside (positive) and, within its box, outside (negative). Archit et al. 2025, Nature Methods
22:579; mode "points_and_mask" of ``segment_mask_in_volume``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.masks import box_slices
from napari_sam.prompts import PointPrompt, PromptSet
from napari_sam.propagation.stop_rules import Rules
from napari_sam.propagation.strategies.mask_prompts import box_around
from napari_sam.propagation.strategies.protocol import StrategyAnswer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.inference.engine import Engine
    from napari_sam.progress import Progress
    from napari_sam.propagation.strategies.protocol import Task

PROJECTION_RULES = Rules(least_overlap=0.5, largest_area_change=1e9, least_score=0.0)
"""What ends a direction there: nothing but an empty mask and little overlap."""

_EXTENSION = 0.05  # of the box's sides
_APART = {True: 3, False: 5}  # pixels between clicks inside, and outside
_MOST = 8  # clicks of each sort


@dataclass(frozen=True, slots=True)
class Projection:
    """Projects the previous mask as micro-sam does."""

    title: str = "Projection"
    description: str = "The rule of micro-sam: the mask of the plane before and clicks around it. To compare with."
    needs_both_ends: bool = False

    def answer(self, engine: Engine, task: Task, progress: Progress) -> StrategyAnswer:
        """Find the object on one plane."""
        mask = task.before[-1].mask
        predictor = engine.predictor
        kinds = predictor.prompt_kinds
        prompts = PromptSet(
            (
                *(projected_points(mask) if "point" in kinds else ()),
                *((predictor.mask_prompt(task.plane, mask),) if "mask" in kinds else ()),
                # A box only where nothing else is understood: the rule itself has none.
                *((box_around(mask, 1.0),) if kinds == {"box"} else ()),
            )
        )
        found = engine.predict(task.plane, prompts, multimask=False, progress=progress)
        return StrategyAnswer(found.masks[0], float(np.clip(found.scores[0], 0, 1)))


def projected_points(mask: NDArray[np.bool_]) -> list[PointPrompt]:
    """Put clicks on the maxima of the smoothed distance to the outline of a mask, in and around it, within its box."""
    rows, columns = box_slices(mask, 0)
    margin = max(1.0, _EXTENSION * max(rows.stop - rows.start, columns.stop - columns.start))
    around = box_slices(mask, margin)
    part = mask[around]
    return [
        PointPrompt((float(around[0].start + y), float(around[1].start + x)), positive)
        for positive, region in ((True, part), (False, ~part))
        for y, x in _maxima(region, _APART[positive])
    ]


def _maxima(region: NDArray[np.bool_], apart: int) -> NDArray[np.intp]:
    """Find the deepest places of a region, deepest first, some pixels apart: (n, 2)."""
    from skimage.feature import peak_local_max  # slow to import

    # The border of background makes clicks keep away from the edge of the box, too.
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    smooth = np.where(region, ndimage.gaussian_filter(depth, 1.0), 0.0)
    found: NDArray[np.intp] = peak_local_max(  # type: ignore[no-untyped-call]
        smooth, min_distance=apart, exclude_border=False, num_peaks=_MOST
    )
    return found
