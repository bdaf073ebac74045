"""What the person did, and what became of it: every accepted object, and one history for undo and redo."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from napari_sam.session import messages
from napari_sam.session.labels.edit import LabelEdit, join_edits
from napari_sam.session.objects.history import History, HistoryStep
from napari_sam.session.objects.recording import Outcome, note_origin, write_candidate
from napari_sam.session.prompts.drawing import PromptContents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

    from napari_sam.inference.request import PlaneAnswer
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.labels.edit import EditGroup
    from napari_sam.session.objects.current import CurrentObject
    from napari_sam.session.objects.recording import ObjectRecorder, WriteOrder
    from napari_sam.session.objects.tracked import TrackedObject
    from napari_sam.session.prompts.editor import PromptEditor
    from napari_sam.session.prompts.reader import PromptReading
    from napari_sam.session.prompts.tools import PromptTools


class ObjectLog:
    """Keeps the history of each image.

    Parameters
    ----------
    prompts, tools, live
        What is drawn, with which tool, and what is answered.
    current : CurrentObject
        The object that was accepted last.
    recorder : ObjectRecorder
        Tells the journal of accepted objects.
    """

    def __init__(
        self,
        prompts: PromptEditor,
        tools: PromptTools,
        live: LivePrediction,
        current: CurrentObject,
        recorder: ObjectRecorder,
    ) -> None:
        self._prompts = prompts
        self._tools = tools
        self._live = live
        self._current = current
        self._recorder = recorder
        self._histories: weakref.WeakKeyDictionary[Image, History] = weakref.WeakKeyDictionary()
        self._contents = PromptContents()
        self.accepted: int | None = None
        """Label of the object that was accepted last, until something else is done."""

    @property
    def drawn(self) -> PromptContents:
        """What is drawn, as of the last look; another object after every change."""
        return self._contents

    def history(self, image: Image) -> History:
        """Return the history of an image."""
        return self._histories.setdefault(image, History())

    def remember_drawing(self) -> None:
        """Take what is drawn now for granted: the next change is one to this."""
        self._contents = self._prompts.copy_contents()

    def note_drawing(self, image: Image) -> bool:
        """Note what the person drew since the last look as one step; tell whether anything changed."""
        before, self._contents = self._contents, self._prompts.copy_contents()
        if self._contents.shows_same(before):
            return False
        self.history(image).add(HistoryStep(before, self._contents))
        self.accepted = None
        return True

    def accept(self, image: Image, order: WriteOrder) -> str:
        """Write the candidate into a labels layer, record it, and delete its prompts.

        Parameters
        ----------
        image, order
            The image, and how to write it.

        Returns
        -------
        str
            What the person should know; "" when all went as expected.
        """
        answer = self._live.answer
        if answer is None or not self._live.is_answered:
            return messages.NO_CANDIDATE
        done = write_candidate(image, answer, self._live.selected, order, self._recorder)
        if isinstance(done, str):
            return done
        index, picked = self._live.selected, self._live.picked
        # Only now: prompts of what could not be written stay.
        self._finish(image, [self._live.reading], done.tracked, done.written, done.entries)
        if picked:
            self._live.levels.learn(answer, index)
        return done.trouble

    def promise(self, image: Image, *, with_drawing: bool = False) -> HistoryStep:
        """Delete the prompts of an object that is accepted before its answer is there; `fulfil` writes it.

        Parameters
        ----------
        image : Image
            The image.
        with_drawing : bool
            Whether the newest step, in which its prompts were drawn, becomes a part of this one: they are then undone
            together. `History.part_drawing` makes two of them again.
        """
        before = self.history(image).take_newest().before if with_drawing else None
        return self._finish(image, [self._live.reading], self._current.of(image), before=before)

    def fulfil(
        self,
        image: Image,
        step: HistoryStep,
        answer: PlaneAnswer,
        index: int,
        order: WriteOrder,
        current: TrackedObject | None,
    ) -> Outcome | str:
        """Write an object that was promised, and record it.

        Parameters
        ----------
        image : Image
            The image.
        step : HistoryStep
            What `promise` returned.
        answer, index
            What the model answered, and which of its candidates is meant.
        order : WriteOrder
            How to write it.
        current : TrackedObject or None
            The current object before this one.

        Returns
        -------
        Outcome or str
            What came of it; words for why nothing was written.
        """
        done = write_candidate(image, answer, index, order, self._recorder)
        if isinstance(done, Outcome):
            history = self.history(image)
            # Asked before the step is changed, which puts another object in its place.
            newest = history.done[-1:] == [step]
            history.change(
                step, written=done.written, entries=done.entries, current_before=current, current_after=done.tracked
            )
            if newest and done.written is not None:
                self.accepted = done.written.label
        return done

    def withdraw(self, image: Image, step: HistoryStep, drawn: PromptContents | None = None) -> bool:
        """Take back a step as if it had never been made, if it is the newest; tell whether it was.

        Parameters
        ----------
        image : Image
            The image.
        step : HistoryStep
            The step.
        drawn : PromptContents, optional
            What redo is to draw again, where prompts go with the step that were drawn in it.
        """
        history = self.history(image)
        if history.done[-1:] != [step]:
            return False
        self.undo(image)
        # It was never made, so there is nothing to do again but to draw.
        history.undone = [] if drawn is None else [HistoryStep(step.before, drawn)]
        self.remember_drawing()
        return True

    def begin(
        self,
        image: Image,
        readings: Sequence[PromptReading],
        tracked: TrackedObject | None,
        written: LabelEdit | None,
        entries: tuple[int, ...],
    ) -> HistoryStep:
        """Begin a step that grows: the run of an object through a stack.

        Parameters
        ----------
        image, readings
            The image, and its planes whose prompts belong to the object, and are deleted.
        tracked : TrackedObject or None
            The object, if it is written anywhere yet.
        written : LabelEdit or None
            The first plane, if it is written already.
        entries : tuple of int
            Its number in the journal.
        """
        return self._finish(image, readings, tracked, written, entries)

    def grow(
        self, image: Image, step: HistoryStep, written: LabelEdit, entry: int, tracked: TrackedObject
    ) -> HistoryStep:
        """Add what was written on one more plane to a step; return the step as it is now.

        Parameters
        ----------
        image, step
            The image, and what `begin` or the call before returned.
        written : LabelEdit
            What was written.
        entry : int
            Its number in the journal.
        tracked : TrackedObject
            The object as it is now.
        """
        joined = join_edits(step.written, written)
        self._current.replace(image, step.current_after, tracked)
        return self.history(image).change(step, written=joined, entries=(*step.entries, entry), current_after=tracked)

    def settle(self, image: Image, step: HistoryStep, tracked: TrackedObject | None) -> None:
        """End a step that grew; one in which nothing was written is no step, and its prompts come back."""
        if step.written is not None:
            note_origin(tracked)
            self._current.replace(image, step.current_after, tracked)
            self.history(image).change(step, current_after=tracked)
        else:
            self.withdraw(image, step)

    def add_written(self, image: Image, written: LabelEdit | EditGroup, entries: tuple[int, ...]) -> HistoryStep:
        """Note objects that were written without prompts as one step; prompts and the current object stay."""
        current = self._current.of(image)
        step = HistoryStep(self._contents, self._contents, written, entries, None, current, current)
        self.history(image).add(step)
        self.accepted = None
        return step

    def add_made(self, image: Image, written: LabelEdit, entries: tuple[int, ...], reading: PromptReading) -> None:
        """Note objects that were written as one step, and delete the prompts that they were made of."""
        self._finish(image, [reading], self._current.of(image), written, entries)
        self.accepted = None

    def add_edit(self, image: Image, written: EditGroup, entries: tuple[int, ...], *, forget: bool) -> None:
        """Note what was changed of objects that exist; `forget`: the one that is prompted, too, is done with."""
        if forget:
            self._finish(image, [self._live.reading], None, written, entries)
        else:
            self.add_written(image, written, entries)

    def grow_written(
        self, image: Image, step: HistoryStep, written: LabelEdit, entries: tuple[int, ...]
    ) -> HistoryStep:
        """Add what was written on one more plane to a step of `add_written`; return the step as it is now."""
        joined = join_edits(step.written, written)
        return self.history(image).change(step, written=joined, entries=(*step.entries, *entries))

    def clear(self, image: Image, reading: PromptReading) -> None:
        """Delete what is drawn, such as all that is on the plane on screen, and start over with another object."""
        if not reading.empty or self._live.start is not None:
            self._finish(image, [reading], self._current.of(image))

    def undo(self, image: Image) -> str:
        """Take back the newest step; return what the person should know."""
        history = self.history(image)
        if (step := history.undo()) is None:
            shortened, history.shortened = history.shortened, False
            return messages.NO_OLDER_STEPS if shortened else ""
        trouble = _take_back(image, step, self._recorder)
        self._prompts.restore_contents(step.before, image)
        self.accepted = None
        self._take_up(image, step, step.current_before)
        # The object that comes back goes on from the answers that it had.
        if step.refinement is not None:
            self._live.forget_answers(step.refinement)
        return trouble

    def redo(self, image: Image) -> str:
        """Do the step undone last again; return what the person should know."""
        if (step := self.history(image).redo()) is None:
            return ""
        trouble = _do_again(image, step, self._recorder)
        self._prompts.restore_contents(step.after, image)
        self.accepted = None
        self._take_up(image, step, step.current_after)
        if step.refinement is not None:
            self._live.forget_answers(step.refinement_after)
        return trouble

    def _take_up(self, image: Image, step: HistoryStep, tracked: TrackedObject | None) -> None:
        """Let an object be the current one again, if the step that is undone or redone is one that changed it."""
        if step.current_before is not step.current_after:
            self._current.set(image, tracked)

    def _finish(
        self,
        image: Image,
        readings: Sequence[PromptReading],
        tracked: TrackedObject | None,
        written: LabelEdit | EditGroup | None = None,
        entries: tuple[int, ...] = (),
        before: PromptContents | None = None,
    ) -> HistoryStep:
        """Delete the prompts of some planes as one step, and turn to the next object."""
        # As they were: what follows changes all three.
        before, refinement, current = before or self._contents, self._live.refinement, self._current.of(image)
        self._prompts.delete_drawn(*readings)
        self._tools.start_object()
        self._live.forget_answers()
        self.remember_drawing()
        self._current.set(image, tracked)
        step = HistoryStep(before, self._contents, written, entries, refinement, current, tracked)
        self.history(image).add(step)
        self.accepted = written.label if isinstance(written, LabelEdit) else None
        return step


def _take_back(image: Image, step: HistoryStep, recorder: ObjectRecorder) -> str:
    """Undo what a step wrote and noted; return what the person should know."""
    trouble = ""
    if step.written is not None:
        step.written.undo()
        # The journal only grows: what was undone is an entry of its own.
        trouble = recorder.add("withdrawn", of=_numbers(step))[1]
    if step.notes is not None:
        step.notes.undo()
        trouble = recorder.add_notes(image, step.notes, step.notes.before)
    return trouble


def _do_again(image: Image, step: HistoryStep, recorder: ObjectRecorder) -> str:
    """Redo what a step wrote and noted; return what the person should know."""
    trouble = ""
    if step.written is not None:
        step.written.redo()
        trouble = recorder.add("restored", of=_numbers(step))[1]
    if step.notes is not None:
        step.notes.redo()
        trouble = recorder.add_notes(image, step.notes, step.notes.after)
    return trouble


def _numbers(step: HistoryStep) -> int | list[int]:
    """Name what a step wrote by its numbers in the journal."""
    return step.entries[0] if len(step.entries) == 1 else list(step.entries)
