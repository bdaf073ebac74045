"""Labels in the colours of their classes, for as long as the person wants it; then their own colours come back."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap

from napari_sam.session.table.classes import NO_CLASS_COLOR
from napari_sam.session.viewing.connections import Connections
from napari_sam.session.viewing.feature_table import read_classes

if TYPE_CHECKING:
    from napari.utils.colormaps.colormap import LabelColormapBase
    from numpy.typing import NDArray
    from psygnal import SignalInstance

    from napari_sam.inference.worker import Worker
    from napari_sam.session.table.classes import ClassLists

LARGEST = 2**16 - 2
"""Id up to which each has a colour of its own: napari hands 16 bits to the graphics card, and repeats colours then."""


class ClassColors:
    """Colours one layer at a time by the classes of its objects.

    These are napari's colours that repeat, as many as there can be. Its colours by id would take a table of every
    object, and are made with a compiler: 3 s in which the window stands still.

    Parameters
    ----------
    lists : ClassLists
        The classes of each layer, and their colours.
    worker : Worker
        Has napari compile what it needs, 0.4 s once, before the window does.
    changed : SignalInstance
        Told when the person chose other colours in napari, which ends this.
    """

    def __init__(self, lists: ClassLists, worker: Worker, changed: SignalInstance) -> None:
        self._lists = lists
        self._worker = worker
        self._changed = changed
        self._connections = Connections()
        self._layer: weakref.ref[Labels] | None = None
        self._own: LabelColormapBase | None = None
        self._shown: CyclicLabelColormap | None = None
        self._ready: set[np.dtype] = set()

    @property
    def is_on(self) -> bool:
        """Whether a layer has the colours of classes, or gets them in a moment."""
        return self._layer is not None

    def start(self, layer: Labels) -> None:
        """Colour a layer, and no other any more."""
        if self._layer is not None and self._layer() is layer:
            return
        self.stop()
        self._layer = weakref.ref(layer)
        kind, pixel = layer.dtype, np.zeros((1, 1), layer.dtype)
        if kind in self._ready:
            self._begin(layer)
            return

        def done(_layer: Labels) -> None:
            self._ready.add(kind)
            # Else it was switched off meanwhile, or another layer has come.
            if self._layer is not None and self._layer() is layer and self._shown is None:
                self._begin(layer)

        self._worker.submit("class colours", lambda _progress: Labels(pixel, colormap=_colormap(_blank())), done)

    def stop(self) -> None:
        """Give the layer its own colours back, unless the person chose others meanwhile."""
        self._connections.release()
        layer, own, shown = None if self._layer is None else self._layer(), self._own, self._shown
        self._layer, self._own, self._shown = None, None, None
        if layer is not None and own is not None and layer.colormap is shown:
            _put_on(layer, own)

    def update(self) -> None:
        """Follow the classes, and their colours."""
        layer = None if self._layer is None else self._layer()
        if layer is None or self._shown is None:
            return
        colors = self._colors(layer)
        # napari redraws the whole plane: only for what looks different.
        if not np.array_equal(colors, self._shown.colors):
            self._show(layer, colors)

    def _begin(self, layer: Labels) -> None:
        self._own = layer.colormap
        self._show(layer, self._colors(layer))
        self._connections.connect("layer", layer.events.colormap, self._on_layer_colormap)

    def _show(self, layer: Labels, colors: NDArray[np.float32]) -> None:
        # First: napari tells while it takes it.
        self._shown = _colormap(colors)
        _put_on(layer, self._shown)

    def _colors(self, layer: Labels) -> NDArray[np.float32]:
        """Choose the colour of each id: that of its class."""
        colors = _blank()
        ids, names = read_classes(layer)
        classes = self._lists.of(layer)
        palette = np.stack([_rgba(color) for color in (NO_CLASS_COLOR, *(one.color for one in classes))])
        kinds = np.zeros(len(ids), dtype=np.int64)
        for number, one in enumerate(classes, 1):
            kinds[names == one.name] = number
        held = (ids > 0) & (ids <= LARGEST)
        colors[ids[held]] = palette[kinds[held]]
        return colors

    def _on_layer_colormap(self) -> None:
        layer = None if self._layer is None else self._layer()
        if layer is not None and layer.colormap is not self._shown:
            self.stop()
            self._changed.emit()


def _blank() -> NDArray[np.float32]:
    """Return the colours of ids without classes, RGBA, shape (LARGEST + 1, 4)."""
    colors = np.tile(_rgba(NO_CLASS_COLOR), (LARGEST + 1, 1))
    colors[0] = 0
    return colors


def _rgba(color: str) -> NDArray[np.float32]:
    return np.array([*bytes.fromhex(color[1:]), 255], dtype=np.float32) / np.float32(255)


def _colormap(colors: NDArray[np.float32]) -> CyclicLabelColormap:
    return CyclicLabelColormap(name="classes", display_name="classes", colors=colors, background_value=0)


def _put_on(layer: Labels, colormap: LabelColormapBase) -> None:
    """Give a layer a colormap; what it shows of it, all objects or the selected one, stays."""
    colormap.use_selection, colormap.selection = layer.show_selected_label, layer.selected_label
    layer.colormap = colormap
