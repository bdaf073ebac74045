"""What the person works on: the image, the plane of it on screen, and the grey values that it is seen with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.layers import Image
from psygnal import Signal

from napari_sam.errors import InputError
from napari_sam.session.viewing.channel_mix import ChannelMix
from napari_sam.session.viewing.connections import Connections
from napari_sam.session.viewing.placement import PLACING
from napari_sam.session.viewing.plane_on_screen import ViewError, axis_names, find_view, visible_box
from napari_sam.session.viewing.transform import LayerTransform
from napari_sam.session.viewing.viewer_events import ViewerEvents

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex, PlaneSource


PixelChange = Literal["data", "window", "plane"]
"""Other pixels; another window of grey values, which comes in bursts; or one that napari sets for every plane anew."""


class ActiveImage:
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
    pixels_changed = Signal(str)
    """The plane looks different; a `PixelChange` says by what."""
    place_changed = Signal()
    """The image lies elsewhere in the world."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self.viewer_events = ViewerEvents(viewer)
        """What happens to the viewer's layers and sliders."""
        self.mix = ChannelMix(viewer)
        """The images that the model sees together."""
        self._connections = Connections()
        self._pinned = False
        self._version = 0
        self._window: tuple[float, ...] = ()
        self._look: Hashable = None
        self.travel: tuple[int, int] | None = None
        """The data axis that the person last scrolled along, and +1 or -1; None before that."""
        self.image: Image | None = None
        self.view: PlaneIndex | None = None
        self.problem = ""
        """Why there is no view although there is an image; "" when there is one."""
        # Connected first of all: whoever else hears of a removal finds an image that is still there.
        self._connections.connect("viewer", self.viewer_events.removed, self._on_viewer_removed)
        self._connections.connect("viewer", self.viewer_events.active_changed, self._on_viewer_active)
        self._connections.connect("viewer", self.viewer_events.dims_changed, self._on_viewer_dims)
        self._connections.connect("mix", self.mix.changed, self._on_mix_changed)
        self._connections.connect("mix", self.mix.pixels_set, self._on_image_set_data)

    def start_following(self) -> None:
        """Begin with the active image, or else with the uppermost one."""
        self._use_image(self._default_image())

    def release(self) -> None:
        """Stop following."""
        self._connections.release()
        self.mix.release()
        self.viewer_events.release()

    def list_images(self) -> list[Image]:
        """List the images of the viewer, lowest first."""
        return [layer for layer in self._viewer.layers if isinstance(layer, Image)]

    def choose_image(self, image: Image | None) -> None:
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
            self._use_image(image)

    def plane_source(self) -> PlaneSource | None:
        """Return how to read the plane on screen as it is seen now; None when there is none."""
        if self.image is None or self.view is None:
            return None
        return self.mix.source(self.image, self.view, self._version)

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Names of the image's data axes, as the viewer's sliders are labelled; none without an image."""
        return () if self.image is None else axis_names(self._viewer, self.image)

    @property
    def slider_axis(self) -> int | None:
        """The data axis of the slider that was used last, or of the first that there is; None where there is none."""
        if self.image is None or self.view is None:
            return None
        axes = [axis for axis, at in enumerate(self.view.index) if at is not None and self.planes_along(axis) > 1]
        # napari lines axes up at their ends: those that the image lacks come first.
        last = self._viewer.dims.last_used - (self._viewer.dims.ndim - self.image.ndim)
        return last if last in axes else next(iter(axes), None)

    def planes_along(self, axis: int) -> int:
        """Count the planes along a data axis."""
        return 0 if self.image is None else int(self.image.data.shape[axis])

    def visible_corners(self, view: PlaneIndex) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return the corners of the part of a plane that is on the screen, data pixels; None when there is none."""
        return None if self.image is None else visible_box(self._viewer, self.image, view)

    def go_to(self, index: tuple[int | None, ...]) -> None:
        """Move the sliders to a plane of the image, named by its `PlaneIndex.index`."""
        if self.image is None:
            return
        dims, first = self._viewer.dims, self._viewer.dims.ndim - self.image.ndim
        others = [axis for axis, at in enumerate(index) if at is not None]
        # Of the axes on screen, any value will do: their sliders are not moved.
        place = np.array([0 if at is None else at for at in index], dtype=np.float64)
        world = LayerTransform.of(self._viewer, self.image).to_world(place)
        dims.set_point([first + axis for axis in others], [float(world[axis]) for axis in others])

    def _default_image(self) -> Image | None:
        """Find the image to work on where nobody says which: the active one, or else the uppermost."""
        active: Layer | None = self._viewer.layers.selection.active
        return active if isinstance(active, Image) else next(reversed(self.list_images()), None)

    def _use_image(self, image: Image | None) -> None:
        if image is self.image:
            return
        self._connections.release("image")
        # The person's way went through the other image.
        self.image, self.travel = image, None
        if image is not None:
            events: Any = image.events
            for name in PLACING:
                self._connections.connect("image", events[name], self._on_image_place)
            for name in ("contrast_limits", "gamma"):
                self._connections.connect("image", events[name], self._on_image_window)
            self._window = _window_of(image)
            self._connections.connect("image", events.data, self._on_image_data)
            self._connections.connect("image", events.set_data, self._on_image_set_data)
        self._find_plane()
        self._look = None if (source := self.plane_source()) is None else source.look
        self.image_changed.emit()

    def _find_plane(self) -> bool:
        """Find the view anew; tell whether it is another one."""
        before = self.view, self.problem
        self.view, self.problem = None, ""
        if self.image is not None:
            try:
                self.view = find_view(self._viewer, self.image)
            except ViewError as error:
                self.problem = str(error)
        self._note_travel(before[0])
        return (self.view, self.problem) != before

    def _note_travel(self, before: PlaneIndex | None) -> None:
        """Remember which way the person goes through the stack."""
        view = self.view
        # Other axes on screen, or another image, are no step through a stack.
        if before is None or view is None or before.axes != view.axes or len(before.index) != len(view.index):
            return
        steps = [
            (axis, (now or 0) - (was or 0))
            for axis, (was, now) in enumerate(zip(before.index, view.index, strict=True))
        ]
        moved = [(axis, 1 if step > 0 else -1) for axis, step in steps if step]
        if len(moved) == 1:  # a jump along two axes tells no way
            self.travel = moved[0]

    def _on_viewer_dims(self) -> None:
        # Sliders of other layers' axes move as well, and steps too small for another plane.
        if self._find_plane():
            self.view_changed.emit()

    def _on_viewer_active(self) -> None:
        active: Layer | None = self._viewer.layers.selection.active
        # A prompt or labels layer that becomes active is where the person works, not another image.
        if isinstance(active, Image) and not self._pinned:
            self._use_image(active)

    def _on_viewer_removed(self, layers: tuple[Layer, ...]) -> None:
        self.mix.forget(layers)
        if self.image is not None and self.image not in self._viewer.layers:
            # What the person chose is gone: the active layer counts again.
            self._pinned = False
            self._use_image(self._default_image())

    def _on_image_place(self) -> None:
        # First: layers that go along lie right before their plane is looked at.
        self.place_changed.emit()
        if self._find_plane():
            self.view_changed.emit()

    def _on_image_window(self) -> None:
        # napari tells of limits also when they stay what they are; each would encode the plane anew.
        if self.image is None or (window := _window_of(self.image)) == self._window:
            return
        self._window = window
        if self.mix.seen_with(self.image):
            return  # the mix tells of it
        self.pixels_changed.emit("plane" if self.follows_contrast else "window")

    def _on_mix_changed(self) -> None:
        source = self.plane_source()
        if source is not None and source.look != self._look:
            self._look = source.look
            # Sliders of colour and contrast send many changes, as those of one image do.
            self.pixels_changed.emit("window")

    @property
    def follows_contrast(self) -> bool:
        """Whether napari sets the contrast limits anew for every plane that is shown."""
        return bool(getattr(self.image, "auto_contrast", False))  # since napari 0.9

    def _on_image_data(self) -> None:
        self._version += 1
        # Either makes the session look again: once is enough.
        if self._find_plane():
            self.view_changed.emit()
        else:
            self.pixels_changed.emit("data")

    def _on_image_set_data(self) -> None:
        # Sent after every slicing, and also when a program changed pixels in place and refreshed the layer: the next
        # request reads the plane anew. Embeddings go by content, so nothing is computed twice.
        self._version += 1


def _window_of(image: Image) -> tuple[float, ...]:
    """Return what grey values are shown as."""
    return float(image.contrast_limits[0]), float(image.contrast_limits[1]), float(image.gamma)
