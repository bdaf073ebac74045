"""napari's own undo history of a Labels layer, made small: it keeps as much of every change as the image is large.

A step of it is a list of changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sam.session.labels.compressed import whole_slices
from napari_sam.session.napari_private import paint_record, record_change, redo_steps, undo_steps

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Sequence

    import numpy as np
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sam.session.labels.compressed import Change

MAX_BYTES = 1 << 28
"""Bytes that napari's history of one layer may hold: 256 MiB."""

_PAINT_RECORD: Any = paint_record()
"""napari's own record of a stroke; None where it is not the one that is known here."""


# A plain tuple where napari has no such record: then none is ever made.
class CompressedPaint(_PAINT_RECORD or tuple):  # type: ignore[misc]
    """A change as napari replays it, which unpacks its pixels only then.

    napari's own record of what `Labels.data_setitem` changed lists the coordinates of every pixel.
    """

    __slots__ = ()

    @classmethod
    def of(cls, change: Change) -> CompressedPaint:
        """Make napari's record of a change."""
        return cls(whole_slices(change.region), change.pixels, change.before, change.after)

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return sum(int(kept.nbytes) for kept in self[1:])

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The pixels of the box that changed."""
        pixels: NDArray[np.bool_] = self[1].array()
        return pixels.reshape([at.stop - at.start for at in self[0]])

    @property
    def old_values(self) -> NDArray[Any]:
        """What these pixels held before."""
        values: NDArray[Any] = self[2].array()
        return values

    @property
    def new_value(self) -> NDArray[Any]:
        """What these pixels hold since."""
        values: NDArray[Any] = self[3].array()
        return values


def record(layer: Labels, change: Change) -> bool:
    """Put a change into napari's history, compressed, before it is made; tell whether napari takes such records."""
    return _PAINT_RECORD is not None and record_change(layer, CompressedPaint.of(change))


def compress_step(step: list[Any] | None, changes: Sequence[Change]) -> None:
    """Put compressed records of changes in the place of napari's own, if a step consists of these.

    Parameters
    ----------
    step : list or None
        The step in napari's history; None where napari keeps none.
    changes : sequence of Change
        What was changed, in the order in which it was.
    """
    if _PAINT_RECORD is None or step is None or len(step) != len(changes):
        return
    # What was recorded compressed is as it should be.
    listed = [(each, change) for each, change in zip(step, changes, strict=True) if type(each) is not CompressedPaint]
    if all(len(each[1]) == change.before.shape[0] for each, change in listed):
        # In place: napari's history and what was written both hold this list.
        step[:] = [CompressedPaint.of(change) for change in changes]


def drop_oldest(layer: Labels) -> None:
    """Drop the oldest steps of napari's history until the rest holds no more than `MAX_BYTES`; the newest stays."""
    steps = undo_steps(layer)
    held = sum(map(held_bytes, steps)) + sum(map(held_bytes, redo_steps(layer)))
    while held > MAX_BYTES and len(steps) > 1:
        held -= held_bytes(steps.popleft())


def merge_newest(layer: Labels, earlier: list[Any] | None, newest: list[Any] | None) -> list[Any] | None:
    """Make the newest two steps of napari's history one, if they are these; None where they stay apart.

    napari groups changes that are made within one call (`Labels.block_history`), not those that come one by one while
    the person works on.
    """
    steps = undo_steps(layer)
    if earlier is None or newest is None or len(steps) < 2:
        return None
    if steps[-1] is not newest or steps[-2] is not earlier:
        return None
    steps.pop()
    # In place: this list is the one that napari's history holds.
    earlier.extend(newest)
    return earlier


def can_undo(layer: Labels) -> bool:
    """Tell whether there is anything that napari's own undo would take back."""
    return bool(undo_steps(layer))


class EarlierSteps:
    """The steps that napari's history of a layer held at one time, such as those of a session before.

    Parameters
    ----------
    layer : Labels
        The layer, at that time.
    """

    def __init__(self, layer: Labels) -> None:
        # The changes themselves, as an id alone may be given to another once they are gone.
        self._changes = {id(change): change for step in undo_steps(layer) for change in step}

    def next_to_undo(self, layer: Labels) -> bool:
        """Tell whether napari's own undo would take back one of these steps."""
        return self._is_next(layer, undo_steps(layer))

    def next_to_redo(self, layer: Labels) -> bool:
        """Tell whether napari's own redo would put one of these steps back."""
        return self._is_next(layer, redo_steps(layer))

    def _is_next(self, layer: Labels, steps: deque[list[Any]]) -> bool:
        # What has fallen off napari's history would be held by nothing but this.
        present = {id(change) for each in (undo_steps(layer), redo_steps(layer)) for step in each for change in step}
        self._changes = {number: change for number, change in self._changes.items() if number in present}
        # An undone step is another list of the same changes.
        return bool(steps) and any(id(change) in self._changes for change in steps[-1])


def held_bytes(held: Any) -> int:
    """Count the bytes of a step, or of one of its changes."""
    if isinstance(size := getattr(held, "nbytes", None), int):
        return size
    return sum(map(held_bytes, held)) if isinstance(held, (list, tuple)) else 0
