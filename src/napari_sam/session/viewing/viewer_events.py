"""What changes in a viewer, told when napari is done with it.

napari speaks in the middle of its work. When a layer is deleted, the selection and the sliders tell of it first, while
the layer is out of the list already and parts of the viewer still count it in; when several are deleted, one after the
other is told. Who looks at a layer then may look at one that is gone, and who removes another one makes napari stumble
over its own list.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sam.session.viewing.connections import Connections

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


class ViewerEvents:
    """Hears a viewer's layers and sliders, and passes on what happened once the viewer is at rest.

    What is passed on comes in the order of the signals below, so that whoever hears of the sliders knows already which
    layers are gone.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer, unwrapped.
    """

    removed = Signal(tuple)
    """Layers were removed; carries all of them."""
    selection_lost = Signal()
    """The layer that was selected was removed: what is selected now, nobody chose."""
    active_changed = Signal()
    """Another layer is the active one."""
    dims_changed = Signal()
    """The sliders, or the axes on screen, changed."""
    listed = Signal()
    """Layers came or went, changed places, or have other names."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._connections = Connections()
        self._batches = 0
        self._midway = False
        self._telling = False
        # Weak: nothing here is to keep a layer alive that was deleted.
        self._selected = weakref.WeakSet(viewer.layers.selection)
        self._gone: list[Layer] = []
        self._news: set[str] = set()
        layers = viewer.layers
        connect = self._connections.connect
        for event in (layers.events.inserting, layers.events.removing):
            connect("viewer", event, self._on_layers_changing)
        for event in (layers.events.inserted, layers.events.reordered, layers.events.renamed):
            connect("viewer", event, self._on_layers_listed, last=True)
        # Last: napari's own listeners are done with the layer by then.
        connect("viewer", layers.events.removed, self._on_layers_removed, last=True)
        connect("viewer", layers.events.begin_batch, self._on_layers_begin_batch)
        connect("viewer", layers.events.end_batch, self._on_layers_end_batch, last=True)
        connect("viewer", layers.selection.events.active, self._on_selection_active)
        connect("viewer", viewer.dims.events, self._on_dims)

    def release(self) -> None:
        """Stop listening."""
        self._connections.release()

    @property
    def is_busy(self) -> bool:
        """Whether napari is adding or removing layers at this moment: do not look at layers, and change none."""
        return self._midway or self._batches > 0

    def _on_layers_changing(self) -> None:
        self._midway = True

    def _on_layers_listed(self) -> None:
        # Also after a removal that somebody's error broke off: who adds a layer is done with it.
        self._midway = False
        self._tell("listed")

    def _on_layers_removed(self, event: Any) -> None:
        self._midway = False
        self._gone.append(event.value)
        self._tell("listed")

    def _on_layers_begin_batch(self) -> None:
        self._batches += 1

    def _on_layers_end_batch(self) -> None:
        # Listening may have begun in the middle of one.
        self._batches = max(0, self._batches - 1)
        self._tell()

    def _on_selection_active(self) -> None:
        self._tell("active")

    def _on_dims(self) -> None:
        self._tell("dims")

    def _tell(self, *news: str) -> None:
        """Take note, and pass all news on if the viewer is at rest; what they lead to is told after them."""
        self._news.update(news)
        # Who is told may change layers in turn; the loop below comes to that when the viewer rests again.
        if self.is_busy or self._telling:
            return
        self._telling = True
        try:
            while (self._gone or self._news) and not self.is_busy:
                self._tell_next()
        finally:
            # Also when a listener fails: all that comes later would go unheard.
            self._telling = False

    def _tell_next(self) -> None:
        if self._gone:
            gone, self._gone = tuple(self._gone), []
            # As of the last news: napari has selected another layer by now.
            if self._selected.intersection(gone):
                self._news.add("selection")
            self.removed.emit(gone)
            return
        signals = {
            "selection": self.selection_lost,
            "active": self.active_changed,
            "dims": self.dims_changed,
            "listed": self.listed,
        }
        news = next(name for name in signals if name in self._news)
        # Before it is told, as what follows from it may be the same news again.
        self._news.discard(news)
        if news == "active":
            # Only now: a removal that is told before this finds what was selected at that time.
            self._selected = weakref.WeakSet(self._viewer.layers.selection)
        signals[news].emit()
