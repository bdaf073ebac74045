"""One history for prompts and accepted objects: what undo and redo go through."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam.inference.refinement import Refinement
    from napari_sam.session.labels.edit import EditGroup, LabelEdit
    from napari_sam.session.objects.tracked import TrackedObject
    from napari_sam.session.prompts.drawing import PromptContents
    from napari_sam.session.viewing.feature_table import NotesChange

LIMIT = 100
"""Steps kept, as many as napari keeps of its own."""
ROOM = 1 << 28
"""Bytes that the steps of one image may hold, 256 MiB; a step that is larger alone is kept until the next one comes."""


@dataclass(frozen=True, slots=True, eq=False)
class HistoryStep:
    """One thing that the person did.

    Attributes
    ----------
    before, after : PromptContents
        What was drawn before and after it.
    written : LabelEdit or EditGroup or None
        The object that it wrote, when it was an accept or a run through a stack.
    entries : tuple of int
        Numbers of what was written in the journal; -1 for what is in none.
    notes : NotesChange or None
        What it noted of objects, such as their class.
    refinement : Refinement
        The answers for the object that was prompted before it.
    current_before, current_after : TrackedObject or None
        The current object before and after it.
    refinement_after : Refinement or None
        What the object that is prompted since began with; None for a new one.
    """

    before: PromptContents
    after: PromptContents
    written: LabelEdit | EditGroup | None = None
    entries: tuple[int, ...] = ()
    refinement: Refinement | None = None
    current_before: TrackedObject | None = None
    current_after: TrackedObject | None = None
    refinement_after: Refinement | None = None
    notes: NotesChange | None = None
    nbytes: int = field(init=False)
    """Bytes that this step holds; what it shares with the step before it counts there."""

    def __post_init__(self) -> None:
        # Counted once: a step is never changed, only replaced, and all are weighed with each new one.
        object.__setattr__(self, "nbytes", _size(self))


@dataclass(slots=True)
class History:
    """Steps that can be undone and redone, newest last.

    Attributes
    ----------
    done, undone : list of HistoryStep
        The steps.
    shortened : bool
        Whether older steps were let go, and nobody has told the person yet.
    """

    done: list[HistoryStep] = field(default_factory=list)
    undone: list[HistoryStep] = field(default_factory=list)
    shortened: bool = False

    def add(self, step: HistoryStep) -> None:
        """Note a new step; what was undone can no longer be redone."""
        self.done = [*self.done, step]
        self.undone.clear()
        self._bound()

    def change(self, step: HistoryStep, **changes: Any) -> HistoryStep:
        """Put a changed step in the place of one that goes on, if it is still there; return it."""
        changed = replace(step, **changes)
        self.done = [changed if one is step else one for one in self.done]
        self._bound()
        return changed

    def take_newest(self) -> HistoryStep:
        """Take the newest step out of the history, and return it; there must be one."""
        *self.done, newest = self.done
        return newest

    def part_drawing(self, step: HistoryStep, drawn: PromptContents) -> HistoryStep:
        """Make the drawing of prompts a step of its own, before the one that it is a part of; return that without it.

        Parameters
        ----------
        step : HistoryStep
            One that deletes prompts, which nobody had drawn before it.
        drawn : PromptContents
            What was drawn in the middle of it, these prompts included.
        """
        drawing, rest = HistoryStep(step.before, drawn), replace(step, before=drawn)
        self.done = [part for one in self.done for part in ((drawing, rest) if one is step else (one,))]
        self._bound()
        return rest

    def undo(self) -> HistoryStep | None:
        """Move the newest step to the undone ones and return it; None when there is none."""
        if not self.done:
            return None
        self.undone.append(self.done.pop())
        return self.undone[-1]

    def redo(self) -> HistoryStep | None:
        """Move the step undone last back and return it; None when there is none."""
        if not self.undone:
            return None
        self.done.append(self.undone.pop())
        return self.done[-1]

    def _bound(self) -> None:
        """Let the oldest steps go where there are too many, or they hold too much; never the newest."""
        # What can be redone holds its pixels, too.
        held, kept = sum(step.nbytes for step in self.undone), 0
        for step in reversed(self.done[-LIMIT:]):
            held += step.nbytes
            if kept and held > ROOM:
                break
            kept += 1
        if kept < len(self.done):
            self.done = self.done[-kept:]
            self.shortened = True


def _size(step: HistoryStep) -> int:
    """Count the bytes that a step holds, and the step before it does not."""
    before, after = step.current_before, step.current_after
    older = set() if before is None else {id(record) for record in before.planes.values()}
    planes = () if after is None else after.planes.values()
    arrays = [record.drawn for record in planes if id(record) not in older]
    for part in () if step.written is None else step.written.parts:
        arrays += [part.drawn, part.change.pixels, part.change.before, part.change.after]
    # The object holds what was written, too, and what is drawn is mostly just what has changed.
    arrays = list({id(array): array for array in arrays}.values())
    refined = sum(one.nbytes for one in (step.refinement, step.refinement_after) if one is not None)
    return sum(array.nbytes for array in arrays) + refined + step.after.nbytes
