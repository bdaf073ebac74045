"""Knows where each object of a layer is, whoever paints in it, without reading more than what changed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_sam.regions import Box, RegionTable, combine, measure
from napari_sam.session.labels.max_label import split_blocks
from napari_sam.session.labels.pixels import full_resolution
from napari_sam.session.labels.tiled import TiledLabels
from napari_sam.session.napari_private import redo_steps, undo_steps
from napari_sam.session.viewing.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Labels
    from psygnal import SignalInstance

    from napari_sam.inference.worker import Worker
    from napari_sam.progress import Progress

_AT_ONCE = 2**17
"""Pixels that are read on the owner's thread after a change, a few milliseconds; more are read by the worker."""
_TURN_S = 0.05
"""Seconds of counting after which other work on the worker has its turn."""
_JOINED = 64
"""Blocks whose objects are joined at a time."""
_BROKEN = "The labels cannot be read"


class ObjectCounter:
    """Measures the objects of one layer at a time, and keeps up with what changes in it.

    What napari's own tools, undo and redo change is found in its history, as its events do not say where it is.

    Parameters
    ----------
    worker : Worker
        Counts, in turns with its other work.
    """

    changed = Signal()
    """There is a newer table, or more of it is counted."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._connections = Connections()
        self._count: _Count | None = None
        self._boxes: list[Box] = []
        self._steps: list[Any] = []
        self.layer: Labels | None = None
        """The layer that is counted."""
        self.table: RegionTable | None = None
        """Its objects; None while they are counted for the first time."""
        self.problem = ""
        """Why they cannot be counted; "" while all is well."""

    @property
    def share(self) -> float:
        """Share of the layer that is counted, 0 to 1."""
        return 1.0 if self._count is None else self._count.share

    def watch(self, layer: Labels | None, pixels_set: SignalInstance | None = None) -> None:
        """Count the objects of a layer from now on, and no others'.

        Parameters
        ----------
        layer : Labels or None
            The layer; None for none.
        pixels_set : SignalInstance, optional
            Tells of boxes that were written behind napari's back.
        """
        if layer is self.layer:
            return
        self._connections.release()
        self.layer, self.table, self._count, self.problem = layer, None, None, ""
        if layer is None:
            return
        self._connections.connect("layer", layer.events.data, self.recount)
        self._connections.connect("layer", layer.events.paint, self._on_layer_paint)
        for name in ("set_data", "labels_update"):
            self._connections.connect("layer", layer.events[name], self._on_layer_drawn)
        if pixels_set is not None:
            self._connections.connect("layer", pixels_set, self._on_pixels_set)
        self.recount()

    def release(self) -> None:
        """Stop listening and counting."""
        self._connections.release()
        self.layer, self._count = None, None

    def recount(self) -> None:
        """Count everything anew, as after somebody wrote into the data without telling."""
        if self.layer is None:
            return
        self._steps, self._boxes, self.problem = self._history(), [], ""
        self._count = _Count(full_resolution(self.layer))
        self._go_on()

    def _history(self) -> list[Any]:
        """Return all steps of napari's history, done and undone; a step that moves becomes another list."""
        return [] if self.layer is None else [*undo_steps(self.layer), *redo_steps(self.layer)]

    # -- what changed -----------------------------------------------------------------------------

    def _on_layer_paint(self) -> None:
        # napari tells of a stroke before it writes the pixels, and of those off screen not once more.
        self._note_steps()
        if self._boxes:
            self._worker.submit("objects changed", lambda _progress: None, lambda _nothing: self._update())

    def _on_layer_drawn(self) -> None:
        # Sent after strokes, undo and redo, but also after every slicing.
        self._note_steps()
        self._update()

    def _note_steps(self) -> None:
        """Find the steps of napari's history that are new, or were undone or redone, and note where they are."""
        known, self._steps = {id(step) for step in self._steps}, self._history()
        new = [step for step in self._steps if id(step) not in known]
        self._boxes += [box for step in new for change in step if (box := _box_of(change)) is not None]

    def _on_pixels_set(self, region: tuple[int | slice, ...]) -> None:
        if (box := _box_of((region,))) is not None:
            self._boxes.append(box)
            self._update()

    def _update(self) -> None:
        """Measure what changed, here or on the worker; while the first count goes on, it waits for its end."""
        if self.layer is None or self.table is None or self._count is not None or not self._boxes:
            return
        table, data, boxes = self.table, full_resolution(self.layer), tuple(self._boxes)
        if table.extent(boxes) <= _AT_ONCE:
            self._take(table.updated(data, boxes), len(boxes))
            return
        layer = self.layer

        def done(found: RegionTable) -> None:
            # Else another layer is watched by now, or a count of everything has begun.
            if self.layer is layer and self.table is table and self._count is None:
                self._take(found, len(boxes))
                self._update()

        self._worker.submit("objects", lambda _progress: table.updated(data, boxes), done, self._on_failed)

    def _take(self, table: RegionTable, boxes: int) -> None:
        self.table, self._boxes = table, self._boxes[boxes:]
        self.changed.emit()

    # -- counting everything ----------------------------------------------------------------------

    def _go_on(self) -> None:
        """Count for another turn."""
        if (count := self._count) is not None:
            self._worker.submit("objects", count.turn, self._on_turn_over, self._on_failed)

    def _on_turn_over(self, count: _Count) -> None:
        if count is not self._count:
            return
        if count.found is None:
            self._go_on()
        else:
            self.table, self._count = count.found, None
            self._update()
        self.changed.emit()

    def _on_failed(self, error: BaseException) -> None:
        self._count = None
        self.problem = f"{_BROKEN}: {' '.join(f'{type(error).__name__}: {error}'.split())}"
        self.changed.emit()


class _Count:
    """A count of all objects of an array, block by block."""

    def __init__(self, data: Any) -> None:
        self.share = 0.0
        self.found: RegionTable | None = None
        self._data = data
        self._ndim = len(data.shape)
        self._blocks = _blocks(data)
        self._table = RegionTable.empty(self._ndim)

    def turn(self, _progress: Progress) -> _Count:
        """Count for a while; runs on the worker's thread."""
        until, parts = time.monotonic() + _TURN_S, [self._table]
        for share, block in self._blocks:
            self.share = share
            parts.append(measure(np.asarray(self._data[block]), [side.start for side in block]))
            if len(parts) > _JOINED:
                parts = [combine(parts, self._ndim)]
            if time.monotonic() > until:
                break
        else:
            self.found = combine(parts, self._ndim)
            return self
        self._table = combine(parts, self._ndim)
        return self


def _blocks(data: Any) -> Iterator[tuple[float, tuple[slice, ...]]]:
    """Go through the blocks of an array; of labels on disk, only through those where there are any."""
    if not isinstance(data, TiledLabels):
        yield from split_blocks(data)
        return
    tiles = sorted(data.tiles)
    for number, tile in enumerate(tiles):
        corners = zip(tile, data.chunks, data.shape, strict=True)
        yield number / len(tiles), tuple(slice(at * side, min((at + 1) * side, size)) for at, side, size in corners)


def _box_of(change: Any) -> Box | None:
    """Return the box of one change of napari's history, which names it by slices or by lists of coordinates."""
    sides = []
    for at in change[0]:
        if isinstance(at, slice):
            sides.append((int(at.start), int(at.stop)))
        elif np.ndim(at) == 0:
            sides.append((int(at), int(at) + 1))
        elif np.size(at):
            sides.append((int(np.min(at)), int(np.max(at)) + 1))
    if len(sides) != len(change[0]) or not sides:
        return None
    return tuple(low for low, _ in sides), tuple(high for _, high in sides)
