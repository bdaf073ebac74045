"""Where on a plane the model looks for what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam.inference.search import CropPlanner
from napari_sam.planes import choose_window, fits, screen_window, whole
from napari_sam.prompts import PromptSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.inference.request import EngineLike, PlaneRequest
    from napari_sam.planes import Crop
    from napari_sam.planes.source import PlaneSource

_SIDE = 1024
"""Canvas of a model that does not say how large it is: SAM's."""
_NEAR = 2.0
"""Where so many canvases fill the screen at most, its middle is encoded before the person clicks."""


def place_of(engine: EngineLike, source: PlaneSource) -> CropPlanner:
    """Describe where an engine looks."""
    side: int = getattr(engine.predictor, "canvas_side", _SIDE)
    pyramid = source.pyramid
    return CropPlanner(source.view.shape, side, source.view.spacing, pyramid.fitted, pyramid.cost)


def first_window(place: CropPlanner, request: PlaneRequest) -> Crop | None:
    """Choose what to encode before anything was said; None where nobody can tell what will be needed."""
    shape, side, spacing = place.shape, place.side, place.spacing
    if request.region == "screen" and request.visible is not None:
        return _on_screen(place, request.visible)
    if fits(shape, side, spacing):
        return whole(shape)
    if request.visible is None:
        return None
    low, high = request.visible
    if ((high - low) * spacing > _NEAR * side * min(spacing)).any():
        return None
    middle = tuple(((low + high) / 2).tolist())
    return place.fitted(choose_window(shape, PromptSet(), side, known=(middle, middle), spacing=spacing))


def window_for(place: CropPlanner, request: PlaneRequest) -> tuple[Crop, bool]:
    """Choose where to look first for an object, and tell whether a larger window may follow."""
    prompts, earlier, on_screen = request.prompts, request.earlier, request.region == "screen"
    if earlier is not None and earlier.window is not None and _holds(earlier.window, prompts, place.shape):
        return earlier.window, not on_screen
    if on_screen and request.visible is not None:
        window = _on_screen(place, request.visible)
        if _holds(window, prompts, place.shape):
            return window, False
    return place.window_for(prompts, None if earlier is None else earlier.box), True


def _on_screen(place: CropPlanner, visible: tuple[NDArray[np.float64], NDArray[np.float64]]) -> Crop:
    """Make a window of what is on the screen."""
    low, high = (tuple(corner.tolist()) for corner in visible)
    return place.fitted(screen_window(place.shape, low, high, place.side, place.spacing))


def _holds(window: Crop, prompts: PromptSet, plane: tuple[int, int]) -> bool:
    """Whether a window shows everything that was said."""
    corners = [point.position for point in prompts.points]
    if prompts.box is not None:
        corners += [prompts.box.start, prompts.box.stop]
    return window.holds(np.min(corners, axis=0), np.max(corners, axis=0), plane)
