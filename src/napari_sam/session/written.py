"""What was written into a Labels layer, as values: enough to take it back, and to write it again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sam.session.target import LabelWriter


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """One object, or its part on one plane, in a Labels layer.

    Attributes
    ----------
    writer : LabelWriter
        Who wrote it.
    label : int
        Its id.
    region : tuple of (int or slice)
        Index of its bounding box in the layer's data, at full resolution.
    mask : numpy.ndarray, shape (h, w), bool
        The pixels that changed.
    drawn : numpy.ndarray, shape (h, w), bool
        The pixels of the box that carry the id since.
    before, after : numpy.ndarray, shape (n,)
        What the changed pixels held before, and since.
    array : object
        The layer's data at that time.
    item : list or None
        The step in napari's undo history that holds it; None where napari keeps none.
    """

    writer: LabelWriter
    label: int
    region: tuple[int | slice, ...]
    mask: NDArray[np.bool_]
    drawn: NDArray[np.bool_]
    before: NDArray[Any]
    after: NDArray[Any]
    array: Any
    item: list[Any] | None = None

    @property
    def parts(self) -> tuple[Written, ...]:
        """The writes of this step, oldest first: only this one."""
        return (self,)

    @property
    def origin(self) -> tuple[int, int]:
        """Upper left pixel of the box on the plane, (y, x)."""
        top, left = (at.start for at in self.region if isinstance(at, slice))
        return int(top), int(left)


@dataclass(frozen=True, slots=True, eq=False)
class WrittenGroup:
    """Several writes that are undone and redone as one, such as those of an object on many planes.

    Attributes
    ----------
    parts : tuple of Written
        The writes, oldest first; all by one writer.
    item : list or None
        The step in napari's undo history that holds all of them; None where they are several steps.
    """

    parts: tuple[Written, ...]
    item: list[Any] | None = None

    @property
    def writer(self) -> LabelWriter:
        """Who wrote them."""
        return self.parts[0].writer

    @property
    def label(self) -> int:
        """Id of the object that was written first."""
        return self.parts[0].label


def packed(values: NDArray[Any]) -> NDArray[Any]:
    """Keep values that are all the same, as those of nearly every object are, in the room of one."""
    same = len(values) and (values == values[0]).all()
    return np.broadcast_to(values[0].copy(), values.shape) if same else values


def spread(part: Written, values: NDArray[Any]) -> NDArray[Any]:
    """Lay the values of a write's changed pixels out in their box, zero elsewhere."""
    laid = np.zeros(part.mask.shape, dtype=values.dtype)
    laid[part.mask] = values
    return laid


def merged(layer: Labels, earlier: list[Any] | None, newest: list[Any] | None) -> list[Any] | None:
    """Make the newest two steps of napari's history one, if they are these; None where they stay apart.

    napari groups changes that are made within one call (`Labels.block_history`), not those that come one by one while
    the person works on; its history is a deque of lists, which are replayed one after the other.
    """
    history = _steps(layer, "_undo_history")
    if earlier is None or newest is None or len(history) < 2:
        return None
    if history[-1] is not newest or history[-2] is not earlier:
        return None
    history.pop()
    earlier.extend(newest)
    return earlier


class EarlierSteps:
    """The steps that napari's history of a layer held at one time, such as those of a session before.

    Parameters
    ----------
    layer : Labels
        The layer, at that time.
    """

    def __init__(self, layer: Labels) -> None:
        self._parts = {id(part): part for step in _steps(layer, "_undo_history") for part in step}

    def next_to_undo(self, layer: Labels) -> bool:
        """Tell whether napari's own undo would take back one of these steps."""
        return self._holds(_steps(layer, "_undo_history"))

    def next_to_redo(self, layer: Labels) -> bool:
        """Tell whether napari's own redo would put one of these steps back."""
        return self._holds(_steps(layer, "_redo_history"))

    def _holds(self, steps: deque[list[Any]]) -> bool:
        # An undone step is another list of the same parts.
        return bool(steps) and any(id(part) in self._parts for part in steps[-1])


def _steps(layer: Labels, name: str) -> deque[list[Any]]:
    steps: deque[list[Any]] = getattr(layer, name, deque())
    return steps
