"""When an earlier answer goes back into the model: SAM's own way of working with a person.

The model was trained to get, with every further click, the low-resolution logits of its last answer (Kirillov et al.
2023, appendix A). They may go only to the same object, on the same plane, seen alike by the same model, and only when
something was *added*: an answer to a click that has been taken back or moved says nothing about the object meant.

On a large plane an answer belongs to the crop that it was made in. In this crop it goes back as it is; in another one
of the same plane it is resampled (`napari_sam.inference.logits`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.prompts import MaskPrompt

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari_sam.inference.search import CropCandidate
    from napari_sam.inference.shaping.settings import Correction
    from napari_sam.inference.starting import StartingMask
    from napari_sam.planes import Crop
    from napari_sam.planes.picture import CropPicture
    from napari_sam.prompts import PromptSet


@dataclass(frozen=True, slots=True)
class PromptRound:
    """One question, and which of the answers the person chose: that one went back with the next question.

    Attributes
    ----------
    prompts : PromptSet
        What was asked.
    choice : int
        Which candidate was chosen.
    region : str
        What the model looked at, a `napari_sam.inference.request.Region`.
    visible : ((float, float), (float, float)) or None
        Corners of the part of the plane that was on the screen, data pixels, (y, x).
    correction : {"off", "on", "branches"}
        Whether the answer went on from the one before it; all else that becomes of masks goes into no later question.
    """

    prompts: PromptSet
    choice: int
    region: str
    visible: tuple[tuple[float, float], tuple[float, float]] | None
    correction: Correction = "off"


@dataclass(frozen=True, slots=True)
class PreviousMask:
    """An earlier answer that may go with the next prompts.

    Attributes
    ----------
    mask : MaskPrompt
        Its logits, (h, w), on the model's canvas as the picture of `crop` lies there.
    crop : Crop
        Where on the plane it was made; further prompts are looked at there, too, if they lie inside.
    digest : str or None
        Digest of the pixels that it was made from; it is of no use for others. None where the caller vouches for them.
    box : ((float, float), (float, float)) or None
        First and last pixel of the mask's bounding box, data pixels of the plane; None when it is empty.
    rounds : tuple of PromptRound
        What was asked to come to it, oldest first; empty where nobody kept that.
    prompts : PromptSet or None
        What it answered; None where nobody knows.
    """

    mask: MaskPrompt
    crop: Crop
    digest: str | None = None
    box: tuple[tuple[float, float], tuple[float, float]] | None = None
    rounds: tuple[PromptRound, ...] = ()
    prompts: PromptSet | None = None

    @classmethod
    def of(
        cls,
        found: CropCandidate,
        picture: CropPicture,
        rounds: tuple[PromptRound, ...] = (),
        prompts: PromptSet | None = None,
    ) -> PreviousMask:
        """Keep a candidate for the next prompts.

        Parameters
        ----------
        found : CropCandidate
            The one that the person chose.
        picture : CropPicture
            What it was found in.
        rounds : tuple of PromptRound
            What was asked to come to it.
        prompts : PromptSet, optional
            What it answered.
        """
        paint = None if prompts is None else prompts.paint
        corners = [] if found.box is None else list(found.box)
        if paint is not None and paint.adds:
            around = paint.box(positive=True)
            corners += [np.add(around.start, 0.5), np.subtract(around.stop, 0.5)]
        box = None
        if corners:
            # Plain numbers: these records are compared by value, and arrays do not give one truth.
            (top, left), (bottom, right) = np.min(corners, axis=0).tolist(), np.max(corners, axis=0).tolist()
            box = (top, left), (bottom, right)
        return cls(MaskPrompt(found.logits), found.crop, picture.digest, box, rounds, prompts)


@dataclass(frozen=True, slots=True)
class _Step:
    """One answer: its prompts, the earlier answer that went with them, and the answer itself."""

    prompts: PromptSet
    given: PreviousMask | None
    made: PreviousMask


@dataclass(frozen=True, slots=True)
class Refinement:
    """The answers for the object that is being prompted, oldest first. A new object starts with ``Refinement()``.

    Attributes
    ----------
    context : hashable
        What the answers belong to: the plane, how it is seen, and the model.
    steps : tuple
        The answers.
    start : StartingMask or None
        The mask that the object had before; None for a new one.
    """

    context: Hashable = None
    steps: tuple[_Step, ...] = ()
    start: StartingMask | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the logits that are held."""
        return sum(step.made.mask.logits.nbytes for step in self.steps) + (
            0 if self.start is None else self.start.nbytes
        )

    def previous_for(self, prompts: PromptSet, context: Hashable) -> PreviousMask | None:
        """Return the earlier answer to give with these prompts, or None.

        Prompts that were answered before, as after an undo, get what they got then, and so the same answer again.
        So do prompts that differ from those by what is painted alone: no model is asked about that, and the rest of its
        answer is not to change. Others get the newest answer to a part of themselves.
        """
        if context != self.context:
            return None
        for step in self.steps:
            if step.prompts == prompts:
                return step.given
        asked, newest_first = prompts.unpainted, list(reversed(self.steps))
        for step in newest_first:
            if step.prompts.unpainted == asked:
                return step.given
        wanted = set(asked)
        return next((step.made for step in newest_first if wanted.issuperset(step.prompts.unpainted)), None)

    def answered(
        self, prompts: PromptSet, given: PreviousMask | None, made: PreviousMask, context: Hashable
    ) -> Refinement:
        """Return this with one answer more; answers that belong elsewhere are dropped.

        Parameters
        ----------
        prompts : PromptSet
            Prompts of the person.
        given : PreviousMask or None
            The earlier answer that went with them.
        made : PreviousMask
            The answer: the candidate that is chosen.
        context : hashable
            The plane, how it is seen, and the model.
        """
        steps = self.steps if context == self.context else ()
        # The first answer to equal prompts is the one that is found: an older one would hide this one.
        others = tuple(step for step in steps if step.prompts != prompts)
        return Refinement(context, (*others, _Step(prompts, given, made)), self.start)
