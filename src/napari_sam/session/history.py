"""One history for prompts and accepted objects: what undo and redo go through."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam.session.contents import Contents
    from napari_sam.session.refinement import Refinement
    from napari_sam.session.stack_object import CarriedObject
    from napari_sam.session.written import Written, WrittenGroup

LIMIT = 100
"""Steps kept, as many as napari keeps of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One thing that the person did.

    Attributes
    ----------
    before, after : Contents
        What was drawn before and after it.
    written : Written or WrittenGroup or None
        The object that it wrote, when it was an accept or a run through a stack.
    entries : tuple of int
        Numbers of what was written in the journal; -1 for what is in none.
    refinement : Refinement
        The answers for the object that was prompted before it.
    held, holds : CarriedObject or None
        The object in hand before and after it.
    """

    before: Contents
    after: Contents
    written: Written | WrittenGroup | None = None
    entries: tuple[int, ...] = ()
    refinement: Refinement | None = None
    held: CarriedObject | None = None
    holds: CarriedObject | None = None


@dataclass(slots=True)
class History:
    """Steps that can be undone and redone, newest last."""

    done: list[Step] = field(default_factory=list)
    undone: list[Step] = field(default_factory=list)

    def add(self, step: Step) -> None:
        """Note a new step; what was undone can no longer be redone."""
        self.done = [*self.done, step][-LIMIT:]
        self.undone.clear()

    def change(self, step: Step, **changes: Any) -> Step:
        """Put a changed step in the place of one that goes on, if it is still there; return it."""
        changed = replace(step, **changes)
        self.done = [changed if one is step else one for one in self.done]
        return changed

    def undo(self) -> Step | None:
        """Move the newest step to the undone ones and return it; None when there is none."""
        if not self.done:
            return None
        self.undone.append(self.done.pop())
        return self.undone[-1]

    def redo(self) -> Step | None:
        """Move the step undone last back and return it; None when there is none."""
        if not self.undone:
            return None
        self.done.append(self.undone.pop())
        return self.done[-1]
