"""The current object: which one runs and corrections go on with, for every image and every target."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam.session.labels.pixels import full_resolution
from napari_sam.session.viewing.connections import Connections

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.objects.tracked import TrackedObject
    from napari_sam.session.viewing.active_image import ActiveImage


class CurrentObject:
    """The object that was accepted or carried last, or that the person picked. It is kept here and nowhere else.

    Another image, or another label of the target, brings its own back.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are.
    active : ActiveImage
        Which image is worked on.
    targets : TargetLayers
        Which layer its objects are in.
    """

    changed = Signal()
    """The person picked another one."""

    def __init__(self, viewer: ViewerModel, active: ActiveImage, targets: TargetLayers) -> None:
        self._viewer = viewer
        self._active = active
        self._targets = targets
        self._connections = Connections()
        self._by_image: weakref.WeakKeyDictionary[Image, TrackedObject] = weakref.WeakKeyDictionary()
        self._known: dict[Labels, dict[int, TrackedObject]] = {}
        self._layer: Labels | None = None
        self.version = 0
        """Another number whenever the pixels of the target may have changed: what was read of them is old then."""

    def release(self) -> None:
        """Stop listening."""
        self._connections.release()

    @property
    def tracked(self) -> TrackedObject | None:
        """The object; None where there is none, or it is in another layer than the target."""
        image = self._active.image
        current = None if image is None else self.of(image)
        if current is None or image is None or self._targets.chosen_layer(image) is not current.layer:
            return None
        # Data of another shape may have been put into the layer: its planes are not the object's.
        same = tuple(full_resolution(current.layer).shape) == tuple(image.data.shape[: image.ndim])
        return current if same else None

    def of(self, image: Image) -> TrackedObject | None:
        """Return the current object of an image, whether that is worked on now or not, in whatever layer."""
        return self._by_image.get(image)

    def known(self, layer: Labels, label: int) -> TrackedObject | None:
        """Return an object of a layer as this session wrote it last; None where it did not."""
        return self._known.get(layer, {}).get(label)

    def set(self, image: Image, current: TrackedObject | None) -> None:
        """Let an object be the current one of an image."""
        if current is None:
            self._by_image.pop(image, None)
        else:
            self._by_image[image] = current
        self.connect_layer()

    def replace(self, image: Image, before: TrackedObject | None, after: TrackedObject | None) -> None:
        """Let a newer state of an object be the current one, unless the person has picked another object since."""
        # By identity: every state of an object is a value of its own.
        if self.of(image) is before:
            self.set(image, after)

    def connect_layer(self) -> None:
        """Remember the object, and listen for the choice of another one in its layer."""
        current = self.tracked
        if current is None:
            return
        self._known.setdefault(current.layer, {})[current.label] = current
        if current.layer is not self._layer:
            self._connections.release()
            self._layer = current.layer
            # Layers that left the viewer are let go.
            self._known = {layer: known for layer, known in self._known.items() if layer in self._viewer.layers}
            self._connections.connect("layer", current.layer.events.selected_label, self._on_layer_selected_label)

    def note_pixels(self) -> None:
        """Note that the pixels of the target may have changed."""
        self.version += 1

    def _on_layer_selected_label(self) -> None:
        """Take the object that the person picked in the target, if it is known."""
        layer, image = self._layer, self._active.image
        known = {} if layer is None else self._known.get(layer, {})
        picked = None if layer is None else known.get(int(layer.selected_label))
        if image is not None and picked is not None and self.tracked is not picked:
            self.set(image, picked)
            self.changed.emit()
