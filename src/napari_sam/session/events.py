"""Hears what changes in the viewer, and has the components of a session read it anew.

What an event carries is not trusted: napari's indices are often -1, and one action of the person's sends several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers.base import ActionType
from psygnal import Signal

from napari_sam.session.viewing.connections import Connections
from napari_sam.session.viewing.placement import PLACING

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer

    from napari_sam.inference.worker import Worker
    from napari_sam.session.commands import CommandContext
    from napari_sam.session.components import Components
    from napari_sam.session.keys.bindings import KeyBindings
    from napari_sam.session.snapshot import StatePublisher
    from napari_sam.session.state import Status
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
    """

    acted = Signal()
    """Something changed that makes older notices void."""
    placed = Signal()
    """What the person has just drawn says where an object is, on a plane where nothing said so before."""
    changed = Signal()
    """Something that panels may show changed."""
    layers_changed = Signal()
    """The layers of the viewer, or the image or target in use, changed."""

    def __init__(self, components: Components, keys: KeyBindings) -> None:
        self._components = components
        self._keys = keys
        self._connections = Connections()
        self._layers: dict[str, Layer | None] = {
            "points": None,
            "shapes": None,
            "proposals": None,
            "marks": None,
            "target": None,
            "brush layer": None,
        }
        connect, active = self._connections.connect, components.active
        connect("viewer", active.viewer_events.listed, self._on_viewer_listed)
        connect("viewer", active.viewer_events.removed, self._on_viewer_removed)
        connect("viewer", active.viewer_events.active_changed, self._on_shown_changed)
        # The status and the Stack section speak of axes by their labels.
        connect("viewer", components.viewer.dims.events.axis_labels, self._on_shown_changed)
        connect("active", active.image_changed, self._on_active_image)
        connect("active", active.view_changed, self._on_active_view)
        connect("active", active.pixels_changed, self._on_active_pixels)
        connect("active", active.place_changed, self._on_active_place)
        connect("brush", components.brush.stroked, self._on_brush_stroked)
        connect("brush", components.brush.changed, self._on_brush_changed)
        keys.bind(components.viewer)

    def release(self) -> None:
        """Stop listening, and unbind the keys."""
        self._components.mute.active = True  # for good: nothing is the person's doing any more
        self._connections.release()
        self._keys.release()

    def connect_layers(self) -> None:
        """Listen to the layers that are in use now, and to no others."""
        components = self._components
        components.brush.close_if_left()
        image = components.active.image
        for group, layer in (("points", components.prompt_layers.points), ("shapes", components.prompt_layers.shapes)):
            before = self._layers[group]
            if self._connect_layer(group, layer, (*PLACING, "data", "features"), self.on_prompts_changed):
                if before is not None:
                    self._keys.release(before)
                if layer is not None:
                    # They say which tool is selected, and nothing about prompts.
                    for name in ("mode", "feature_defaults"):
                        self._connections.connect(group, layer.events[name], self._on_shown_changed)
                    self._keys.bind(layer)
        for group, layer in (("proposals", components.everything.layer), ("marks", components.editing.layer)):
            before = self._layers[group]
            if self._connect_layer(group, layer, (), self._on_shown_changed):
                if before is not None:
                    self._keys.release(before)
                if layer is not None:
                    self._keys.bind(layer)
        before, brush = self._layers["brush layer"], components.brush.layer
        if self._connect_layer("brush layer", brush, (), self._on_shown_changed):
            if before is not None:
                self._keys.release(before)
            if brush is not None:
                # Undo and redo among them: napari's own history of a layer that only shows would bring back no prompt.
                self._keys.bind(brush, own=True)
        target = None if image is None else components.targets.chosen_layer(image)
        if self._connect_layer("target", target, PLACING, self._on_shown_changed):
            if target is not None:
                for name in ("data", "labels_update", "paint", "set_data"):
                    self._connections.connect("target", target.events[name], self._on_target_pixels)
            components.current.note_pixels()  # nobody heard of what happened to them meanwhile
            self.layers_changed.emit()
        components.current.connect_layer()
        components.table.connect_layer()
        components.painting.connect_layer()

    def _connect_layer(
        self, group: str, layer: Layer | None, names: tuple[str, ...], slot: Callable[..., None]
    ) -> bool:
        """Listen to one layer instead of the one before; tell whether it is another one."""
        if self._layers[group] is layer:
            return False
        self._connections.release(group)
        self._layers[group] = layer
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
        if self._components.mute.active or image is None or getattr(event, "action", None) in _BEGINNINGS:
            return
        with self._components.mute():
            # Mending, marking and deleting change the layer again, and are not the person's doing.
            components.prompts.mend_layers()
            if getattr(event, "action", None) == ActionType.ADDED:
                components.prompts.deselect_drawn()
            if components.active.view is not None:
                components.prompts.note_new_points(components.active.view)
                components.prompts.delete_spent(image, components.active.view)
        # By what is drawn, not by the event: one action of the person's sends several.
        drew, known = components.log.note_drawing(image), components.live.reading.prompts.is_placed
        if drew:
            self.acted.emit()
        components.live.read_prompts()
        # Without an event, layers come or go, and the prompts in them: nobody draws those now.
        if drew and event is not None and not known and components.live.reading.prompts.is_placed:
            self.placed.emit()
        self.changed.emit()

    def _on_brush_stroked(self) -> None:
        components, image, view = self._components, self._components.active.image, self._components.active.view
        if components.mute.active or image is None or view is None:
            return
        # In a batch, nothing is painted: what another program does to the layer is drawn over.
        stroke = components.preview.take_stroke()
        if stroke is None:
            return
        components.prompts.painting.add(view, stroke)
        components.log.note_drawing(image)
        self.acted.emit()
        components.live.read_prompts()
        # A stroke says where an object is; but it is seldom the last one, and turbo does not write it.
        self.changed.emit()

    def _on_brush_changed(self) -> None:
        self.connect_layers()
        self._on_shown_changed()

    def look_again(self, delay: float = 0.0, *, drag: bool = False) -> None:
        """Ask anew, because the plane, its looks or the model changed."""
        # First: an older notice would hide what the status says next.
        self.acted.emit()
        self._components.live.look_again(delay, drag=drag)
        self.changed.emit()

    def _on_viewer_listed(self) -> None:
        self.layers_changed.emit()

    def _on_viewer_removed(self, layers: tuple[Layer, ...]) -> None:
        components = self._components
        prompts = [layer for layer in layers if layer in components.prompt_layers]
        # Before anything is read: what is gone must not be taken for the layer in use.
        for layer in prompts:
            components.prompt_layers.forget_layer(layer)
        if components.preview.layer in layers:
            components.preview.forget_layer()
            components.live.show_again()
        if prompts:
            self.on_prompts_changed()
        if not self._components.mute.active:  # else who removed them is in the middle of a change, and tells of its end
            self.connect_layers()
            self.changed.emit()

    def _on_shown_changed(self) -> None:
        # While napari adds or removes layers, it draws others anew; the end of that is told in any case.
        if not self._components.mute.active and not self._components.active.viewer_events.is_busy:
            self.changed.emit()

    def _on_target_pixels(self) -> None:
        # Those that the session writes itself count as well: what was read of them is old.
        self._components.current.note_pixels()
        self._on_shown_changed()

    def _on_active_image(self) -> None:
        components, image = self._components, self._components.active.image
        with self._components.mute():
            components.live.forget_answers()
            components.prompts.painting.turn_to(image)
            painting = components.tools.current_tool if components.tools.paints else None
            # It lies on the image before; the next mask makes another.
            components.preview.remove_layer()
            if image is None:
                components.prompt_layers.set_aside()
            else:
                components.prompt_layers.move_to_image(image)
                components.targets.restore_choices(image)
                if painting is not None:
                    components.tools.select_tool(painting, image)
        self.connect_layers()
        # Prompts that went along to the image are nothing that the person drew there.
        components.log.remember_drawing()
        components.log.accepted = None
        self.look_again()
        self.layers_changed.emit()

    def _on_active_view(self) -> None:
        if (image := self._components.active.image) is not None:
            with self._components.mute():
                self._components.brush.follow(image)
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
        with self._components.mute():
            components.prompt_layers.follow_image(image)
            components.preview.follow_image(image)
            # Only where the session made the layer: the person's own stay where they are.
            components.targets.follow_image(image)
        # Prompts in a layer of the person's, which stays, lie on other pixels now.
        self.on_prompts_changed()


