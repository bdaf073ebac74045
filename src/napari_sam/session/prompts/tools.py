"""Which tool is selected: a prompt layer that is active, its mode, and the polarity of the next click."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.session.prompts.style import current_polarity, set_current_polarity

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_sam.session.prompts.prompt_layers import PromptLayers
    from napari_sam.session.state import Tool

_BOX_MODES = frozenset({"add_rectangle", "add_ellipse", "add_polygon", "add_polygon_lasso"})


class PromptTools:
    """Selects the tools, and what was selected before them again.

    Parameters
    ----------
    viewer : ViewerModel
        Whose selection of layers it is.
    layers : PromptLayers
        The layers of the tools.
    """

    def __init__(self, viewer: ViewerModel, layers: PromptLayers) -> None:
        self._viewer = viewer
        self._layers = layers
        self._before: tuple[set[Layer], Layer | None] | None = None
        self._lent: Layer | None = None
        self._boxes = False  # whether the tool taken last draws boxes

    @property
    def current_tool(self) -> Tool | None:
        """What a click does now; None when it is napari's own business."""
        active, points, shapes = self._viewer.layers.selection.active, self._layers.points, self._layers.shapes
        if active is None:
            return None
        if active is points and str(points.mode) == "add":
            return "positive" if current_polarity(points) else "negative"
        if active is shapes and str(shapes.mode) in _BOX_MODES:
            return "box"
        return None

    def select_tool(self, tool: Tool, image: Image) -> None:
        """Select the layer of a tool, in the mode that it needs."""
        selection = self._viewer.layers.selection
        self._remember_selection()
        self._boxes = tool == "box"
        if self._boxes:
            layer, mode = self._layers.need_shapes(image), "add_rectangle"
            layer.selected_data = set()
        else:
            layer, mode = self._layers.need_points(image), "add"
            set_current_polarity(layer, tool == "positive")
        selection.active = layer
        # Nobody is to click into a layer that is not seen.
        layer.visible = True
        layer.mode = mode

    def select_other(self, layer: Layer) -> None:
        """Select a layer that takes clicks for something else than prompts; `select_tool` ends that."""
        self._remember_selection()
        self._lent = layer
        self._viewer.layers.selection.active = layer
        layer.visible = True

    def _remember_selection(self) -> None:
        selection = self._viewer.layers.selection
        # From one tool to the next, what was selected before the first stays remembered.
        if not self._is_own(selection.active):
            self._before = set(selection), selection.active

    def _is_own(self, layer: Layer | None) -> bool:
        """Whether it is a layer of a tool."""
        return layer in self._layers or (layer is not None and layer is self._lent)

    def resume_tool(self, image: Image) -> None:
        """Take the kind of tool that was taken last, unless the person works with a tool of napari's."""
        active = self._viewer.layers.selection.active
        # Any other mode is a tool that the person chose, such as the brush of a labels layer.
        if active is None or str(active.mode) == "pan_zoom":
            self.select_tool(self.last_tool, image)

    @property
    def last_tool(self) -> Tool:
        """The kind of tool that was taken last."""
        return "box" if self._boxes else "positive"

    def toggle_polarity(self, image: Image) -> None:
        """Turn the next click from object to background or back; from any other tool, to background."""
        points = self._layers.points
        self.select_tool("positive" if points is not None and not current_polarity(points) else "negative", image)

    def start_object(self) -> None:
        """Make the next click positive: it begins another object."""
        if self._layers.points is not None:
            set_current_polarity(self._layers.points, True)

    def restore_selection(self) -> None:
        """Select what was selected before, unless the person has selected something else since."""
        layers, before = self._viewer.layers, self._before
        self._before = None
        if before is None or not self._is_own(layers.selection.active):
            return
        layers.selection = {layer for layer in before[0] if layer in layers}
        # Of several selected layers none is active by itself.
        if before[1] is not None and before[1] in layers:
            layers.selection.active = before[1]
