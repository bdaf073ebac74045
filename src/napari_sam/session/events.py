"""Hears what changes in the viewer, and has the components of a session read it anew.

What an event carries is not trusted: napari's indices are often -1, and one action of the person's sends several.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari.layers.base import ActionType

from napari_sam.session.connections import Connections
from napari_sam.session.viewing.placement import PLACING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Layer

    from napari_sam.session.components import Components
    from napari_sam.session.keys import KeyBindings
    from napari_sam.session.viewing.active_image import PixelChange

_BURST_S = 0.25
"""Seconds that contrast limits must rest, once they are let go of, before the plane is encoded anew."""
_SCROLL_S = 0.15
"""Seconds that a plane must stay on screen before it is encoded."""
_BEGINNINGS = frozenset({ActionType.ADDING, ActionType.CHANGING, ActionType.REMOVING})


class Listener:
    """Listens to the viewer, the active image and the layers in use.

    Parameters
    ----------
    components : Components
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
        components: Components,
        keys: KeyBindings,
        acted: Callable[[], None],
        changed: Callable[[], None],
        layers_changed: Callable[[], None],
    ) -> None:
        self._components = components
        self._keys = keys
        self._acted = acted
        self._changed = changed
        self._layers_changed = layers_changed
        self._connections = Connections()
        self._tied: dict[str, Layer | None] = {"points": None, "shapes": None, "target": None}
        self._deaf = False
        connect, active = self._connections.connect, components.active
        connect("viewer", active.viewer_events.listed, self._on_viewer_listed)
        connect("viewer", active.viewer_events.removed, self._on_viewer_removed)
        connect("viewer", active.viewer_events.active_changed, self._on_shown_changed)
        connect("viewer", components.viewer.dims.events.axis_labels, self._on_shown_changed)
        connect("active", active.image_changed, self._on_active_image)
        connect("active", active.view_changed, self._on_active_view)
        connect("active", active.pixels_changed, self._on_active_pixels)
        connect("active", active.place_changed, self._on_active_place)
        keys.bind(components.viewer)

    def release(self) -> None:
        """Stop listening, and unbind the keys."""
        self._deaf = True
        self._connections.release()
        self._keys.release()

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Take changes of layers for the session's own, not for the person's."""
        # May be nested: only the outermost lets the session hear again.
        before, self._deaf = self._deaf, True
        try:
            yield
        finally:
            self._deaf = before

    def tie(self) -> None:
        """Listen to the layers that are in use now, and to no others."""
        components = self._components
        image = components.active.image
        for group, layer in (("points", components.prompt_layers.points), ("shapes", components.prompt_layers.shapes)):
            before = self._tied[group]
            if self._tie(group, layer, (*PLACING, "data", "features"), self.on_prompts_changed):
                if before is not None:
                    self._keys.release(before)
                if layer is not None:
                    # They say which tool is in hand, and nothing about prompts.
                    for name in ("mode", "feature_defaults"):
                        self._connections.connect(group, layer.events[name], self._on_shown_changed)
                    self._keys.bind(layer)
        target = None if image is None else components.targets.chosen_layer(image)
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
        components, image = self._components, self._components.active.image
        if self._deaf or image is None or getattr(event, "action", None) in _BEGINNINGS:
            return
        with self.deaf():
            # Mending, marking and deleting change the layer again, and are not the person's doing.
            components.prompts.mend_points()
            if components.active.view is not None:
                components.prompts.note_new_points(components.active.view)
                components.prompts.delete_spent(image, components.active.view)
        if components.log.note_drawing(image):
            self._acted()
        components.live.read_prompts()
        self._changed()

    def look_again(self, delay: float = 0.0, *, drag: bool = False) -> None:
        """Ask anew, because the plane, its looks or the model changed."""
        self._acted()
        self._components.live.look_again(delay, drag=drag)
        self._changed()

    def _on_viewer_listed(self) -> None:
        self._layers_changed()

    def _on_viewer_removed(self, layers: tuple[Layer, ...]) -> None:
        components = self._components
        prompts = [layer for layer in layers if layer in components.prompt_layers]
        for layer in prompts:
            components.prompt_layers.forget_layer(layer)
        if components.preview.layer in layers:
            components.preview.forget_layer()
            components.live.show_again()
        if prompts:
            self.on_prompts_changed()
        if not self._deaf:  # else who removed them is in the middle of a change, and tells of its end
            self.tie()
            self._changed()

    def _on_shown_changed(self) -> None:
        # While napari adds or removes layers, it draws others anew; the end of that is told in any case.
        if not self._deaf and not self._components.active.viewer_events.is_busy:
            self._changed()

    def _on_active_image(self) -> None:
        components, image = self._components, self._components.active.image
        with self.deaf():
            components.live.forget_answers()
            components.preview.remove_layer()
            if image is None:
                components.prompt_layers.set_aside()
            else:
                components.prompt_layers.move_to_image(image)
                components.targets.restore_choices(image)
        self.tie()
        components.log.look()
        components.log.accepted = None
        self.look_again()
        self._layers_changed()

    def _on_active_view(self) -> None:
        self.look_again(_SCROLL_S)

    def _on_active_pixels(self, change: PixelChange) -> None:
        match change:
            case "data":
                self.look_again()
            case "plane":
                self.look_again(_SCROLL_S)
            case "window":
                # A drag of the contrast sends many; each would be a new picture to encode.
                self.look_again(_BURST_S, drag=True)

    def _on_active_place(self) -> None:
        components, image = self._components, self._components.active.image
        if image is None:
            return
        with self.deaf():
            components.prompt_layers.follow_image(image)
            components.preview.follow_image(image)
            components.targets.follow_image(image)
        self.on_prompts_changed()
