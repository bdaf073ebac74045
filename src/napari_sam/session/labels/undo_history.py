"""napari's own undo history of a Labels layer, which has no public names: lists of changes, in a deque of steps."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from napari.layers.labels import labels as napari_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sam.session.labels.compressed import Change

ROOM = 1 << 28
"""Bytes that napari's history of one layer may hold: 256 MiB."""

_Paint: Any = getattr(napari_labels, "_MaskedPaintAtom", tuple)
_FIELDS = ("slice_key", "mask", "old_values", "new_value")
_KNOWN = getattr(_Paint, "_fields", None) == _FIELDS
"""Whether napari's record of a stroke is the one that is known here; if not, its records of ours stay as they are."""


class CompressedPaint(_Paint):  # type: ignore[misc]
    """A change as napari replays it, which unpacks its pixels only then.

    napari's own record of what `Labels.data_setitem` changed lists the coordinates of every pixel.
    """

    __slots__ = ()

    @classmethod
    def of(cls, change: Change) -> CompressedPaint:
        """Make napari's record of a change."""
        box = tuple(at if isinstance(at, slice) else slice(at, at + 1) for at in change.region)
        return cls(box, change.pixels, change.before, change.after)

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


def compress(item: list[Any] | None, changes: Sequence[Change]) -> None:
    """Put compressed records of changes in the place of napari's own, if a step consists of these.

    Parameters
    ----------
    item : list or None
        The step in napari's history; None where napari keeps none.
    changes : sequence of Change
        What was changed, in the order in which it was.
    """
    if not _KNOWN or item is None or len(item) != len(changes):
        return
    if all(len(part[1]) == change.before.shape[0] for part, change in zip(item, changes, strict=True)):
        item[:] = [CompressedPaint.of(change) for change in changes]


def bound(layer: Labels) -> None:
    """Let the oldest steps of napari's history go until the rest takes no more than `ROOM`; the newest stays."""
    steps = _steps(layer, "_undo_history")
    held = sum(map(_size, steps)) + sum(map(_size, _steps(layer, "_redo_history")))
    while held > ROOM and len(steps) > 1:
        held -= _size(steps.popleft())


def merged(layer: Labels, earlier: list[Any] | None, newest: list[Any] | None) -> list[Any] | None:
    """Make the newest two steps of napari's history one, if they are these; None where they stay apart.

    napari groups changes that are made within one call (`Labels.block_history`), not those that come one by one while
    the person works on.
    """
    history = _steps(layer, "_undo_history")
    if earlier is None or newest is None or len(history) < 2:
        return None
    if history[-1] is not newest or history[-2] is not earlier:
        return None
    history.pop()
    earlier.extend(newest)
    return earlier


def can_undo(layer: Labels) -> bool:
    """Tell whether there is anything that napari's own undo would take back."""
    return bool(_steps(layer, "_undo_history"))


class EarlierSteps:
    """The steps that napari's history of a layer held at one time, such as those of a session before.

    Parameters
    ----------
    layer : Labels
        The layer, at that time.
    """

    def __init__(self, layer: Labels) -> None:
        self._components = {id(part): part for step in _steps(layer, "_undo_history") for part in step}

    def next_to_undo(self, layer: Labels) -> bool:
        """Tell whether napari's own undo would take back one of these steps."""
        return self._next(layer, "_undo_history")

    def next_to_redo(self, layer: Labels) -> bool:
        """Tell whether napari's own redo would put one of these steps back."""
        return self._next(layer, "_redo_history")

    def _next(self, layer: Labels, name: str) -> bool:
        undo, redo = (_steps(layer, each) for each in ("_undo_history", "_redo_history"))
        # What has fallen off napari's history would be held by nothing but this.
        there = {id(part) for steps in (undo, redo) for step in steps for part in step}
        self._components = {number: part for number, part in self._components.items() if number in there}
        steps = _steps(layer, name)
        # An undone step is another list of the same parts.
        return bool(steps) and any(id(part) in self._components for part in steps[-1])


def _steps(layer: Labels, name: str) -> deque[list[Any]]:
    steps: deque[list[Any]] = getattr(layer, name, deque())
    return steps


def _size(held: Any) -> int:
    """Count the bytes of a step, or of one of its parts."""
    if isinstance(size := getattr(held, "nbytes", None), int):
        return size
    return sum(map(_size, held)) if isinstance(held, (list, tuple)) else 0
