"""What was written into a Labels layer, as values: enough to take it back, and to write it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sam.session.labels.compressed import Change, CompressedArray
    from napari_sam.session.labels.writer import LabelWriter


@dataclass(frozen=True, slots=True, eq=False)
class LabelEdit:
    """One object, or its part on one plane, in a Labels layer.

    Attributes
    ----------
    writer : LabelWriter
        Who wrote it.
    label : int
        Its id.
    change : Change
        The pixels that changed.
    drawn : CompressedArray, shape (h, w), bool
        The pixels of the change's box that carry the id since.
    shape : tuple of int
        Shape of the layer's data at that time, at full resolution.
    data : callable
        Gives the layer's data of that time, as long as anything else holds them; then None.
    item : list or None
        The step in napari's undo history that holds it; None where napari keeps none.
    """

    writer: LabelWriter
    label: int
    change: Change
    drawn: CompressedArray
    shape: tuple[int, ...]
    data: Callable[[], Any]
    item: list[Any] | None = None

    @property
    def parts(self) -> tuple[LabelEdit, ...]:
        """The writes of this step, oldest first: only this one."""
        return (self,)

    @property
    def origin(self) -> tuple[int, int]:
        """Upper left pixel of the box on the plane, (y, x)."""
        top, left = (at.start for at in self.change.region if isinstance(at, slice))
        return int(top), int(left)


@dataclass(frozen=True, slots=True, eq=False)
class WrittenGroup:
    """Several writes that are undone and redone as one, such as those of an object on many planes.

    Attributes
    ----------
    parts : tuple of LabelEdit
        The writes, oldest first; all by one writer.
    item : list or None
        The step in napari's undo history that holds all of them; None where they are several steps.
    """

    parts: tuple[LabelEdit, ...]
    item: list[Any] | None = None

    @property
    def writer(self) -> LabelWriter:
        """Who wrote them."""
        return self.parts[0].writer

    @property
    def label(self) -> int:
        """Id of the object that was written first."""
        return self.parts[0].label


def spread(pixels: NDArray[np.bool_], values: NDArray[Any]) -> NDArray[Any]:
    """Lay the values of a write's changed pixels out in their box, zero elsewhere."""
    laid = np.zeros(pixels.shape, dtype=values.dtype)
    laid[pixels] = values
    return laid