class Reactions:
    """What follows from what happens without a command: answers, ends of runs, and other choices.

    Parameters
    ----------
    components : Components
        What tells.
    listener : Listener
        What tells of the viewer.
    context : CommandContext
        What gives prompts back.
    publisher : StatePublisher
        What tells the panels.
    worker : Worker
        Runs what has to wait until napari is at rest.
    """

    def __init__(
        self,
        components: Components,
        listener: Listener,
        context: CommandContext,
        publisher: StatePublisher,
        worker: Worker,
    ) -> None:
        self._components = components
        self._listener = listener
        self._context = context
        self._publisher = publisher
        self._worker = worker
        self._connections = Connections()
        connect, settings = self._connections.connect, components.settings.events
        connect("listener", listener.acted, self._on_listener_acted)
        connect("listener", listener.changed, self._on_listener_changed)
        connect("components", components.live.changed, self._on_live_changed)
        connect("components", components.targets.counted, self._on_live_changed)
        connect("components", components.accepts.settled, self._on_accepts_settled)
        connect("components", components.current.changed, publisher.publish)
        connect("components", components.propagation.changed, publisher.publish)
        connect("components", components.table.changed, publisher.publish)
        connect("components", components.propagation.notified, self._on_run_notified)
        connect("components", components.everything.changed, self._on_everything_changed)
        connect("components", components.everything.notified, self._on_run_notified)
        connect("components", components.editing.changed, publisher.publish)
        connect("components", components.series.changed, publisher.publish)
        connect("components", components.series.notified, self._on_run_notified)
        connect("components", components.image_advisor.changed, publisher.publish)
        connect("components", components.image_advisor.notified, self._on_run_notified)
        connect("listener", listener.layers_changed, components.series.note_target)
        connect("components", components.operations.notified, self._on_run_notified)
        connect("components", components.recovery.changed, self._on_recovery_changed)
        connect("components", components.recovery.notified, self._on_run_notified)
        for signal in (settings.model, settings.device, settings.region):
            connect("settings", signal, self._on_settings_model)
        for signal in (settings.only_empty, settings.write_policy, settings.protected_ids):
            connect("settings", signal, self._on_settings_policy)
        connect("settings", settings.shaping, self._on_settings_shaping)
        connect("settings", settings.hover, publisher.publish)
        connect("settings", settings.level, self._on_settings_level)
        connect("settings", settings.tempo, self._on_settings_tempo)

    def release(self) -> None:
        """Stop reacting."""
        self._connections.release()

    def _on_listener_acted(self) -> None:
        self._components.hover.hide()
        self._publisher.notice = None

    def _on_listener_changed(self) -> None:
        if self._components.accepts.unwritten:
            # Later, because napari is in the middle of a change of the layers that are to be drawn in.
            self._worker.submit("unwritten", lambda _progress: None, lambda _nothing: self._on_room_made())
        self._publisher.publish()

    def _on_room_made(self) -> None:
        self._context.give_back()
        self._publisher.publish()

    def _on_live_changed(self) -> None:
        self._components.prefetch.start_when_idle()
        self._components.hover.follow()
        self._publisher.publish()

    def _on_accepts_settled(self, notice: Status | None) -> None:
        # An older notice stays true where there is nothing new to say.
        self._publisher.notice = notice or self._publisher.notice
        self._listener.connect_layers()  # writing may have made the target
        self._on_live_changed()

    def _on_run_notified(self, notice: Status) -> None:
        self._publisher.notice = notice
        self._listener.connect_layers()  # what was found may have a layer now
        self._publisher.publish()

    def _on_everything_changed(self) -> None:
        self._listener.connect_layers()
        self._publisher.publish()

    def _on_recovery_changed(self) -> None:
        # Layers also come and go in the middle of the change to another image, the end of which is told.
        if not self._components.mute.active:
            self._publisher.publish()

    def _on_settings_model(self) -> None:
        self._listener.look_again()

    def _on_settings_level(self) -> None:
        self._components.live.show_level()
        self._publisher.publish()

    def _on_settings_shaping(self) -> None:
        # The same prompts again, on the same plane: what was answered so far stays.
        self._components.live.read_prompts()
        self._components.everything.shaper.follow()
        self._publisher.publish()

    def _on_settings_tempo(self) -> None:
        # Where each box is an object, none takes the place of another.
        self._components.prompts.one_box = self._components.settings.tempo != "batch"
        image = self._components.active.image
        if image is not None and self._components.settings.tempo == "batch":
            with self._components.mute():
                self._components.tools.leave_brush(image)
        # Prompts of a batch are not asked for one by one; those of one object are.
        self._components.live.read_prompts()
        self._publisher.publish()

    def _on_settings_policy(self) -> None:
        # Another image brings its own back in the middle of the change to it, the end of which is told.
        if not self._components.mute.active:
            self._publisher.publish()
