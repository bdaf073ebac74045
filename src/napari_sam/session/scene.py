"""What the person works on: the image, the plane of it on screen, and the window it is seen with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from psygnal import Signal

from napari_sam.errors import InputError
from napari_sam.session.connections import Connections
from napari_sam.session.layers import PLACING
from napari_sam.session.view import PlaneSource, View, ViewError, find_view

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


class Scene:
    """Follows a viewer: its active image until one is chosen, and the plane on screen.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer, unwrapped.
    """

    image_changed = Signal()
    """Another image, or none, is worked on."""
    view_changed = Signal()
    """Another plane is on screen, or none that can be segmented."""
    pixels_changed = Signal(bool)
    """The plane looks different. True: by a change of the window, which comes in bursts."""
    place_changed = Signal()
    """The image lies elsewhere in the world."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._connections = Connections()
        self._pinned = False
        self._version = 0
        self.image: Image | None = None
        self.view: View | None = None
        self.problem = ""
        """Why there is no view although there is an image; "" when there is one."""
        self._connections.connect("viewer", viewer.dims.events, self._on_viewer_dims)
        self._connections.connect("viewer", viewer.layers.events.removed, self._on_viewer_layer_removed)
        self._connections.connect("viewer", viewer.layers.selection.events.active, self._on_viewer_active)

    def start(self) -> None:
        """Begin with the active image, or else with the uppermost one."""
        self._on_viewer_active()
        if self.image is None and (images := self.choices()):
            self._use(images[-1])

    def release(self) -> None:
        """Stop following."""
        self._connections.release()

    def choices(self) -> list[Image]:
        """List the images of the viewer, lowest first."""
        return [layer for layer in self._viewer.layers if isinstance(layer, Image)]

    def choose(self, image: Image | None) -> None:
        """Work on an image from now on; None: follow the active layer again.

        Raises
        ------
        InputError
            If it is not an image layer of the viewer.
        """
        if image is not None and not (isinstance(image, Image) and image in self._viewer.layers):
            raise InputError("The image must be an image layer of this viewer. Add it first.")
        self._pinned = image is not None
        if image is None:
            self._on_viewer_active()
        else:
            self._use(image)

    def source(self) -> PlaneSource | None:
        """Return how to read the plane on screen as it is seen now; None when there is none."""
        if self.image is None or self.view is None:
            return None
        return PlaneSource.of(self.image, self.view, self._version)

    def _use(self, image: Image | None) -> None:
        if image is self.image:
            return
        self._connections.release("image")
        self.image = image
        if image is not None:
            events: Any = image.events
            for name in PLACING:
                self._connections.connect("image", events[name], self._on_image_place)
            for name in ("contrast_limits", "gamma"):
                self._connections.connect("image", events[name], self._on_image_window)
            self._connections.connect("image", events.data, self._on_image_data)
            self._connections.connect("image", events.set_data, self._on_image_set_data)
        self._find()
        self.image_changed.emit()

    def _find(self) -> bool:
        """Find the view anew; tell whether it is another one."""
        before = self.view, self.problem
        self.view, self.problem = None, ""
        if self.image is not None:
            try:
                self.view = find_view(self._viewer, self.image)
            except ViewError as error:
                self.problem = str(error)
        return (self.view, self.problem) != before

    def _on_viewer_dims(self) -> None:
        if self._find():
            self.view_changed.emit()

    def _on_viewer_active(self) -> None:
        active: Layer | None = self._viewer.layers.selection.active
        if isinstance(active, Image) and not self._pinned:
            self._use(active)

    def _on_viewer_layer_removed(self) -> None:
        if self.image is not None and self.image not in self._viewer.layers:
            self._pinned = False
            self._use(None)
            self._on_viewer_active()

    def _on_image_place(self) -> None:
        self.place_changed.emit()
        if self._find():
            self.view_changed.emit()

    def _on_image_window(self) -> None:
        self.pixels_changed.emit(True)

    def _on_image_data(self) -> None:
        self._version += 1
        if self._find():
            self.view_changed.emit()
        else:
            self.pixels_changed.emit(False)

    def _on_image_set_data(self) -> None:
        # Sent after every slicing, and also when a program changed pixels in place and refreshed the layer: the next
        # request reads the plane anew. Embeddings go by content, so nothing is computed twice.
        self._version += 1
