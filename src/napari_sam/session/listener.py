"""Hears what changes in the viewer, and has the parts of a session read it anew.

What an event carries is not trusted: napari's indices are often -1, and one action of the person's sends several.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari.layers.base import ActionType

from napari_sam.session.connections import Connections
from napari_sam.session.layers import PLACING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Layer

    from napari_sam.session.keys import KeyBindings
    from napari_sam.session.parts import Parts
    from napari_sam.session.scene import PixelChange

_BURST_S = 0.25
"""Seconds that contrast limits must rest, once they are let go of, before the plane is encoded anew."""
_SCROLL_S = 0.15
"""Seconds that a plane must stay on screen before it is encoded."""
_BEGINNINGS = frozenset({ActionType.ADDING, ActionType.CHANGING, ActionType.REMOVING})


class Listener:
    """Listens to the viewer, the scene and the layers in use.

    Parameters
    ----------
    parts : Parts
        What reads and shows.
    keys : KeyBindings
        Bound on the layers in use.
    acted : callable
        Called after something changed that makes older notices void.
    changed : callable
        Called after anything that panels may show changed.
    layers_changed : callable
        Called after the layers of the viewer, or the image or target in use, changed.
    """

    def __init__(
        self,
        parts: Parts,
        keys: KeyBindings,
        acted: Callable[[], None],
        changed: Callable[[], None],
        layers_changed: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._keys = keys
        self._acted = acted
        self._changed = changed
        self._layers_changed = layers_changed
        self._connections = Connections()
        self._tied: dict[str, Layer | None] = {"points": None, "shapes": None, "target": None}
        self._deaf = False
        connect, scene = self._connections.connect, parts.scene
        connect("viewer", scene.viewer_events.listed, self._on_viewer_listed)
        connect("viewer", scene.viewer_events.removed, self._on_viewer_removed)
        connect("viewer", scene.viewer_events.active_changed, self._on_shown_changed)
        connect("viewer", parts.viewer.dims.events.axis_labels, self._on_shown_changed)
        connect("scene", scene.image_changed, self._on_scene_image)
        connect("scene", scene.view_changed, self._on_scene_view)
        connect("scene", scene.pixels_changed, self._on_scene_pixels)
        connect("scene", scene.place_changed, self._on_scene_place)
        keys.bind(parts.viewer)

    def release(self) -> None:
        """Stop listening, and unbind the keys."""
        self._deaf = True
        self._connections.release()
        self._keys.release()

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Take changes of layers for the session's own, not for the person's."""
        before, self._deaf = self._deaf, True
        try:
            yield
        finally:
            self._deaf = before

    def tie(self) -> None:
        """Listen to the layers that are in use now, and to no others."""
        parts = self._parts
        image = parts.scene.image
        for group, layer in (("points", parts.prompts.points), ("shapes", parts.prompts.shapes)):
            before = self._tied[group]
            if self._tie(group, layer, (*PLACING, "data", "features"), self.on_prompts_changed):
                if before is not None:
                    self._keys.release(before)
                if layer is not None:
                    for name in ("mode", "feature_defaults"):
                        self._connections.connect(group, layer.events[name], self._on_shown_changed)
                    self._keys.bind(layer)
        target = None if image is None else parts.targets.chosen(image)
        if self._tie("target", target, (*PLACING, "data", "labels_update", "set_data"), self._on_shown_changed):
            self._layers_changed()

    def _tie(self, group: str, layer: Layer | None, names: tuple[str, ...], slot: Callable[..., None]) -> bool:
        """Listen to one layer instead of the one before; tell whether it is another one."""
        if self._tied[group] is layer:
            return False
        self._connections.release(group)
        self._tied[group] = layer
        if layer is not None:
            for name in names:
                self._connections.connect(group, layer.events[name], slot)
        return True

    def on_prompts_changed(self, event: Any = None) -> None:
        """Read the prompts again, note what the person drew, and ask if they say something new.

        Parameters
        ----------
        event : napari event, optional
            One that says that a change begins is left alone: another one follows when a box is drawn to its end.
        """
        parts, image = self._parts, self._parts.scene.image
        if self._deaf or image is None or getattr(event, "action", None) in _BEGINNINGS:
            return
        with self.deaf():
            parts.prompts.tidy()
            if parts.scene.view is not None:
                parts.prompts.note(parts.scene.view)
                parts.prompts.drop_spent(image, parts.scene.view)
        if parts.ledger.note_drawing(image):
            self._acted()
        parts.dialogue.read()
        self._changed()

    def look_again(self, delay: float = 0.0, *, drag: bool = False) -> None:
        """Ask anew, because the plane, its looks or the model changed."""
        self._acted()
        self._parts.dialogue.look_again(delay, drag=drag)
        self._changed()

    def _on_viewer_listed(self) -> None:
        self._layers_changed()

    def _on_viewer_removed(self, layers: tuple[Layer, ...]) -> None:
        parts = self._parts
        prompts = [layer for layer in layers if layer in parts.prompts]
        for layer in prompts:
            parts.prompts.lose(layer)
        if parts.preview.layer in layers:
            parts.preview.lose()
            parts.dialogue.show_again()
        if prompts:
            self.on_prompts_changed()
        if not self._deaf:  # else who removed them is in the middle of a change, and tells of its end
            self.tie()
            self._changed()

    def _on_shown_changed(self) -> None:
        # While napari adds or removes layers, it draws others anew; the end of that is told in any case.
        if not self._deaf and not self._parts.scene.viewer_events.busy:
            self._changed()

    def _on_scene_image(self) -> None:
        parts, image = self._parts, self._parts.scene.image
        with self.deaf():
            parts.dialogue.forget()
            parts.preview.remove()
            if image is None:
                parts.prompts.put_by()
            else:
                parts.prompts.move_to(image)
                parts.targets.expect(image)
        self.tie()
        parts.ledger.look()
        parts.ledger.accepted = None
        self.look_again()
        self._layers_changed()

    def _on_scene_view(self) -> None:
        self.look_again(_SCROLL_S)

    def _on_scene_pixels(self, change: PixelChange) -> None:
        match change:
            case "data":
                self.look_again()
            case "plane":
                self.look_again(_SCROLL_S)
            case "window":
                self.look_again(_BURST_S, drag=True)

    def _on_scene_place(self) -> None:
        parts, image = self._parts, self._parts.scene.image
        if image is None:
            return
        with self.deaf():
            parts.prompts.follow(image)
            parts.preview.follow(image)
            parts.targets.follow(image)
        self.on_prompts_changed()
