"""The layer that takes the clicks on objects that exist, and shows where they were clicked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points
from psygnal import Signal

from napari_sam.session.viewing.placement import align_to_image, keeping_selection, placement_of
from napari_sam.session.viewing.transform import LayerTransform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

_CLICK = 4.0
"""Pixels of the screen that the mouse may move between press and release of a click."""
_SIZE = 9
"""Side of a mark, pixels of the screen."""


class MarksLayer:
    """A Points layer that is there while clicks choose objects. Nothing is drawn into it by napari.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layer lives.
    """

    clicked = Signal(object)
    """The person clicked: where, in the world, one coordinate for each axis of the viewer."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self.layer: Points | None = None

    @property
    def is_selected(self) -> bool:
        """Whether a click now chooses an object."""
        return self.layer is not None and self._viewer.layers.selection.active is self.layer

    @property
    def places(self) -> NDArray[np.float64]:
        """Where marks are, (N, D), data pixels of the image."""
        return np.zeros((0, 2)) if self.layer is None else np.asarray(self.layer.data, dtype=np.float64)

    def need_layer(self, image: Image) -> Points:
        """Return the layer, made where there is none, on top of all others."""
        if self.layer is not None and self.layer.ndim != image.ndim:
            self.remove_layer()
        if self.layer is None:
            layer = Points(
                np.zeros((0, image.ndim)),
                name="SAM marks",
                size=_SIZE,
                face_color="#ffd54f",
                border_color="black",
                **placement_of(image),
            )
            layer.mouse_drag_callbacks.append(self._on_layer_drag)
            with keeping_selection(self._viewer):
                self._viewer.layers.append(layer)
            self.layer = layer
        align_to_image(self.layer, image)
        # Moving the canvas stays napari's; a click without a move is ours.
        self.layer.mode = "pan_zoom"
        return self.layer

    def mark(self, image: Image, place: NDArray[np.float64]) -> None:
        """Show a mark at data pixels of the image, (D,)."""
        layer = self.need_layer(image)
        layer.data = np.concatenate([self.places.reshape(-1, image.ndim), place[np.newaxis]])
        # On the screen all marks are of one size, however far the person has zoomed in.
        layer.size = _SIZE / self._zoom(image)
        layer.selected_data = set()

    def unmark(self) -> None:
        """Take the last mark away."""
        if self.layer is not None and len(self.layer.data):
            self.layer.selected_data = set()
            self.layer.data = np.asarray(self.layer.data)[:-1]

    def clear(self) -> None:
        """Show no marks."""
        if self.layer is not None and len(self.layer.data):
            self.layer.selected_data = set()
            self.layer.data = np.zeros((0, self.layer.ndim))

    def forget_layer(self) -> None:
        """Forget the layer: it was removed from the viewer."""
        self.layer = None

    def remove_layer(self) -> None:
        """Remove the layer from the viewer."""
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            with keeping_selection(self._viewer):
                self._viewer.layers.remove(layer)

    def _zoom(self, image: Image) -> float:
        """Screen pixels that a data pixel takes."""
        camera = getattr(self._viewer, "scene", self._viewer).camera  # napari 0.9 moved it
        step = LayerTransform.of(self._viewer, image).linear
        return max(1e-6, float(camera.zoom) * float(np.abs(step[:, -1]).max()))

    def _on_layer_drag(self, _layer: Points, event: Any) -> Iterator[None]:
        pressed = np.array(event.pos, dtype=float)
        yield
        while event.type == "mouse_move":
            yield
        if event.button == 1 and np.abs(np.array(event.pos, dtype=float) - pressed).max() <= _CLICK:
            self.clicked.emit(np.asarray(event.position, dtype=np.float64))
