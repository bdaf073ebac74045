"""The layer that shows the objects that were found: a contour for each, and which one is pointed at."""

from __future__ import annotations

from colorsys import hsv_to_rgb
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap
from psygnal import Signal

from napari_sam.session.viewing.placement import (
    add_below,
    keeping_selection,
    part_placement,
    set_placement,
    with_other_axes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_sam.masks import BoxedMask
    from napari_sam.planes.source import PlaneIndex

_COLOURS = 252
"""Colours of objects; eight bits a pixel hold them, and those below."""
CONFIDENT, DOUBTFUL, POINTED = 253, 254, 255
"""Values of the outlines of objects where a calibration tells them apart, and of the one that is pointed at."""
_CONFIDENT_COLOUR, _DOUBTFUL_COLOUR, _POINTED_COLOUR = (
    # Sky blue and orange of Okabe and Ito, which everybody tells apart, on dark tissue and on light.
    (0.337, 0.706, 0.914, 1.0),
    (0.902, 0.624, 0.0, 1.0),
    (1.0, 1.0, 1.0, 1.0),
)
_LARGE = 400
"""Side of a plane from which on outlines are two pixels wide: it mostly has less room on the screen than pixels."""
_CLICK = 4.0
"""Pixels of the screen that the mouse may move between press and release of a click."""


class ProposalsLayer:
    """Shows objects on a part of a plane, and tells where the person points and clicks.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layer lives.
    """

    pointed = Signal(object)
    """The mouse is on another pixel, (y, x) in the part; None when it is outside."""
    clicked = Signal(int, int)
    """The person clicked a pixel, y and x in the part."""
    picked = Signal(int, int)
    """The person clicked one with the Shift key."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._view: PlaneIndex | None = None
        self._start = (0, 0)
        self._drawn: NDArray[np.uint8] | None = None
        self._at: tuple[int, int] | None = None
        self.layer: Labels | None = None

    def show_objects(
        self,
        image: Image,
        view: PlaneIndex,
        start: tuple[int, int],
        objects: NDArray[np.int32],
        above: list[Layer | None],
        confident: NDArray[np.bool_] | None = None,
    ) -> None:
        """Show objects in place of those that are shown.

        Parameters
        ----------
        image : Image
            Layer beneath.
        view : PlaneIndex
            The plane.
        start : (int, int)
            Upper left data pixel of the part.
        objects : numpy.ndarray, shape (h, w), int32
            Numbers of the objects, 0 for none.
        above : list of Layer or None
            Layers that stay above it.
        confident : numpy.ndarray, shape (n,), bool, optional
            Which of the objects 1 to n are so good that they have a colour of their own, and the others another one. By
            default each object has one.
        """
        # Modulo: neighbours that share a colour by chance still have a contour each, unless their numbers differ by it.
        numbers = np.arange(int(objects.max(initial=0)))
        own = numbers % _COLOURS + 1 if confident is None else np.where(confident[numbers], CONFIDENT, DOUBTFUL)
        colours = np.concatenate([[0], own]).astype(np.uint8)
        # Not napari's own contours, which take several times as long: a slider redraws them at every move.
        self._drawn = np.where(_outlines(objects, self._width(view)), colours[objects], 0)
        if self.layer is not None and self._is_alike(view) and self._drawn.shape == self._pixels(self.layer).shape:
            self._pixels(self.layer)[...] = self._drawn
            if view != self._view:
                # The same layer on another plane of the stack: it stays the one that the mouse acts on.
                self._view = view
                set_placement(self.layer, part_placement(image, view, start))
            _redraw(self.layer)
            return
        self.remove_layer()
        self._view, self._start = view, start
        layer = Labels(
            with_other_axes(view, self._drawn.copy()),
            name="SAM objects",
            opacity=1.0,
            colormap=_colormap(),
            **part_placement(image, view, start),
        )
        # The person's brush is not to paint in it.
        layer.editable = False
        layer.mouse_drag_callbacks.append(self._on_layer_drag)
        layer.mouse_move_callbacks.append(self._on_layer_move)
        self.layer = layer
        add_below(self._viewer, layer, above)

    def show_pointed(self, mask: BoxedMask | None) -> None:
        """Show which object is pointed at; None: none."""
        if self.layer is None or self._drawn is None:
            return
        pixels = self._pixels(self.layer)
        pixels[...] = self._drawn
        if mask is not None and self._view is not None:
            # A row of background around: the object is outlined at the border of its box, too.
            width = self._width(self._view)
            outline = _outlines(np.pad(mask.mask, width).astype(np.int32), width)[width:-width, width:-width]
            pixels[mask.box][outline] = POINTED
        _redraw(self.layer)

    def select(self) -> None:
        """Make the layer the one that the mouse acts on."""
        if self.layer is not None:
            self.layer.visible = True
            self.layer.mode = "pan_zoom"
            self._viewer.layers.selection.active = self.layer

    @property
    def is_selected(self) -> bool:
        """Whether a click now keeps or drops an object."""
        return self.layer is not None and self._viewer.layers.selection.active is self.layer

    def follow_image(self, image: Image) -> None:
        """Keep the layer where the image is."""
        if self.layer is not None and self._view is not None:
            set_placement(self.layer, part_placement(image, self._view, self._start))

    def forget_layer(self) -> None:
        """Forget the layer: it was removed from the viewer."""
        self.layer = self._view = self._drawn = self._at = None

    def remove_layer(self) -> None:
        """Remove the layer from the viewer."""
        layer, self.layer = self.layer, None
        self._at = None
        if layer is not None and layer in self._viewer.layers:
            with keeping_selection(self._viewer):
                self._viewer.layers.remove(layer)

    def _is_alike(self, view: PlaneIndex) -> bool:
        """Tell whether a plane has the axes of the one that is shown."""
        return self._view is not None and self._view.axes == view.axes and len(self._view.index) == len(view.index)

    def _width(self, view: PlaneIndex) -> int:
        """Return the width of outlines, data pixels: those of a large plane are looked at from farther away."""
        return 1 if max(view.shape) < _LARGE else 2

    def _pixels(self, layer: Labels) -> NDArray[np.uint8]:
        """Return the pixels of the part, (h, w): a view."""
        data: NDArray[np.uint8] = layer.data
        return data.reshape([side for side, index in zip(data.shape, self._index(), strict=True) if index is None])

    def _index(self) -> tuple[int | None, ...]:
        return () if self._view is None else self._view.index

    def _pixel(self, layer: Labels, position: Any) -> tuple[int, int] | None:
        """Find the pixel of the part at a position in the world; None where there is none."""
        if self._view is None:
            return None
        place = np.rint(layer.world_to_data(position)).astype(int)
        if not all(0 <= at < side for at, side in zip(place, layer.data.shape, strict=True)):
            return None
        y, x = self._view.axes
        return int(place[y]), int(place[x])

    def _on_layer_move(self, layer: Labels, event: Any) -> None:
        at = self._pixel(layer, event.position)
        if at != self._at:
            self._at = at
            self.pointed.emit(at)

    def _on_layer_drag(self, layer: Labels, event: Any) -> Iterator[None]:
        pressed = np.array(event.pos, dtype=float)
        yield
        while event.type == "mouse_move":
            yield
        if event.button == 1 and np.abs(np.array(event.pos, dtype=float) - pressed).max() <= _CLICK:
            at = self._pixel(layer, event.position)
            if at is not None:
                (self.picked if "Shift" in event.modifiers else self.clicked).emit(*at)


def _outlines(objects: NDArray[np.int32], width: int) -> NDArray[np.bool_]:
    """Find the pixels of objects that are so near to one of another object, or of none, along a row or a column."""
    near = np.zeros(objects.shape, bool)
    for step in range(1, width + 1):
        for axis in (0, 1):
            first, second = np.moveaxis(objects, axis, 0)[:-step], np.moveaxis(objects, axis, 0)[step:]
            other = first != second
            along = np.moveaxis(near, axis, 0)  # a view
            along[:-step] |= other
            along[step:] |= other
    found: NDArray[np.bool_] = near & (objects > 0)
    return found


def _redraw(layer: Labels) -> None:
    layer.refresh(extent=False, thumbnail=False, highlight=False)


def _colormap() -> CyclicLabelColormap:
    """Return a colour for each object, those of confident and doubtful ones, and one for that which is pointed at.

    Cyclic: napari draws a direct colormap by code that numba compiles on the GUI thread first, which freezes the window
    for seconds.
    """
    # Hues a golden section apart: those of numbers that follow each other differ most.
    hues = [number * 0.618034 % 1.0 for number in range(_COLOURS)]
    colours = [(0.0, 0.0, 0.0, 0.0), *((*hsv_to_rgb(hue, 0.8, 1.0), 1.0) for hue in hues)]
    colours += [_CONFIDENT_COLOUR, _DOUBTFUL_COLOUR, _POINTED_COLOUR]
    return CyclicLabelColormap(colors=np.array(colours, dtype=np.float32), seed=0.5, background_value=0)
