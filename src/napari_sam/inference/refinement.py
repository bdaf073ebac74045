"""When an earlier answer goes back into the model: SAM's own way of working with a person.

The model was trained to get, with every further click, the low-resolution logits of its last answer (Kirillov et al.
2023, appendix A). They may go only to the same object, in the same plane, window and model, and only when something was
*added*: an answer to a click that has been taken back or moved says nothing about the object meant. On a large plane
they belong to the window that was looked at; another window starts afresh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari_sam.planes import Crop
    from napari_sam.prompts import MaskPrompt, PromptSet


@dataclass(frozen=True, slots=True)
class PreviousMask:
    """An earlier answer that may go with the next prompts.

    Attributes
    ----------
    mask : MaskPrompt
        Its logits.
    digest : str
        Digest of the pixels that it was made from; it is of no use for others.
    window : Crop or None
        Where on the plane these pixels are; further prompts are looked at there, too, if they lie inside.
    box : ((float, float), (float, float)) or None
        First and last pixel of the mask's bounding box, data pixels; None when it is empty.
    """

    mask: MaskPrompt
    digest: str
    window: Crop | None = None
    box: tuple[tuple[float, float], tuple[float, float]] | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """One answer: what was said, the earlier answer that went with it, and the answer itself."""

    prompts: PromptSet
    given: PreviousMask | None
    made: PreviousMask


@dataclass(frozen=True, slots=True)
class Refinement:
    """The answers for the object that is being prompted, oldest first. A new object starts with ``Refinement()``.

    Attributes
    ----------
    context : hashable
        What the answers belong to: plane, window and model.
    steps : tuple
        The answers.
    """

    context: Hashable = None
    steps: tuple[_Step, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of the logits that are held."""
        return sum(step.made.mask.logits.nbytes for step in self.steps)

    def previous_for(self, prompts: PromptSet, context: Hashable) -> PreviousMask | None:
        """Return the earlier answer to give with these prompts, or None.

        Prompts that were answered before, as after an undo, get what they got then, and so the same answer again.
        Others get the newest answer to a part of themselves.
        """
        if context != self.context:
            return None
        for step in self.steps:
            if step.prompts == prompts:
                return step.given
        wanted = set(prompts)
        return next((step.made for step in reversed(self.steps) if wanted.issuperset(step.prompts)), None)

    def answered(
        self, prompts: PromptSet, given: PreviousMask | None, made: PreviousMask, context: Hashable
    ) -> Refinement:
        """Return this with one answer more; answers that belong elsewhere are dropped.

        Parameters
        ----------
        said : PromptSet
            Prompts of the person.
        given : PreviousMask or None
            The earlier answer that went with them.
        made : PreviousMask
            The answer: the candidate that is chosen.
        context : hashable
            Plane, window and model.
        """
        steps = self.steps if context == self.context else ()
        others = tuple(step for step in steps if step.prompts != prompts)
        return Refinement(context, (*others, _Step(prompts, given, made)))
