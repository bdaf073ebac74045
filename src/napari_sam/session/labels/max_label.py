"""The largest id in a Labels layer, found without a stall and without reading what need not be read."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.session.labels.pixels import full_resolution
from napari_sam.session.labels.tiled import TiledLabels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari.layers import Labels

    from napari_sam.inference.worker import Worker
    from napari_sam.progress import Progress

_SMALL = 2**24
"""Layers in memory of up to this many pixels are searched again after every change (some 10 ms)."""
_BLOCK = 2**22
"""Pixels that are read at a time, where the data have no chunks of their own."""
_TURN_S = 0.05
"""Seconds of counting after which other work on the worker has its turn."""


class MaxLabel:
    """Knows the largest id in a layer, or counts on.

    Parameters
    ----------
    layer : Labels
        The layer.
    worker : Worker, optional
        Counts in large layers; without it they are counted when first asked.
    changed : callable, optional
        Called when the count is done.
    """

    def __init__(self, layer: Labels, worker: Worker | None, changed: Callable[[], None] | None) -> None:
        self._layer = layer
        self._worker = worker
        self._changed = changed
        self._known: int | None = None
        self._noted = 0
        self._count: _MaxSearch | None = None
        # napari holds bound methods weakly: the connections end with this.
        layer.events.paint.connect(self._on_layer_paint)
        layer.events.data.connect(self._on_layer_data)
        for event in (layer.events.labels_update, layer.events.set_data):
            event.connect(self._on_layer_drawn)

    @property
    def value(self) -> int | None:
        """The largest id, 0 when there is none; None while it is being counted."""
        data = full_resolution(self._layer)
        if isinstance(data, TiledLabels):
            # It knows this of every tile, and so hears of napari's undo as well.
            return data.max_label
        if self._known is not None:
            return self._known
        if _is_small(data):
            self._known = max(0, int(np.max(data, initial=0)))
        elif self._count is None:
            self._count = _MaxSearch(data)
            self._go_on()
        return self._known

    @property
    def share(self) -> float:
        """Share of the layer that is counted, 0 to 1."""
        return 0.0 if self._count is None else self._count.share

    @property
    def problem(self) -> str:
        """Why the count came to nothing; "" while all is well."""
        return "" if self._count is None else self._count.problem

    def note_written(self, label: int) -> None:
        """Take note of an id that was written."""
        if self._known is not None:
            self._known = max(self._known, label)
        self._noted = max(self._noted, label)

    def assume_empty(self) -> None:
        """Know that there is no id yet, as in a layer that was just made: nothing needs to be counted."""
        self._known, self._count = 0, None

    def assume(self, largest: int | None) -> None:
        """Know the largest id, because it was known of the same pixels."""
        self._known = largest

    def disconnect(self) -> None:
        """Count no further, and listen to the layer no more."""
        self.stop_counting()
        events = self._layer.events
        events.paint.disconnect(self._on_layer_paint)
        events.data.disconnect(self._on_layer_data)
        for event in (events.labels_update, events.set_data):
            event.disconnect(self._on_layer_drawn)

    def stop_counting(self) -> None:
        """Count no further: nobody asks any more."""
        self._count = None

    def _go_on(self) -> None:
        """Count for another turn."""
        count = self._count
        if count is None:
            return
        if self._worker is None:
            self._on_turn_over(count.turn(None))
        else:
            # Each layer has a lane of its own, or one count would replace another.
            self._worker.submit(f"labels {id(self)}", count.turn, self._on_turn_over, self._on_turn_failed)

    def _on_turn_over(self, count: _MaxSearch) -> None:
        if count is not self._count:
            return  # the data were replaced meanwhile
        if not count.over:
            self._go_on()
            return
        # What was written meanwhile, in blocks that were read before, counts as well.
        self._known, self._count = max(count.largest, self._noted), None
        if self._changed is not None:
            self._changed()

    def _on_turn_failed(self, error: BaseException) -> None:
        if self._count is not None:
            self._count.problem = " ".join(f"{type(error).__name__}: {error}".split())

    def _on_layer_paint(self) -> None:
        # A stroke writes this label, unless it erases: then an id is left out, which does no harm.
        self.note_written(int(self._layer.selected_label))

    def _on_layer_data(self) -> None:
        self._known = self._count = None
        self._noted = 0

    def _on_layer_drawn(self) -> None:
        # Sent after strokes and after napari's undo and redo, but also after every slicing.
        if _is_small(full_resolution(self._layer)):
            self._known = None


class _MaxSearch:
    """A search through an array, block by block."""

    def __init__(self, data: Any) -> None:
        self.largest = 0
        self.over = False
        self.share = 0.0
        self.problem = ""
        self._data = data
        self._blocks = split_blocks(data)

    def turn(self, progress: Progress | None) -> _MaxSearch:
        """Search for a while; runs on the worker's thread, or without one to the end."""
        until = time.monotonic() + _TURN_S
        for share, region in self._blocks:
            self.share = share
            self.largest = max(self.largest, int(np.max(np.asarray(self._data[region]), initial=0)))
            if progress is not None and time.monotonic() > until:
                return self
        self.over = True
        return self


def _is_small(data: Any) -> bool:
    """Tell whether all of an array can be looked at right away: it is in memory, and not too large."""
    in_memory = isinstance(data, np.ndarray) and not isinstance(data, np.memmap)
    return in_memory and data.size <= _SMALL


def split_blocks(data: Any, within: Sequence[slice] | None = None) -> Iterator[tuple[float, tuple[slice, ...]]]:
    """Cut an array into blocks along its chunks; each with the share of the array that lies before it.

    Parameters
    ----------
    data : array-like
        The array.
    within : sequence of slice, optional
        The part of it that counts, with a start and a stop along each axis; by default all of it.
    """
    parts = [slice(0, int(size)) for size in data.shape] if within is None else within
    sides = _block_sides(data, [part.stop - part.start for part in parts])
    # From the start of a chunk on, as a chunk that is cut is read as a whole all the same.
    starts = [range(part.start // side * side, part.stop, side) for part, side in zip(parts, sides, strict=True)]
    total = int(np.prod([len(axis) for axis in starts], dtype=np.int64))
    for number, place in enumerate(itertools.product(*starts)):
        edges = zip(place, sides, parts, strict=True)
        yield number / total, tuple(slice(max(at, part.start), min(at + side, part.stop)) for at, side, part in edges)


def _block_sides(data: Any, most: list[int]) -> list[int]:
    """Choose the sides of the blocks to read: whole chunks, as many of them as one read may hold and there are."""
    chunks: Any = getattr(data, "chunks", ())
    # dask lists the chunks of each axis, which need not be of one size.
    regular = len(chunks or ()) == data.ndim and all(isinstance(side, int) for side in chunks)
    sides = [int(side) for side in chunks] if regular else [1] * data.ndim
    for axis in reversed(range(data.ndim)):
        more = max(1, _BLOCK // int(np.prod(sides, dtype=np.int64)))
        sides[axis] = min(max(1, most[axis]), sides[axis] * more)
    return sides
