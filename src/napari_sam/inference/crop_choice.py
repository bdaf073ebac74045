"""Where on a plane the model looks for what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam.inference.search import CropPlanner
from napari_sam.planes import fits, screen_crop, whole
from napari_sam.prompts import PromptSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.inference.refinement import PreviousMask
    from napari_sam.inference.request import EngineLike, Region
    from napari_sam.planes import Crop
    from napari_sam.planes.source import PlaneSource

    Corners = tuple[NDArray[np.float64], NDArray[np.float64]]

_SIDE = 1024
"""Canvas of a model that does not say how large it is: SAM's."""
_NEAR = 2.0
"""Where so many canvases fill the screen at most, its middle is encoded before the person clicks."""


def planner_for(engine: EngineLike, source: PlaneSource) -> CropPlanner:
    """Describe how an engine looks at a plane."""
    side: int = getattr(engine.predictor, "canvas_side", _SIDE)
    pyramid = source.pyramid
    return CropPlanner(source.view.shape, side, source.view.spacing, pyramid.fitted, pyramid.cost)


def first_crop(planner: CropPlanner, region: Region, visible: Corners | None) -> Crop | None:
    """Choose what to encode before there are prompts; None where nobody can tell what will be needed.

    Parameters
    ----------
    planner : CropPlanner
        The plane, as the model looks at it.
    region, visible
        See `napari_sam.inference.request.PlaneRequest`.
    """
    shape, side, spacing = planner.shape, planner.side, planner.spacing
    if region == "screen" and visible is not None:
        return _on_screen(planner, visible)
    if fits(shape, side, spacing):
        return whole(shape)
    if visible is None:
        return None
    low, high = visible
    # Compared in space: pixels may be longer one way than the other.
    if ((high - low) * spacing > _NEAR * side * min(spacing)).any():
        return None
    middle = tuple(((low + high) / 2).tolist())
    # As if the object were known to lie there: without a click there is nothing else to lay a crop around.
    return planner.crop_for(PromptSet(), (middle, middle))


def crop_for(
    planner: CropPlanner, prompts: PromptSet, previous: PreviousMask | None, region: Region, visible: Corners | None
) -> tuple[Crop, bool]:
    """Choose where to look first for an object, and tell whether a larger crop may follow.

    Parameters
    ----------
    planner : CropPlanner
        The plane, as the model looks at it.
    prompts : PromptSet
        Data pixels of the plane.
    previous : PreviousMask or None
        The earlier answer for the object.
    region, visible
        See `napari_sam.inference.request.PlaneRequest`.
    """
    on_screen = region == "screen"
    # The crop of the earlier answer comes first: its logits go back in there unchanged.
    if previous is not None and _is_picture(planner, previous.crop) and _holds(previous.crop, prompts, planner.shape):
        return previous.crop, not on_screen
    if on_screen and visible is not None:
        crop = _on_screen(planner, visible)
        # Prompts that lie beyond the screen need a crop around the object after all.
        if _holds(crop, prompts, planner.shape):
            return crop, False
    return planner.crop_for(prompts, None if previous is None else previous.box), True


def _on_screen(planner: CropPlanner, visible: Corners) -> Crop:
    """Make a crop of what is on the screen."""
    low, high = (tuple(corner.tolist()) for corner in visible)
    return planner.fitted(screen_crop(planner.shape, low, high, planner.side, planner.spacing))


def _is_picture(planner: CropPlanner, crop: Crop) -> bool:
    """Whether the model takes a crop as one picture; an earlier answer may also be one for a whole large plane."""
    down, across = planner.spacing[0] * crop.steps[0], planner.spacing[1] * crop.steps[1]
    return fits(crop.picture, planner.side, (down, across))


def _holds(crop: Crop, prompts: PromptSet, plane: tuple[int, int]) -> bool:
    """Whether a crop shows all prompts."""
    corners = prompts.corners()
    return not corners or crop.holds(np.min(corners, axis=0), np.max(corners, axis=0), plane)
