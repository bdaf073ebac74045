"""Reads what many objects are made of: what is drawn for the session, or any layer of the person's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Points, Shapes

from napari_sam.automatic.prompted.objects import grid_points
from napari_sam.prompts import BoxPrompt, PointPrompt
from napari_sam.session.everything.prompted import messages as prompted_messages
from napari_sam.session.everything.prompted.source import PromptSource
from napari_sam.session.labels.pixels import full_resolution
from napari_sam.session.labels.writer import fits_image
from napari_sam.session.prompts.reader import DrawnPrompts
from napari_sam.session.prompts.shapes import ShapeReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.prompts.editor import PromptEditor
    from napari_sam.session.prompts.reader import PromptReading
    from napari_sam.session.viewing.active_image import ActiveImage

_LEAST_SIDE = 1.0
"""Data pixels: a rectangle that is narrower holds no object."""


class PromptSources:
    """Reads what many objects are made of.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers live.
    active, live, prompts
        What is on screen, and what is drawn for the session there.
    log : ObjectLog
        What keeps what is drawn as a step.
    is_own : callable
        Tells whether a layer is one of the session's own: prompt layers, and what shows masks.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        active: ActiveImage,
        live: LivePrediction,
        prompts: PromptEditor,
        log: ObjectLog,
        is_own: Callable[[Layer], bool],
    ) -> None:
        self._viewer = viewer
        self._active = active
        self._live = live
        self._prompts = prompts
        self._log = log
        self._is_own = is_own

    @property
    def drawn(self) -> int:
        """How many objects what is drawn on the plane on screen stands for."""
        counted = self._live.reading.counted
        return sum(isinstance(prompt, BoxPrompt) or prompt.positive for _row, prompt in counted)

    def layers(self) -> list[Layer]:
        """List the layers that objects can be made of, lowest first."""
        if (image := self._active.image) is None:
            return []
        return [layer for layer in self._viewer.layers if not self._is_own(layer) and self._fits(layer, image)]

    def add_grid(self, image: Image, spacing: float) -> None:
        """Draw a regular grid of points over what is on screen of the plane, so many data pixels apart: one step."""
        if (view := self._active.view) is None:
            return
        # As everywhere: making the layer is nothing that the person drew.
        self._prompts.layers.need_points(image)
        self._log.remember_drawing()
        corners = self._active.visible_corners(view)
        low, high = ((0.0, 0.0), np.subtract(view.shape, 1)) if corners is None else corners
        first = np.clip(np.ceil(low), 0, view.shape).astype(int)
        stop = np.clip(np.floor(high) + 1, first, view.shape).astype(int)
        if (stop > first).all():
            start, (height, width) = (int(first[0]), int(first[1])), (stop - first).tolist()
            points = grid_points(start, (height, width), spacing)
            self._prompts.draw_points(image, view, [point.position for point in points])
            self._log.note_drawing(image)

    def _fits(self, layer: Layer, image: Image) -> bool:
        labels = isinstance(layer, Labels) and fits_image(self._viewer, layer, image)
        return labels or isinstance(layer, Points | Shapes)

    def read(
        self, image: Image, layer: Layer | None, view: PlaneIndex, start: tuple[int, int], shape: tuple[int, int]
    ) -> PromptSource | str:
        """Read a layer on the plane on screen.

        Parameters
        ----------
        image : Image
            The image.
        layer : Labels, Points or Shapes, or None
            Each id, each point or the box around each shape is an object; None: what is drawn for the session.
        view : PlaneIndex
            The plane.
        start, shape : (int, int)
            The part of the plane that is looked at: its upper left data pixel, and its height and width.

        Returns
        -------
        PromptSource or str
            Words where it holds nothing here.
        """
        if layer is None:
            source = _prompts_of(self._live.reading, drawn=True)
            return source if source.points or source.boxes else prompted_messages.NOTHING_DRAWN
        if isinstance(layer, Labels):
            return _labels_of(self._viewer, image, view, layer, start, shape)
        if not isinstance(layer, Points | Shapes):
            return prompted_messages.no_prompts_in(layer.name)
        points, shapes = (layer, None) if isinstance(layer, Points) else (None, layer)
        reading = DrawnPrompts.of(self._viewer, image, points, shapes, ShapeReader()).on_plane(view, _is_narrow)
        source = _prompts_of(reading, drawn=False)
        return source if source.points or source.boxes else prompted_messages.nothing_in(layer.name)


def _prompts_of(reading: PromptReading, *, drawn: bool) -> PromptSource:
    prompts = [prompt for _row, prompt in reading.counted]
    points = tuple(prompt for prompt in prompts if isinstance(prompt, PointPrompt))
    boxes = tuple(prompt for prompt in prompts if isinstance(prompt, BoxPrompt))
    if not boxes and not any(point.positive for point in points):
        return PromptSource(drawn=drawn)
    return PromptSource(points, boxes, drawn=drawn)


def _labels_of(
    viewer: ViewerModel,
    image: Image,
    view: PlaneIndex,
    layer: Labels,
    start: tuple[int, int],
    shape: tuple[int, int],
) -> PromptSource | str:
    if not fits_image(viewer, layer, image):
        return prompted_messages.lies_elsewhere(layer.name, image.name)
    # A copy: the person may go on painting while the objects are looked at.
    labels = np.array(full_resolution(layer)[view.slices(start, shape)])
    if not labels.any():
        return prompted_messages.nothing_in(layer.name)
    return PromptSource(labels=labels, target=str(layer.unique_id))


def _is_narrow(corners: NDArray[np.float64]) -> bool:
    return bool((np.ptp(corners, axis=0) < _LEAST_SIDE).any())
