"""The object in hand: which one runs and corrections go on with, for every image and every target."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from napari_sam.session.connections import Connections
from napari_sam.session.labels.pixels import full_resolution

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image, Labels

    from napari_sam.session.components import Components
    from napari_sam.session.objects.tracked import TrackedObject


class CurrentObjects:
    """Remembers objects, so that another image, or another label of the target, brings its own back.

    Parameters
    ----------
    components : Components
        The components of the session; the ledger holds the object in hand.
    changed : callable
        Called when the person took another object in hand.
    """

    def __init__(self, components: Components, changed: Callable[[], None]) -> None:
        self._components = components
        self._changed = changed
        self._connections = Connections()
        self._image: weakref.ref[Image] | None = None
        self._last: weakref.WeakKeyDictionary[Image, TrackedObject | None] = weakref.WeakKeyDictionary()
        self._known: dict[Labels, dict[int, TrackedObject]] = {}
        self._target: Labels | None = None

    def release(self) -> None:
        """Stop listening."""
        self._connections.release()

    @property
    def hand(self) -> TrackedObject | None:
        """The object in hand; None where there is none, or it is in another layer than the target."""
        hand, image = self._components.log.hand, self._components.active.image
        if hand is None or image is None or self._components.targets.chosen_layer(image) is not hand.layer:
            return None
        same = tuple(full_resolution(hand.layer).shape) == tuple(image.data.shape[: image.ndim])
        return hand if same else None

    def of(self, image: Image) -> TrackedObject | None:
        """Return the object in hand of an image, or the one that was laid aside with it."""
        return self._components.log.hand if image is self._components.active.image else self._last.get(image)

    def give(self, image: Image, hand: TrackedObject) -> None:
        """Take an object of an image in hand, or lay it aside with an image that is not worked on now."""
        if image is self._components.active.image:
            self._components.log.hand = hand
        else:
            self._last[image] = hand

    def look(self) -> None:
        """Take note of the object in hand, and listen for the choice of another one in its layer."""
        hand = self.hand
        if hand is None:
            return
        self._known.setdefault(hand.layer, {})[hand.label] = hand
        if hand.layer is not self._target:
            self._connections.release()
            self._target = hand.layer
            layers = self._components.viewer.layers
            self._known = {layer: known for layer, known in self._known.items() if layer in layers}
            self._connections.connect("target", hand.layer.events.selected_label, self._on_target_selected_label)

    def move_to(self, image: Image | None) -> bool:
        """Lay aside the object of the image before, and take up that of another; tell whether it is another image."""
        before = None if self._image is None else self._image()
        if before is image and image is not None:
            return False
        if before is not None:
            self._last[before] = self._components.log.hand
        self._components.log.hand = None if image is None else self._last.get(image)
        self._image = None if image is None else weakref.ref(image)
        return True

    def _on_target_selected_label(self) -> None:
        """Take the object in hand that the person picked in the target, if it is known."""
        layer = self._target
        known = {} if layer is None else self._known.get(layer, {})
        chosen = None if layer is None else known.get(int(layer.selected_label))
        if chosen is not None and self.hand is not chosen:
            self._components.log.hand = chosen
            self._changed()
