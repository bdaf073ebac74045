"""Brush and eraser on the preview: napari's own tools, on the layer that shows the candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sam.session.viewing.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_sam.session.candidates.preview import CandidatePreview
    from napari_sam.session.prompts.prompt_layers import PromptLayers
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.viewing.active_image import ActiveImage
    from napari_sam.session.viewing.connections import Mute


class PreviewBrush:
    """Opens the preview for strokes while the brush is in hand, and tells of each.

    What is painted is taken out of the layer at the end of each stroke, and kept with the prompts: the layer only
    shows. An answer that arrives in the middle of a stroke is drawn after it.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers they are.
    active, layers, preview
        What is looked at, the prompt layers, and what is painted on.
    settings : SessionSettings
        Where the size of the brush is kept.
    mute : Mute
        Tells whether the session itself changes layers: it may select others on the way.
    """

    stroked = Signal()
    """A stroke may have ended."""
    changed = Signal()
    """The layer may be painted in, or no more, or another tool is selected in it."""

    def __init__(
        self,
        viewer: ViewerModel,
        active: ActiveImage,
        layers: PromptLayers,
        preview: CandidatePreview,
        settings: SessionSettings,
        mute: Mute,
    ) -> None:
        self._viewer = viewer
        self._active = active
        self._layers = layers
        self._preview = preview
        self._settings = settings
        self._mute = mute
        self._open: Labels | None = None
        self._connections = Connections()
        # One object each for good: a bound method is another one each time, and could not be taken out of the list.
        self._press, self._drag = self._on_layer_mouse_press, self._on_layer_mouse_drag
        self._connections.connect("viewer", active.viewer_events.active_changed, self._on_viewer_active)

    @property
    def layer(self) -> Labels | None:
        """The layer, while it may be painted in."""
        return self._preview.layer if self._preview.takes_strokes else None

    def open(self, image: Image) -> Labels | None:
        """Let the person paint on the plane on screen, once the layer is selected; None where there is no plane."""
        view = self._active.view
        if view is None:
            return None
        layer = self._preview.need_layer(image, view, self._layers.present)
        self._preview.open_for_strokes(image, self._active.visible_corners(view))
        if layer is not self._open:
            self._disconnect()
            self._open = layer
            layer.selected_label = 1
            layer.brush_size = self._settings.brush_size
            connect = self._connections.connect
            connect("layer", layer.events.paint, self._on_layer_paint)
            connect("layer", layer.events.labels_update, self._on_layer_labels_update)
            connect("layer", layer.events.brush_size, self._on_layer_brush_size)
            connect("layer", layer.events.mode, self._on_layer_mode)
            self._order_callbacks()
        return layer

    def follow(self, image: Image) -> None:
        """Go along to another plane with the brush in hand."""
        layer = self.layer
        if layer is None or self._viewer.layers.selection.active is not layer:
            return
        mode = str(layer.mode)
        if (now := self.open(image)) is not None and now is not layer:
            # Planes along other axes have a layer of their own.
            self._viewer.layers.selection.active = now
            now.mode = mode
            self.changed.emit()

    def close_if_left(self) -> None:
        """Let nobody paint any more, if another layer is selected now."""
        active = self._viewer.layers.selection.active
        # None is told on the way from one layer to the next, and takes no strokes either.
        if self._open is not None and active is not None and active is not self._open:
            self._disconnect()
            self._preview.lock()
            self.changed.emit()

    def release(self) -> None:
        """Stop listening."""
        self._disconnect()
        self._connections.release()

    def _disconnect(self) -> None:
        layer, self._open = self._open, None
        self._connections.release("layer")
        for callback in (self._press, self._drag):
            if layer is not None and callback in layer.mouse_drag_callbacks:
                layer.mouse_drag_callbacks.remove(callback)

    def _order_callbacks(self) -> None:
        """Be asked before napari paints, so that there is room for it, and after it painted."""
        if self._open is None:
            return
        callbacks = self._open.mouse_drag_callbacks
        for callback in (self._press, self._drag):
            if callback in callbacks:
                callbacks.remove(callback)
        callbacks.insert(0, self._press)
        callbacks.append(self._drag)

    def _on_viewer_active(self) -> None:
        if not self._mute.active:
            self.close_if_left()

    def _on_layer_mode(self) -> None:
        self._order_callbacks()  # napari puts those of another mode at the end
        self.changed.emit()

    def _on_layer_brush_size(self) -> None:
        if self._open is not None:
            self._settings.brush_size = max(1, int(self._open.brush_size))

    def _on_layer_paint(self) -> None:
        # At the end of a drag. Also told of what the session draws: then there is no difference to what it shows.
        self.stroked.emit()

    def _on_layer_labels_update(self) -> None:
        # What is painted without a drag, such as a polygon, is told of before it is there; and then by this event.
        if not self._preview.is_held:
            self.stroked.emit()

    def _on_layer_mouse_press(self, _layer: Any, _event: Any) -> None:
        image, view = self._active.image, self._active.view
        if image is not None and view is not None and self.layer is not None:
            # The person may have moved the view since.
            self._preview.open_for_strokes(image, self._active.visible_corners(view))
            self._preview.hold_stroke()

    def _on_layer_mouse_drag(self, _layer: Any, event: Any) -> Iterator[None]:
        yield
        while event.type == "mouse_move":
            yield
        # A stroke that changed nothing is told by no event.
        self._preview.release_stroke()
