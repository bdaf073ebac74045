"""Writing accepted objects into a Labels layer of the person's, through napari's own undo history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.session.grids import Grid

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from napari_sam.session.view import View

_SMALL = 2**24
"""Layers of up to this many pixels are searched for their largest label again after every change (some 10 ms)."""


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """One object in a Labels layer.

    Attributes
    ----------
    writer : LabelWriter
        Who wrote it.
    label : int
        Its id.
    region : tuple of (int or slice)
        Index of its bounding box in the layer's data.
    mask : numpy.ndarray, shape (h, w), bool
        The pixels that were written.
    before : numpy.ndarray, shape (n,)
        What these pixels held before.
    array : object
        The layer's data at that time.
    """

    writer: LabelWriter
    label: int
    region: tuple[int | slice, ...]
    mask: NDArray[np.bool_]
    before: NDArray[Any]
    array: Any


class LabelWriter:
    """Writes objects into one Labels layer, each as one step of napari's undo history.

    Parameters
    ----------
    layer : Labels
        The layer.
    """

    def __init__(self, layer: Labels) -> None:
        self.layer = layer
        self._largest: int | None = None
        self._edits = 0
        self._undone_at = -1
        # napari holds bound methods weakly: the connections end with the writer.
        layer.events.paint.connect(self._on_layer_paint)
        layer.events.data.connect(self._on_layer_data)
        for event in (layer.events.labels_update, layer.events.set_data):
            event.connect(self._on_layer_drawn)

    # -- ids --------------------------------------------------------------------------------------

    @property
    def next_label(self) -> int:
        """The next free id: one more than the largest in the layer.

        In very large layers an id that was undone is not given again before the layer's data are replaced.
        """
        if self._largest is None:
            self._largest = _largest(self.layer.data)
        return self._largest + 1

    def _on_layer_paint(self) -> None:
        # Sent before the pixels change.
        self._edits += 1
        if self._largest is not None:
            self._largest = max(self._largest, int(self.layer.selected_label))

    def _on_layer_data(self) -> None:
        self._edits += 1
        self._largest = None

    def _on_layer_drawn(self) -> None:
        # Sent after strokes and after napari's undo and redo, but also after every slicing.
        if np.prod(self.layer.data.shape, dtype=np.int64) <= _SMALL:
            self._largest = None

    # -- writing ----------------------------------------------------------------------------------

    def write(
        self, view: View, mask: NDArray[np.bool_], origin: tuple[int, int], *, only_empty: bool
    ) -> Written | None:
        """Write a mask with the next free id.

        Parameters
        ----------
        view : View
            The plane.
        mask : numpy.ndarray, shape (h, w), bool
            The object, cut to its bounding box.
        origin : (int, int)
            Upper left pixel of the box on the plane.
        only_empty : bool
            Leave pixels alone that carry a label.

        Returns
        -------
        Written or None
            What was written; None when there was no pixel to write.

        Raises
        ------
        InputError
            If the layer's integers do not hold the next id, or its data cannot be changed.
        """
        label, data = self.next_label, self.layer.data
        self._require(label)
        region = view.slices(origin, mask.shape)
        present = np.asarray(data[region])
        free = mask & (present == 0) if only_empty else np.array(mask)
        if not free.any():
            return None
        written = Written(self, label, region, free, np.array(present[free]), data)
        self._set(written, free, label)
        if self._largest is not None:
            self._largest = max(self._largest, label)
        return written

    def take_back(self, written: Written) -> None:
        """Undo a write, with napari's own undo where it is the newest step; what the person painted since stays.

        Does nothing where the person has undone it already.
        """
        present = self._present(written)
        if present is None or not (ours := written.mask & (present == written.label)).any():
            return
        if self.layer.data is written.array:
            self.layer.undo()
            now = self._present(written)
            if now is not None and np.array_equal(now[written.mask], written.before):
                self._undone_at = self._edits
                return
            self.layer.redo()  # the newest step was something else, which is none of our business
        before = np.zeros_like(present)
        before[written.mask] = written.before
        self._set(written, ours, before[ours])

    def put_back(self, written: Written) -> None:
        """Write an object again that was taken back; does nothing where the person has redone it already."""
        present = self._present(written)
        if present is None:
            return
        before = np.zeros_like(present)
        before[written.mask] = written.before
        free = written.mask & (present == before)
        if not free.any():
            return
        # Only while nothing was painted since is the step sure to be among napari's redoable ones.
        if self.layer.data is written.array and self._undone_at == self._edits:
            self.layer.redo()
            now = self._present(written)
            if now is not None and (now[written.mask] == written.label).all():
                return
            self.layer.undo()
        self._set(written, free, written.label)

    def _require(self, label: int) -> None:
        """Refuse what napari would fail at half-way."""
        name, data = self.layer.name, self.layer.data
        most = np.iinfo(data.dtype).max
        if label > most:
            raise InputError(
                f'"{name}" stores {np.dtype(data.dtype).name} labels, which end at {most}. Convert it to a wider '
                "integer type (right-click the layer, Convert data type), or add a new labels layer."
            )
        if isinstance(data, np.ndarray) and not data.flags.writeable:
            raise InputError(f'The data of "{name}" are read-only. Duplicate the layer, or add a new labels layer.')

    def _present(self, written: Written) -> NDArray[Any] | None:
        """Read the object's bounding box; None where the layer has other axes now."""
        data = self.layer.data
        return np.asarray(data[written.region]) if data.shape == written.array.shape else None

    def _set(self, written: Written, pixels: NDArray[np.bool_], value: Any) -> None:
        """Set pixels of an object's bounding box as one undoable step."""
        places = iter(np.nonzero(pixels))
        count = int(pixels.sum())
        # 32 bits halve what napari's history keeps of every object, and are faster.
        index = tuple(
            (next(places) + at.start).astype(np.int32) if isinstance(at, slice) else np.full(count, at, dtype=np.int32)
            for at in written.region
        )
        self.layer.data_setitem(index, value)


def _largest(data: Any) -> int:
    """Find the largest label, a slab at a time where the data are not in memory."""
    if isinstance(data, np.ndarray) or data.ndim < 3:
        return max(0, int(np.max(data, initial=0)))
    return max(0, *(int(np.max(np.asarray(slab), initial=0)) for slab in data))


def fits(viewer: ViewerModel, layer: Labels, image: Image) -> bool:
    """Tell whether the pixels of a Labels layer are those of an image, and can be written."""
    return (
        not layer.multiscale
        and tuple(layer.data.shape) == tuple(image.data.shape[: image.ndim])
        and Grid.of(viewer, layer).matches(Grid.of(viewer, image))
    )
