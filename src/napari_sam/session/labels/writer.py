"""Writing accepted objects into a Labels layer of the person's, through napari's own undo history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.session import messages
from napari_sam.session.labels.compressed import Change, CompressedArray, values_at
from napari_sam.session.labels.edit import LabelEdit
from napari_sam.session.labels.editable_layer import EditableLayer
from napari_sam.session.labels.max_label import MaxLabel
from napari_sam.session.labels.pixels import full_resolution, wider_dtype, write_problem
from napari_sam.session.labels.tiled import TiledLabels
from napari_sam.session.viewing.feature_table import begin_objects
from napari_sam.session.viewing.transform import LayerTransform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from napari_sam.inference.worker import Worker
    from napari_sam.planes.source import PlaneIndex

_ROWS = 2**22
"""Pixels of a plane that are searched at a time for those of an object."""


class LabelWriter:
    """Writes objects into one Labels layer, each as one step of napari's undo history.

    napari keeps no history of layers with several resolutions, and lets nobody paint in them; there, only
    `LabelEdit.undo` and `redo` work.

    Parameters
    ----------
    layer : Labels
        The layer.
    worker : Worker, optional
        Counts the ids of large layers, in turns with its other work; without it, they are counted at once.
    changed : callable, optional
        Called when the ids are counted.
    protected : callable, optional
        Gives the ids whose pixels are never written over.
    new_class : callable, optional
        Gives the class of new objects; "" for none.
    """

    def __init__(
        self,
        layer: Labels,
        worker: Worker | None = None,
        changed: Callable[[], None] | None = None,
        protected: Callable[[], tuple[int, ...]] = tuple,
        new_class: Callable[[], str] = str,
    ) -> None:
        self.layer = layer
        self._protected = protected
        self.new_class = new_class
        """Gives the class of new objects; "" for none."""
        self.ids = MaxLabel(layer, worker, changed)
        """The ids in the layer; `MaxLabel.assume_empty` and `MaxLabel.stop_counting` are for who chooses layers."""
        self._target = EditableLayer(layer, self.ids.note_written)
        self.pixels_set = self._target.pixels_set
        """Carries each box that is written into a layer of several resolutions, of which napari tells nothing."""
        self._introduced = False
        self._widened = ""
        self._reserved = 0

    @property
    def target(self) -> EditableLayer:
        """The layer, as something whose pixels are set."""
        return self._target

    # -- ids --------------------------------------------------------------------------------------

    @property
    def next_label(self) -> int:
        """The next free id: one more than the largest in the layer.

        In very large layers an id that was undone is not given again before the layer's data are replaced.

        Raises
        ------
        InputError
            While the ids of a large layer are still being counted.
        """
        if (known := self.known_label) is not None:
            return known
        name = self.layer.name
        if problem := self.ids.problem:
            raise InputError(f'"{name}" cannot be read ({problem}). Choose another labels layer, or add a new one.')
        raise InputError(
            f'The ids in "{name}" are still being read ({self.ids.share:.0%} done). '
            "Try again in a moment, or add a new labels layer."
        )

    @property
    def known_label(self) -> int | None:
        """The next free id; None while the ids of a large layer are still being counted."""
        largest = self.ids.value
        return None if largest is None else max(largest, self._reserved) + 1

    def reserve(self, count: int) -> int:
        """Keep the next ids for objects that are written plane by plane, until `release`.

        Parameters
        ----------
        count : int
            How many.

        Returns
        -------
        int
            What is to be added to numbers from 1 on to make ids of them.

        Raises
        ------
        InputError
            As `write`.
        """
        offset = self.next_label - 1
        self.make_room(offset + count)
        self._reserved = offset + count
        begin_objects(self.layer, range(offset + 1, offset + count + 1), self.new_class())
        return offset

    def release(self) -> None:
        """Give the ids free that `reserve` kept, and nobody wrote."""
        self._reserved = 0

    def make_room(self, label: int) -> None:
        """See to it that the layer can hold an id: by wider integers, where its data are an array in memory.

        Raises
        ------
        InputError
            If it cannot, or its data cannot be changed.
        """
        why = write_problem(self.layer, label)
        if why and (wider := wider_dtype(self.layer, label)) is not None:
            narrow, known = self.layer.data.dtype.name, self.ids.value
            self._target.widen(wider)
            self.ids.assume(known)
            self._widened = messages.widened(self.layer.name, narrow, wider.name)
            why = write_problem(self.layer, label)
        if why:
            raise InputError(why)

    def first_notice(self) -> str:
        """Say what the person should know about the layer, the first time; "" where there is nothing to say."""
        data, widened = full_resolution(self.layer), self._widened
        self._widened = ""
        if widened or self._introduced or not isinstance(data, TiledLabels):
            return widened
        self._introduced = True
        return messages.kept_on_disk(data.folder, paintable=not self.layer.multiscale)

    def disconnect(self) -> None:
        """Listen to the layer no more: the session ends."""
        self.ids.disconnect()
        self._target.disconnect()

    # -- writing ----------------------------------------------------------------------------------

    def write(
        self,
        view: PlaneIndex,
        mask: NDArray[np.bool_],
        origin: tuple[int, int],
        *,
        only_empty: bool,
        label: int | None = None,
        replace: bool = False,
    ) -> LabelEdit | None:
        """Write a mask, as one step of napari's history.

        To write an object on many planes as one step, write plane after plane with the label that the first write
        gave, and `join_edits` each with those before it.

        Parameters
        ----------
        view : PlaneIndex
            The plane.
        mask : numpy.ndarray, shape (h, w), bool
            The object, cut to its bounding box.
        origin : (int, int)
            Upper left pixel of the box on the plane.
        only_empty : bool
            Leave pixels alone that carry another label.
        label : int, optional
            The id; by default the next free one.
        replace : bool
            Empty the pixels of this plane that carry the label and are not in the mask.

        Returns
        -------
        LabelEdit or None
            What was written; None when there was no pixel to write.

        Raises
        ------
        InputError
            If the layer's integers do not hold the id, or its data cannot be changed.
        """
        is_new, label = label is None, self.next_label if label is None else label
        self.make_room(label)
        if replace:
            mask, origin = self._with_old(view, mask, origin, label)
        region = view.slices(origin, mask.shape)
        present = self._target.read(region)
        old = present == label
        # Where only empty pixels are filled, those that carry the label count as empty.
        inside = mask & (~self._kept(present, only_empty=only_empty) | old)
        carrying = inside if replace else inside | old
        changed = carrying ^ old
        if not changed.any():
            return None
        if is_new:
            begin_objects(self.layer, [label], self.new_class())
        given = present.dtype.type(label)
        values = given * carrying[changed] if replace else np.broadcast_to(given, int(np.count_nonzero(changed)))
        return self._commit(region, changed, values_at(present, changed), values, label, carrying)

    def write_objects(
        self,
        view: PlaneIndex,
        objects: NDArray[np.int32],
        origin: tuple[int, int],
        *,
        only_empty: bool,
        offset: int | None = None,
        ids: Sequence[int] | None = None,
    ) -> tuple[LabelEdit, int] | None:
        """Write many new objects, as one step of napari's history.

        Parameters
        ----------
        view : PlaneIndex
            The plane.
        objects : numpy.ndarray, shape (h, w), int32
            Numbers 1 to n of the objects, 0 for none, in a box of the plane.
        origin : (int, int)
            Upper left pixel of the box on the plane.
        only_empty : bool
            Leave pixels alone that carry a label.
        offset : int, optional
            What to add to the numbers to make ids of them, from `reserve`; by default, ids are the next free ones.
        ids : sequence of int, optional
            Ids of objects that are there, one for each number: their older pixels in the box are emptied.

        Returns
        -------
        (LabelEdit, int) or None
            What was written, named by the largest id, and what was added to the numbers to make ids of them; None when
            there was no pixel to write.

        Raises
        ------
        InputError
            As `write`.
        """
        count = int(objects.max(initial=0))
        if not count:
            return None
        first = 1 if ids is not None else self.next_label if offset is None else offset + 1
        names = np.arange(first, first + count) if ids is None else np.array(ids, np.int64)
        self.make_room(int(names.max()))
        region = view.slices(origin, (objects.shape[0], objects.shape[1]))
        # A copy: the layer changes below, and this is what undo brings back.
        present = np.array(self._target.read(region))
        after = np.array(present)
        after[np.isin(present, [] if ids is None else ids)] = 0
        # Who replaces objects never asks for pixels of others.
        where = (objects > 0) & ~self._kept(after, only_empty=only_empty or ids is not None)
        after[where] = names[objects[where] - 1]
        changed = after != present
        if not changed.any():
            return None
        if offset is None and ids is None:
            begin_objects(self.layer, range(first, first + count), self.new_class())
        return self._commit(region, changed, present[changed], after[changed], int(names.max())), first - 1

    def _commit(
        self,
        region: tuple[int | slice, ...],
        changed: NDArray[np.bool_],
        before: NDArray[np.integer[Any]],
        after: NDArray[np.integer[Any]],
        label: int,
        carrying: NDArray[np.bool_] | None = None,
    ) -> LabelEdit:
        """Set the pixels of a box that changed, as one step; `carrying`: those that carry the label since."""
        change = Change.of(region, changed, before, after)
        step = self._target.set_pixels(change, changed, after)
        self._target.compress_step(step, [change])
        self.ids.note_written(label)
        # Mostly one and the same: held once, it is counted once.
        alike = carrying is None or np.array_equal(carrying, changed)
        drawn = change.pixels if carrying is None or alike else CompressedArray.of(carrying)
        return LabelEdit(self._target, label, change, drawn, self._target.shape, self._target.reference_data(), step)

    def _kept(self, pixels: NDArray[Any], *, only_empty: bool) -> NDArray[np.bool_]:
        """Tell which pixels carry a label that must stay."""
        # What the layer is told to preserve, it preserves from everybody.
        if only_empty or self.layer.preserve_labels:
            occupied: NDArray[np.bool_] = pixels != 0
            return occupied
        protected = self._protected()
        return np.isin(pixels, protected) if protected else np.zeros(pixels.shape, dtype=bool)

    def _with_old(
        self, view: PlaneIndex, mask: NDArray[np.bool_], origin: tuple[int, int], label: int
    ) -> tuple[NDArray[np.bool_], tuple[int, int]]:
        """Enlarge a mask's box so that it holds the pixels of the plane that carry a label already."""
        low, high = np.array(origin), np.add(origin, mask.shape)
        for box in _boxes(self.layer, view, label):
            low, high = np.minimum(low, box[0]), np.maximum(high, box[1])
        wide = np.zeros(high - low, dtype=bool)
        top, left = np.subtract(origin, low)
        wide[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
        return wide, (int(low[0]), int(low[1]))


def _boxes(layer: Labels, view: PlaneIndex, label: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Find where a plane carries a label: first and last corners of rectangles, some rows at a time."""
    height, width = view.shape
    step = max(1, _ROWS // width)
    for top in range(0, height, step):
        rows = np.asarray(full_resolution(layer)[view.slices((top, 0), (min(step, height - top), width))])
        y, x = np.nonzero(rows == label)
        if len(y):
            yield (top + int(y.min()), int(x.min())), (top + int(y.max()) + 1, int(x.max()) + 1)


def fits_image(viewer: ViewerModel, layer: Labels, image: Image) -> bool:
    """Tell whether the pixels of a Labels layer are those of an image, both at full resolution."""
    return same_shape(layer, image) and LayerTransform.of(viewer, layer).matches(LayerTransform.of(viewer, image))


def same_shape(layer: Labels, image: Image) -> bool:
    """Tell whether a Labels layer has a pixel for each of an image's, both at full resolution, wherever they lie."""
    return tuple(layer.data.shape) == tuple(image.data.shape[: image.ndim])
