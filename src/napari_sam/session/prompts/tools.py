"""Which tool is selected: a prompt layer that is active, its mode, and the polarity of the next click or stroke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from napari_sam.session.prompts.style import current_polarity, set_current_polarity, set_shape_polarity

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer

    from napari_sam.session.prompts.prompt_layers import PromptLayers
    from napari_sam.session.state import Tool

_MODES: dict[Tool, str] = {"box": "add_rectangle", "scribble": "add_path", "lasso": "add_polygon_lasso"}
"""Modes of the Shapes layer that tools select; paths and lassos are drawn by dragging there."""
_MEANINGS: dict[str, Tool] = {
    "add_rectangle": "box",
    "add_path": "scribble",
    "add_polyline": "scribble",
    "add_line": "scribble",
    "add_polygon_lasso": "lasso",
    "add_polygon": "lasso",
    "add_ellipse": "lasso",
}
"""What is drawn in the modes of the Shapes layer, those that the person selects in napari included."""
_PAINTING: dict[Tool, str] = {"brush": "paint", "eraser": "erase"}
"""Modes of the Labels layer that shows the candidate, by tools."""
_STROKES = frozenset({"scribble", "lasso"})
"""Tools that draw for the object, or for the background."""


class PaintedLayer(Protocol):
    """The layer that shows the candidate, to paint in."""

    @property
    def layer(self) -> Labels | None:
        """The layer, while it may be painted in."""

    def open(self, image: Image) -> Labels | None:
        """Let the person paint in it; None where there is no plane."""


class PromptTools:
    """Selects the tools, and what was selected before them again.

    Parameters
    ----------
    viewer : ViewerModel
        Whose selection of layers it is.
    layers : PromptLayers
        The layers of the tools.
    painted : PaintedLayer
        That of brush and eraser.
    """

    def __init__(self, viewer: ViewerModel, layers: PromptLayers, painted: PaintedLayer) -> None:
        self._viewer = viewer
        self._layers = layers
        self._painted = painted
        self._before_brush: Tool | None = None
        self._before: tuple[set[Layer], Layer | None] | None = None
        self._lent: Layer | None = None
        self._last: Tool = "positive"

    @property
    def current_tool(self) -> Tool | None:
        """What a click does now; None when it is napari's own business."""
        active, points, shapes = self._viewer.layers.selection.active, self._layers.points, self._layers.shapes
        if active is None:
            return None
        if active is points and str(points.mode) == "add":
            return "positive" if current_polarity(points) else "negative"
        if (painted := self._painted.layer) is not None and active is painted:
            return next((tool for tool, mode in _PAINTING.items() if mode == str(painted.mode)), None)
        return _MEANINGS.get(str(shapes.mode)) if active is shapes else None

    @property
    def is_positive(self) -> bool:
        """Whether the next click or stroke says what belongs to the object; a box always does."""
        points, shapes = self._layers.points, self._layers.shapes
        if self.paints:
            return self.current_tool == "brush"
        # While boxes are drawn, the points keep the polarity of the other tools.
        layer = shapes if self.current_tool in _STROKES or points is None else points
        return layer is None or current_polarity(layer)

    @property
    def paints(self) -> bool:
        """Whether the brush or the eraser is selected."""
        return self.current_tool in _PAINTING

    def select_tool(self, tool: Tool, image: Image) -> None:
        """Select the layer of a tool, in the mode that it needs."""
        if tool in _PAINTING:
            self._select_brush(tool, image)
            return
        selection = self._viewer.layers.selection
        self._remember_selection()
        self._last = tool if tool in _MODES else "positive"
        if tool in _MODES:
            # Read before the tool is another one.
            positive = self.is_positive
            layer, mode = self._layers.need_shapes(image), _MODES[tool]
            set_shape_polarity(layer, positive or tool == "box", boxes=tool == "box")
        else:
            layer, mode = self._layers.need_points(image), "add"
            self._set_polarity(tool == "positive")
        selection.active = layer
        # Nobody is to click into a layer that is not seen.
        layer.visible = True
        layer.mode = mode

    def _select_brush(self, tool: Tool, image: Image) -> None:
        before = self.current_tool
        self._remember_selection()
        layer = self._painted.open(image)
        if layer is None:
            return
        if before not in _PAINTING:
            self._before_brush = before
        self._viewer.layers.selection.active = layer
        layer.visible = True
        layer.mode = _PAINTING[tool]

    def leave_brush(self, image: Image) -> bool:
        """Put the brush or the eraser down, and take what was in hand before; tell whether there was any."""
        if not self.paints:
            return False
        if self._before_brush is not None:
            self.select_tool(self._before_brush, image)
        else:
            self.restore_selection()
        return True

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
        return layer in self._layers or (layer is not None and (layer is self._lent or layer is self._painted.layer))

    def resume_tool(self, image: Image) -> None:
        """Take the kind of tool that was taken last, unless the person works with a tool of napari's."""
        active = self._viewer.layers.selection.active
        # Any other mode is a tool that the person chose, such as the brush of a labels layer.
        if active is None or str(active.mode) == "pan_zoom":
            self.select_tool(self.last_tool, image)

    @property
    def last_tool(self) -> Tool:
        """The kind of tool that was taken last."""
        return self._last

    def toggle_polarity(self, image: Image) -> None:
        """Turn the next click or stroke from object to background or back; from the box, to background clicks."""
        if self.paints:
            self.select_tool("eraser" if self.is_positive else "brush", image)
            return
        if self.current_tool in _STROKES:
            self._set_polarity(not self.is_positive)
            return
        points = self._layers.points
        self.select_tool("positive" if points is not None and not current_polarity(points) else "negative", image)

    def start_object(self) -> None:
        """Make the next click or stroke positive: it begins another object."""
        if self.paints and (layer := self._painted.layer) is not None:
            layer.mode = _PAINTING["brush"]
        self._set_polarity(True)

    def _set_polarity(self, positive: bool) -> None:
        """Choose what the next click or stroke is, whichever tool it is made with."""
        if (points := self._layers.points) is not None:
            set_current_polarity(points, positive)
        if (shapes := self._layers.shapes) is not None:
            boxes = str(shapes.mode) == _MODES["box"]
            set_shape_polarity(shapes, positive or boxes, boxes=boxes)

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
