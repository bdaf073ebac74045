"""A Labels layer as something whose pixels are set: each time as one step of napari's own undo history."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_sam.session.labels import undo_history
from napari_sam.session.labels.compressed import whole_slices
from napari_sam.session.labels.pixels import full_resolution, redraw_levels, write_levels
from napari_sam.session.napari_private import redraw_box

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sam.session.labels.compressed import Change

Region = tuple[int | slice, ...]
"""Index of a box in the data of a layer, at full resolution; its slices have a start and a stop."""


class DataReference:
    """Refers to the data of a layer without keeping them alive, as they may be large.

    Parameters
    ----------
    data : array-like
        The data.
    """

    def __init__(self, data: Any) -> None:
        self.point_to(data)

    def __call__(self) -> Any:
        """Return the data, as long as anything else holds them; then None."""
        return self._find()

    def point_to(self, data: Any) -> None:
        """Refer to other data from now on, which hold the same."""
        try:
            self._find: Callable[[], Any] = weakref.ref(data)
        except TypeError:  # kinds of arrays that nothing can refer to weakly
            self._find = lambda: data


class EditableLayer:
    """Sets and reads pixels of one Labels layer, and knows what napari's history holds of them.

    napari keeps no history of layers with several resolutions, and lets nobody paint in them.

    Parameters
    ----------
    layer : Labels
        The layer.
    label_restored : callable
        Called with a label that was written again by a redo.
    """

    pixels_set = Signal(tuple)
    """A box of a layer of several resolutions was written, of which napari tells nothing."""

    def __init__(self, layer: Labels, label_restored: Callable[[int], None]) -> None:
        self.layer = layer
        self.label_restored = label_restored
        self._changes = 0
        self._undone_at = -1
        self._newest_step: list[Any] | None = None
        self._reference: DataReference | None = None
        # napari holds bound methods weakly: the connections end with this.
        layer.events.paint.connect(self._on_layer_paint)
        layer.events.data.connect(self._on_layer_data)

    def disconnect(self) -> None:
        """Listen to the layer no more: nothing is written any more."""
        self.layer.events.paint.disconnect(self._on_layer_paint)
        self.layer.events.data.disconnect(self._on_layer_data)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data, at full resolution."""
        return tuple(self.layer.data.shape)

    @property
    def can_undo(self) -> bool:
        """Whether napari's own undo would take anything back."""
        return not self.layer.multiscale and undo_history.can_undo(self.layer)

    @property
    def can_redo(self) -> bool:
        """Whether what `undo` took back last is sure to be the next step of napari's own redo."""
        return not self.layer.multiscale and self._undone_at == self._changes

    def read(self, region: Region) -> NDArray[Any]:
        """Read a box; the array may share its memory with the layer."""
        return np.asarray(full_resolution(self.layer)[region])

    def set_pixels(self, change: Change, pixels: NDArray[np.bool_], values: NDArray[Any]) -> list[Any] | None:
        """Set pixels of a box as one undoable step.

        Parameters
        ----------
        change : Change
            What changes, as napari's history is to keep it.
        pixels : numpy.ndarray, bool
            Which pixels of its box, unpacked; one axis for each slice.
        values : numpy.ndarray, shape (n,)
            What they hold from now on, unpacked, in C order.

        Returns
        -------
        list or None
            The step in napari's history; None where napari keeps none.
        """
        region = change.region
        if self.layer.multiscale:
            # A copy: what is read may be the layer's own memory.
            block = np.array(self.read(region))
            block[pixels] = values
            write_levels(self.layer.data, region, block)
            redraw_levels(self.layer)
            self.pixels_set.emit(region)
            return None
        self._newest_step = None
        # Of arrays in memory boxes are written quicker than lists of pixels, and what is shown is the same memory.
        if type(self.layer.data) is not np.ndarray or not undo_history.record(self.layer, change):
            self._set_listed(region, pixels, values)
            return self._newest_step
        box = self.layer.data[region]
        if change.after.uniform:
            np.copyto(box, values[0], where=pixels)
        else:
            box[pixels] = values
        redraw_box(self.layer, whole_slices(region), pixels if change.after.uniform else None)
        return self._newest_step

    def _set_listed(self, region: Region, pixels: NDArray[np.bool_], values: NDArray[Any]) -> None:
        """Let napari set pixels by their coordinates, which any kind of array takes."""
        coordinates = iter(np.nonzero(pixels))
        count = len(values)
        # 32 bits halve what napari's history keeps of every object, and are faster.
        index = tuple(
            (next(coordinates) + at.start).astype(np.int32)
            if isinstance(at, slice)
            else np.full(count, at, dtype=np.int32)
            for at in region
        )
        uniform = (values == values[0]).all()
        self.layer.data_setitem(index, values[0] if uniform else values)

    @property
    def newest_step(self) -> list[Any] | None:
        """The step in napari's history that was set last, such as by `one_step`; None where napari keeps none."""
        return self._newest_step

    @contextmanager
    def one_step(self) -> Iterator[list[Change]]:
        """Make all that is set meanwhile one step; give a list to put the changes into."""
        changes: list[Change] = []
        # The paint event gives the step, where napari makes one.
        self._newest_step = None
        with self.layer.block_history():
            yield changes
        self.compress_step(self._newest_step, changes)

    def compress_step(self, step: list[Any] | None, changes: list[Change]) -> None:
        """Let napari's history keep a step in little memory, and no more steps than there is room for."""
        undo_history.compress_step(step, changes)
        undo_history.drop_oldest(self.layer)

    def undo(self) -> None:
        """Let napari take its newest step back; if that was the wrong one, `redo` makes good for it."""
        self.layer.undo()

    def redo(self) -> None:
        """Let napari do the step again that it took back last."""
        self.layer.redo()

    def mark_undone(self) -> None:
        """Note that the step that `undo` took back is the next one of napari's redo, until something changes."""
        self._undone_at = self._changes

    def reference_data(self) -> Callable[[], Any]:
        """Refer to the data of now; what `widen` puts in their place counts as the same."""
        if self._reference is None or self._reference() is not self.layer.data:
            self._reference = DataReference(self.layer.data)
        return self._reference

    def widen(self, dtype: np.dtype[Any]) -> None:
        """Let the layer hold its pixels as wider integers; what was done before can still be undone."""
        reference = self.reference_data()
        # Editing stays as it was: other data unlock a layer.
        wider, editable = np.asarray(self.layer.data).astype(dtype), self.layer.editable
        self.layer.data = wider
        if self.layer.editable != editable:
            self.layer.editable = editable
        if self._reference is reference and self._reference is not None:
            self._reference.point_to(wider)

    def _on_layer_paint(self, event: Any) -> None:
        self._changes += 1
        self._newest_step = event.value

    def _on_layer_data(self) -> None:
        # napari's redo may belong to the data of before.
        self._changes += 1
