"""What the person did, and what became of it: every accepted object, and one history for undo and redo."""

from __future__ import annotations

import json
import weakref
from typing import TYPE_CHECKING, Any

from napari_sam.journal import encode_mask
from napari_sam.session import words
from napari_sam.session.contents import Contents
from napari_sam.session.history import History, Step

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam.journal import Journal
    from napari_sam.session.dialogue import Dialogue
    from napari_sam.session.inference import Answer
    from napari_sam.session.prompt_layers import PromptLayers
    from napari_sam.session.state import Candidate
    from napari_sam.session.target import LabelWriter, Written
    from napari_sam.session.tools import Tools


class Ledger:
    """Keeps the history of each image, and the journal.

    Parameters
    ----------
    prompts, tools, dialogue
        What is drawn, what is in hand, and what is answered.
    journal : Journal
        Where accepted objects are recorded.
    """

    def __init__(self, prompts: PromptLayers, tools: Tools, dialogue: Dialogue, journal: Journal) -> None:
        self._prompts = prompts
        self._tools = tools
        self._dialogue = dialogue
        self._journal = journal
        self._histories: weakref.WeakKeyDictionary[Image, History] = weakref.WeakKeyDictionary()
        self._contents = Contents()
        self.accepted: int | None = None
        """Label of the object that was accepted last, until something else is done."""

    def history(self, image: Image) -> History:
        """Return the history of an image."""
        return self._histories.setdefault(image, History())

    def look(self) -> None:
        """Take what is drawn now for granted: the next change is one to this."""
        self._contents = self._prompts.contents()

    def note_drawing(self, image: Image) -> bool:
        """Note what the person drew since the last look as one step; tell whether anything changed."""
        before, self._contents = self._contents, self._prompts.contents()
        if self._contents.same(before):
            return False
        self.history(image).add(Step(before, self._contents))
        self.accepted = None
        return True

    def accept(self, image: Image, writer: LabelWriter, *, only_empty: bool) -> str:
        """Write the candidate into a labels layer, record it, and delete its prompts.

        Parameters
        ----------
        image : Image
            The image.
        writer : LabelWriter
            Writes into the target.
        only_empty : bool
            Leave pixels alone that carry a label.

        Returns
        -------
        str
            What the person should know; "" when all went as expected.
        """
        candidate, answer = self._dialogue.candidate, self._dialogue.answer
        if candidate is None or answer is None:
            return words.NO_CANDIDATE
        if not candidate.area:
            return words.EMPTY_MASK
        written = writer.write(answer.request.source.view, candidate.mask, candidate.origin, only_empty=only_empty)
        if written is None:
            return words.NOTHING_FREE
        entry, trouble = self._record("accepted", **_account(image, answer, candidate, written))
        self._finish(image, written, entry)
        return trouble

    def clear(self, image: Image) -> None:
        """Delete what is drawn on this plane, and start over."""
        if not self._dialogue.reading.empty:
            self._finish(image, None, -1)

    def undo(self, image: Image) -> str:
        """Take back the newest step; return what the person should know."""
        if (step := self.history(image).undo()) is None:
            return ""
        trouble = ""
        if step.written is not None:
            step.written.writer.take_back(step.written)
            trouble = self._record("withdrawn", of=step.entry)[1]
        self._prompts.restore(step.before, image)
        self.accepted = None
        if step.refinement is not None:
            self._dialogue.forget(step.refinement)
        return trouble

    def redo(self, image: Image) -> str:
        """Do the step undone last again; return what the person should know."""
        if (step := self.history(image).redo()) is None:
            return ""
        trouble = ""
        if step.written is not None:
            step.written.writer.put_back(step.written)
            trouble = self._record("restored", of=step.entry)[1]
        self._prompts.restore(step.after, image)
        self.accepted = None
        if step.refinement is not None:
            self._dialogue.forget()
        return trouble

    def _finish(self, image: Image, written: Written | None, entry: int) -> None:
        """Delete the prompts of this plane as one step, and turn to the next object."""
        before, refinement = self._contents, self._dialogue.refinement
        self._prompts.clear(self._dialogue.reading)
        self._tools.start_object()
        self._dialogue.forget()
        self.look()
        self.history(image).add(Step(before, self._contents, written, entry, refinement))
        self.accepted = None if written is None else written.label

    def _record(self, kind: str, **fields: Any) -> tuple[int, str]:
        """Add to the journal: the number of the entry, and what to tell the person if that failed."""
        try:
            return self._journal.add(kind, **fields), ""
        except OSError as error:
            return -1, words.no_journal(error)


def _account(image: Image, answer: Answer, candidate: Candidate, written: Written) -> dict[str, Any]:
    """Say all about an accepted object that it takes to make it again."""
    view = answer.request.source.view
    (top, left), (height, width) = candidate.origin, candidate.mask.shape
    return {
        "image": image.name,
        "shape": [int(n) for n in image.data.shape],
        "plane": {"axes": view.axes, "index": view.index, "digest": answer.digest},
        "prompts": json.loads(answer.request.said.to_json()),
        "model": answer.request.model,
        "score": candidate.score,
        "target": written.writer.layer.name,
        "label": written.label,
        "box": [top, left, top + height, left + width],
        "mask": encode_mask(written.mask, candidate.origin, view.shape),
    }
