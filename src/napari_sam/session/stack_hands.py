"""The object in hand: which one runs and corrections go on with, for every image and every target."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from napari_sam.session.connections import Connections
from napari_sam.session.levels import full

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image, Labels

    from napari_sam.session.parts import Parts
    from napari_sam.session.stack_object import CarriedObject


class Hands:
    """Remembers objects, so that another image, or another label of the target, brings its own back.

    Parameters
    ----------
    parts : Parts
        The parts of the session; the ledger holds the object in hand.
    changed : callable
        Called when the person took another object in hand.
    """

    def __init__(self, parts: Parts, changed: Callable[[], None]) -> None:
        self._parts = parts
        self._changed = changed
        self._connections = Connections()
        self._image: weakref.ref[Image] | None = None
        self._last: weakref.WeakKeyDictionary[Image, CarriedObject | None] = weakref.WeakKeyDictionary()
        self._known: dict[Labels, dict[int, CarriedObject]] = {}
        self._target: Labels | None = None

    def release(self) -> None:
        """Stop listening."""
        self._connections.release()

    @property
    def hand(self) -> CarriedObject | None:
        """The object in hand; None where there is none, or it is in another layer than the target."""
        hand, image = self._parts.ledger.hand, self._parts.scene.image
        if hand is None or image is None or self._parts.targets.chosen(image) is not hand.layer:
            return None
        same = tuple(full(hand.layer).shape) == tuple(image.data.shape[: image.ndim])
        return hand if same else None

    def of(self, image: Image) -> CarriedObject | None:
        """Return the object in hand of an image, or the one that was laid aside with it."""
        return self._parts.ledger.hand if image is self._parts.scene.image else self._last.get(image)

    def give(self, image: Image, hand: CarriedObject) -> None:
        """Take an object of an image in hand, or lay it aside with an image that is not worked on now."""
        if image is self._parts.scene.image:
            self._parts.ledger.hand = hand
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
            layers = self._parts.viewer.layers
            self._known = {layer: known for layer, known in self._known.items() if layer in layers}
            self._connections.connect("target", hand.layer.events.selected_label, self._on_target_selected_label)

    def move_to(self, image: Image | None) -> bool:
        """Lay aside the object of the image before, and take up that of another; tell whether it is another image."""
        before = None if self._image is None else self._image()
        if before is image and image is not None:
            return False
        if before is not None:
            self._last[before] = self._parts.ledger.hand
        self._parts.ledger.hand = None if image is None else self._last.get(image)
        self._image = None if image is None else weakref.ref(image)
        return True

    def _on_target_selected_label(self) -> None:
        """Take the object in hand that the person picked in the target, if it is known."""
        layer = self._target
        known = {} if layer is None else self._known.get(layer, {})
        chosen = None if layer is None else known.get(int(layer.selected_label))
        if chosen is not None and self.hand is not chosen:
            self._parts.ledger.hand = chosen
            self._changed()
