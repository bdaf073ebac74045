"""Writing accepted objects into a Labels layer of the person's, through napari's own undo history."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.session import messages
from napari_sam.session.labels import undo_history
from napari_sam.session.labels.compressed import Change, CompressedArray
from napari_sam.session.labels.edit import LabelEdit, WrittenGroup, spread
from napari_sam.session.labels.max_label import LargestLabel
from napari_sam.session.labels.pixels import draw_levels, full, refusal, write_levels
from napari_sam.session.labels.tiled import TiledLabels
from napari_sam.session.viewing.transform import LayerTransform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.components import ViewerModel
    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from napari_sam.inference.worker import Worker
    from napari_sam.planes.source import PlaneIndex

_ROWS = 2**22
"""Pixels of a plane that are searched at a time for those of an object."""


class LabelWriter:
    """Writes objects into one Labels layer, each as one step of napari's undo history.

    napari keeps no history of layers with several resolutions, and lets nobody paint in them; there, only `take_back`
    and `put_back` undo and redo.

    Parameters
    ----------
    layer : Labels
        The layer.
    worker : Worker, optional
        Counts the ids of large layers, in turns with its other work; without it, they are counted at once.
    changed : callable, optional
        Called when the ids are counted.
    """

    def __init__(self, layer: Labels, worker: Worker | None = None, changed: Callable[[], None] | None = None) -> None:
        self.layer = layer
        self._largest = LargestLabel(layer, worker, changed)
        self._edits = 0
        self._undone_at = -1
        self._item: list[Any] | None = None
        self._introduced = False
        # napari holds bound methods weakly: the connections end with the writer.
        layer.events.paint.connect(self._on_layer_paint)
        layer.events.data.connect(self._on_layer_data)

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
        if problem := self._largest.problem:
            raise InputError(f'"{name}" cannot be read ({problem}). Choose another labels layer, or add a new one.')
        raise InputError(
            f'The ids in "{name}" are still being read ({self._largest.share:.0%} done). '
            "Try again in a moment, or add a new labels layer."
        )

    @property
    def known_label(self) -> int | None:
        """The next free id; None while the ids of a large layer are still being counted."""
        largest = self._largest.value
        return None if largest is None else largest + 1

    def introduce(self) -> str:
        """Say what the person should know about the layer, the first time; "" where there is nothing to say."""
        data = full(self.layer)
        if self._introduced or not isinstance(data, TiledLabels):
            return ""
        self._introduced = True
        return messages.kept_on_disk(data.folder, paintable=not self.layer.multiscale)

    def stop(self) -> None:
        """Read no further ids: this layer is no target any more."""
        self._largest.stop()

    def take_as_empty(self) -> None:
        """Know that the layer holds no ids yet, because it was just made."""
        self._largest.take_as_empty()

    def _on_layer_paint(self, event: Any) -> None:
        self._edits += 1
        self._item = event.value

    def _on_layer_data(self) -> None:
        self._edits += 1

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
        gave, and `join` each to those before it.

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
        label = self.next_label if label is None else label
        if why := refusal(self.layer, label):
            raise InputError(why)
        if replace:
            mask, origin = self._with_old(view, mask, origin, label)
        region = view.slices(origin, mask.shape)
        present = np.array(np.asarray(full(self.layer)[region]))
        after = np.array(present)
        if replace:
            after[present == label] = 0
        after[mask & (after == 0) if only_empty else mask] = label
        changed = after != present
        if not changed.any():
            return None
        change = Change.of(region, changed, present[changed], after[changed])
        item = self._set(region, changed, after[changed])
        self._keep(item, [change])
        self._largest.note(label)
        carrying = after == label
        drawn = change.pixels if np.array_equal(carrying, changed) else CompressedArray.of(carrying)
        data = self.layer.data
        return LabelEdit(self, label, change, drawn, tuple(data.shape), _reference(data), item)

    def join(self, earlier: LabelEdit | WrittenGroup | None, newest: LabelEdit) -> WrittenGroup:
        """Make a write part of the step of earlier ones: one undo, napari's own as well as ours, takes all of it back.

        In napari's history they stay apart where the person changed the layer in between, so that their own steps come
        back in the order in which they were made; `take_back` and `put_back` treat them as one in any case.

        Parameters
        ----------
        earlier : LabelEdit or WrittenGroup or None
            What the step holds so far; None to begin one.
        newest : LabelEdit
            The write that was made last.

        Returns
        -------
        WrittenGroup
            The step, with the new write at its end; the older value is no longer needed.
        """
        if earlier is None:
            return WrittenGroup((newest,), newest.item)
        item = undo_history.merged(self.layer, earlier.item, newest.item)
        return WrittenGroup((*earlier.parts, newest), item)

    def take_back(self, written: LabelEdit | WrittenGroup) -> None:
        """Undo a write, with napari's own undo where it is the newest step; what the person painted since stays.

        Does nothing where the person has undone it already.
        """
        parts = written.parts
        if not any(self._ours(part) is not None for part in parts):
            return
        same = all(self.layer.data is part.data() for part in parts)
        if self._has_history and same and undo_history.can_undo(self.layer):
            self.layer.undo()
            if all(self._shows(part, part.change.before) for part in parts):
                self._undone_at = self._edits
                return
            self.layer.redo()  # the newest step was something else, which is none of our business
        self._exchange([(part, part.change.after, part.change.before) for part in reversed(parts)])

    def put_back(self, written: LabelEdit | WrittenGroup) -> None:
        """Write an object again that was taken back; does nothing where the person has redone it already."""
        parts = written.parts
        if not any(self._free(part) is not None for part in parts):
            return
        # Only while nothing was painted since is the step sure to be among napari's redoable ones.
        same = all(self.layer.data is part.data() for part in parts)
        if self._has_history and same and self._undone_at == self._edits:
            self.layer.redo()
            if all(self._shows(part, part.change.after) for part in parts):
                return
            self.layer.undo()
        for part in self._exchange([(part, part.change.before, part.change.after) for part in parts]):
            self._largest.note(part.label)

    @property
    def _has_history(self) -> bool:
        return not self.layer.multiscale

    def _exchange(self, parts: list[tuple[LabelEdit, CompressedArray, CompressedArray]]) -> list[LabelEdit]:
        """Put other values in the place of some, where they are as the parts have it; return the parts that changed."""
        changes, changed = [], []
        self._item = None
        with self.layer.block_history():
            for part, old, new in parts:
                if (found := self._holding(part, old)) is not None:
                    pixels = part.change.pixels.array()
                    before, after = (spread(pixels, values.array())[found] for values in (old, new))
                    changes.append(Change.of(part.change.region, found, before, after))
                    changed.append(part)
                    self._set(part.change.region, found, after)
        self._keep(self._item, changes)
        return changed

    def _keep(self, item: list[Any] | None, changes: list[Change]) -> None:
        """Let napari's history keep a step in little room, and no more than there is room for."""
        undo_history.compress(item, changes)
        undo_history.bound(self.layer)

    def _present(self, part: LabelEdit) -> NDArray[Any] | None:
        """Read a part's bounding box; None where the layer has other axes now."""
        same = tuple(self.layer.data.shape) == part.shape
        return np.asarray(full(self.layer)[part.change.region]) if same else None

    def _shows(self, part: LabelEdit, values: CompressedArray) -> bool:
        """Tell whether the pixels of a part hold certain values now."""
        now = self._present(part)
        return now is not None and np.array_equal(now[part.change.pixels.array()], values.array())

    def _ours(self, part: LabelEdit) -> NDArray[np.bool_] | None:
        """Find the pixels of a part that are as they were written; None when there is none."""
        return self._holding(part, part.change.after)

    def _free(self, part: LabelEdit) -> NDArray[np.bool_] | None:
        """Find the pixels of a part that are as they were before it; None when there is none."""
        return self._holding(part, part.change.before)

    def _holding(self, part: LabelEdit, values: CompressedArray) -> NDArray[np.bool_] | None:
        now = self._present(part)
        if now is None:
            return None
        pixels = part.change.pixels.array()
        found: NDArray[np.bool_] = pixels & (now == spread(pixels, values.array()))
        return found if found.any() else None

    def _with_old(
        self, view: PlaneIndex, mask: NDArray[np.bool_], origin: tuple[int, int], label: int
    ) -> tuple[NDArray[np.bool_], tuple[int, int]]:
        """Enlarge a mask's box so that it holds the pixels of the plane that carry a label already."""
        low, high = np.array(origin), np.add(origin, mask.shape)
        for box in self._boxes(view, label):
            low, high = np.minimum(low, box[0]), np.maximum(high, box[1])
        wide = np.zeros(high - low, dtype=bool)
        top, left = np.subtract(origin, low)
        wide[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
        return wide, (int(low[0]), int(low[1]))

    def _boxes(self, view: PlaneIndex, label: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """Find where a plane carries a label: first and last corners of rectangles, some rows at a time."""
        height, width = view.shape
        step = max(1, _ROWS // width)
        for top in range(0, height, step):
            rows = np.asarray(full(self.layer)[view.slices((top, 0), (min(step, height - top), width))])
            y, x = np.nonzero(rows == label)
            if len(y):
                yield (top + int(y.min()), int(x.min())), (top + int(y.max()) + 1, int(x.max()) + 1)

    def _set(self, region: tuple[int | slice, ...], pixels: NDArray[np.bool_], values: NDArray[Any]) -> Any:
        """Set pixels of a bounding box as one undoable step, and return napari's record of it."""
        if self.layer.multiscale:
            block = np.array(np.asarray(full(self.layer)[region]))
            block[pixels] = values
            write_levels(self.layer.data, region, block)
            draw_levels(self.layer)
            return None
        places = iter(np.nonzero(pixels))
        count = len(values)
        # 32 bits halve what napari's history keeps of every object, and are faster.
        index = tuple(
            (next(places) + at.start).astype(np.int32) if isinstance(at, slice) else np.full(count, at, dtype=np.int32)
            for at in region
        )
        self._item = None
        same = (values == values[0]).all()
        self.layer.data_setitem(index, values[0] if same else values)
        return self._item


def _reference(data: Any) -> Callable[[], Any]:
    """Refer to data that the history must not keep alive, as they may be large."""
    try:
        return weakref.ref(data)
    except TypeError:  # kinds of arrays that nothing can refer to weakly
        return lambda: data


def fits(viewer: ViewerModel, layer: Labels, image: Image) -> bool:
    """Tell whether the pixels of a Labels layer are those of an image, both at full resolution."""
    return same_shape(layer, image) and LayerTransform.of(viewer, layer).matches(LayerTransform.of(viewer, image))


def same_shape(layer: Labels, image: Image) -> bool:
    """Tell whether a Labels layer has a pixel for each of an image's, both at full resolution, wherever they lie."""
    return tuple(layer.data.shape) == tuple(image.data.shape[: image.ndim])
