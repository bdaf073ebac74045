"""What was written into a Labels layer, as values that can be undone and redone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.session.labels import undo_history
from napari_sam.session.labels.compressed import Change, CompressedArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sam.session.labels.editable_layer import EditableLayer


@dataclass(frozen=True, slots=True, eq=False)
class LabelEdit:
    """One object, or its part on one plane, in a Labels layer.

    Attributes
    ----------
    target : EditableLayer
        What it was written into.
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
    step : list or None
        The step in napari's undo history that holds it; None where napari keeps none.
    """

    target: EditableLayer
    label: int
    change: Change
    drawn: CompressedArray
    shape: tuple[int, ...]
    data: Callable[[], Any]
    step: list[Any] | None = None

    @property
    def parts(self) -> tuple[LabelEdit, ...]:
        """The edits of this step, oldest first: only this one."""
        return (self,)

    @property
    def layer(self) -> Labels:
        """The layer."""
        return self.target.layer

    @property
    def origin(self) -> tuple[int, int]:
        """Upper left pixel of the box on the plane, (y, x)."""
        top, left = (at.start for at in self.change.region if isinstance(at, slice))
        return int(top), int(left)

    def undo(self) -> None:
        """Take it back; see `EditGroup.undo`."""
        EditGroup((self,), self.step).undo()

    def redo(self) -> None:
        """Write it again; see `EditGroup.redo`."""
        EditGroup((self,), self.step).redo()

    def holding(self, values: CompressedArray) -> NDArray[np.bool_] | None:
        """Find the changed pixels that hold certain values now, one for each; None when there is none."""
        present = self._read()
        if present is None:
            return None
        pixels = self.change.pixels.array()
        # What else they hold, the person painted since: that is theirs.
        found: NDArray[np.bool_] = pixels & (present == _spread(pixels, values))
        return found if found.any() else None

    def shows(self, values: CompressedArray) -> bool:
        """Tell whether all changed pixels hold certain values now."""
        present = self._read()
        if present is None:
            return False
        pixels = self.change.pixels.array()
        return not (pixels & (present != _spread(pixels, values))).any()

    def _read(self) -> NDArray[Any] | None:
        """Read the box of the change; None where the layer has other axes now."""
        return self.target.read(self.change.region) if self.target.shape == self.shape else None


@dataclass(frozen=True, slots=True, eq=False)
class EditGroup:
    """Several edits that are undone and redone as one, such as those of an object on many planes.

    Attributes
    ----------
    parts : tuple of LabelEdit
        The edits, oldest first; all of one layer.
    step : list or None
        The step in napari's undo history that holds all of them; None where they are several steps.
    """

    parts: tuple[LabelEdit, ...]
    step: list[Any] | None = None

    @property
    def target(self) -> EditableLayer:
        """What they were written into."""
        return self.parts[0].target

    @property
    def label(self) -> int:
        """Id of the object that was written first."""
        return self.parts[0].label

    def undo(self) -> None:
        """Take all of it back, with napari's own undo where it is the newest step; what was painted since stays.

        Does nothing where the person has undone it already.
        """
        parts, target = self.parts, self.target
        if not any(part.holding(part.change.after) is not None for part in parts):
            return
        # napari's history outlives the data: it would write old values into other pixels.
        if target.can_undo and self._has_same_data:
            target.undo()
            # napari does not say what it took back; the pixels do.
            if all(part.shows(part.change.before) for part in parts):
                target.mark_undone()
                return
            target.redo()  # the newest step was something else, which is none of our business
        # Backwards: where parts overlap, the oldest values come back last.
        _exchange(target, [(part, part.change.after, part.change.before) for part in reversed(parts)])

    def redo(self) -> None:
        """Write all of it again after `undo`; does nothing where the person has redone it already."""
        parts, target = self.parts, self.target
        if not any(part.holding(part.change.before) is not None for part in parts):
            return
        # Only while nothing was painted since, the step is sure to be among napari's redoable ones.
        if target.can_redo and self._has_same_data:
            target.redo()
            if all(part.shows(part.change.after) for part in parts):
                return
            target.undo()  # that was another step: it goes back
        for part in _exchange(target, [(part, part.change.before, part.change.after) for part in parts]):
            target.label_restored(part.label)

    @property
    def _has_same_data(self) -> bool:
        """Whether the layer's data are those that were written into."""
        return all(self.target.layer.data is part.data() for part in self.parts)


def join_edits(earlier: LabelEdit | EditGroup | None, newest: LabelEdit) -> EditGroup:
    """Make an edit part of the step of earlier ones: one undo, napari's own as well as ours, takes all of it back.

    In napari's history they stay apart where the person changed the layer in between, so that their own steps come back
    in the order in which they were made; `EditGroup.undo` and `redo` treat them as one in any case.

    Parameters
    ----------
    earlier : LabelEdit or EditGroup or None
        What the step holds so far; None to begin one.
    newest : LabelEdit
        The edit that was made last.

    Returns
    -------
    EditGroup
        The step, with the new edit at its end; the older value is no longer needed.
    """
    if earlier is None:
        return EditGroup((newest,), newest.step)
    step = undo_history.merge_newest(newest.layer, earlier.step, newest.step)
    return EditGroup((*earlier.parts, newest), step)


def _spread(pixels: NDArray[np.bool_], values: CompressedArray) -> NDArray[Any]:
    """Lay packed values out in their box, as `spread_values`; a single one where all are the same."""
    return values.array()[:1] if values.uniform else spread_values(pixels, values.array())


def spread_values(pixels: NDArray[np.bool_], values: NDArray[Any]) -> NDArray[Any]:
    """Lay the values of changed pixels out in their box, zero elsewhere."""
    laid = np.zeros(pixels.shape, dtype=values.dtype)
    laid[pixels] = values
    return laid


def _exchange(
    target: EditableLayer, parts: list[tuple[LabelEdit, CompressedArray, CompressedArray]]
) -> list[LabelEdit]:
    """Put other values in the place of some, where they are as the parts have it; return the parts that changed."""
    changed = []
    with target.one_step() as changes:
        for part, old, new in parts:
            if (found := part.holding(old)) is not None:
                pixels = part.change.pixels.array()
                before, after = (spread_values(pixels, values.array())[found] for values in (old, new))
                changes.append(Change.of(part.change.region, found, before, after))
                changed.append(part)
                target.set_pixels(changes[-1], found, after)
    return changed
