"""Writes what a run through a stack finds, plane by plane, as one step that can be undone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.masks import BoxedMask
from napari_sam.prompts import PromptSet
from napari_sam.propagation import Annotated, PropagationStep, Reason, weak_planes
from napari_sam.propagation.job import Stale
from napari_sam.session import messages
from napari_sam.session.labels.compressed import CompressedArray
from napari_sam.session.labels.pixels import label_mask
from napari_sam.session.objects.tracked import PlaneRecord, TrackedObject, is_there
from napari_sam.session.propagation import messages as propagation_messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sam.propagation import Ending
    from napari_sam.propagation.job import PlaneResult, PropagationJob
    from napari_sam.session.labels.edit import LabelEdit
    from napari_sam.session.labels.writer import LabelWriter
    from napari_sam.session.objects.history import HistoryStep
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.recording import ObjectRecorder
    from napari_sam.session.objects.remainder import RunRemainder
    from napari_sam.session.objects.tracked import PlaneLine
    from napari_sam.session.prompts.reader import PromptReading

_AGREES = 0.8
"""IoU from which a plane that was good before counts as found again."""


class RunWriter:
    """One run, as its image and its target see it.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are.
    log : ObjectLog
        Where the step that can be undone is kept.
    recorder : ObjectRecorder
        Tells the journal.
    image : Image
        The image.
    line : PlaneLine
        The planes.
    name : str
        Name of their axis.
    writer : LabelWriter
        Writes into the target.
    job : PropagationJob
        What the run does.
    tracked : TrackedObject or None
        The object, if it is written anywhere yet.
    only_empty : bool
        Leave pixels alone that carry another label.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        log: ObjectLog,
        recorder: ObjectRecorder,
        image: Image,
        line: PlaneLine,
        name: str,
        writer: LabelWriter,
        job: PropagationJob,
        tracked: TrackedObject | None,
        *,
        only_empty: bool,
    ) -> None:
        self.image = image
        self.tracked = tracked
        """The object as the run has written it; the log tells whether it is the current one still."""
        self.trouble = ""
        """What the person should know about the journal; "" when it is well."""
        self._viewer, self._log, self._recorder = viewer, log, recorder
        self._line, self._name, self._writer, self._job = line, name, writer, job
        self._before = job.trail.places
        self._only_empty = only_empty
        self._shape = tuple(writer.layer.data.shape)
        self._step: HistoryStep | None = None
        self._carried: list[int] = []
        self._endings: list[Ending] = []
        self._newest: int | None = None

    @property
    def step(self) -> HistoryStep | None:
        """The step in the history of the image."""
        return self._step

    @property
    def count(self) -> int:
        """Planes that were written."""
        return 0 if self._step is None else len(self._step.entries)

    # -- doing ------------------------------------------------------------------------------------

    def begin(self, readings: Sequence[PromptReading], shown: NDArray[np.bool_] | None) -> str:
        """Write the candidate on screen, if there is one, and clear the prompts of the object.

        Parameters
        ----------
        readings : sequence of PromptReading
            What is drawn for it.
        shown : numpy.ndarray, shape (H, W), bool, or None
            The candidate.

        Returns
        -------
        str
            Why the run cannot begin; "" when it can.
        """
        written: LabelEdit | None = None
        entries: tuple[int, ...] = ()
        before = self.tracked
        if shown is not None:
            prompts = next(one.prompts for one in self._job.known if one.index == self._line.place)
            written, entries = self._annotate(self._line.place, BoxedMask.of(shown), prompts)
            # Not a pixel, and not the same object as before either: other labels are in the way.
            if written is None and self.tracked is before:
                return messages.NOTHING_FREE
        self._keep_marks()
        self._step = self._log.begin(self.image, readings, self.tracked, written, entries)
        return ""

    @property
    def obstacle(self) -> str:
        """Why the run cannot go on; "" when it can."""
        layer, tracked = self._writer.layer, self.tracked
        if layer not in self._viewer.layers or tuple(layer.data.shape) != self._shape:
            return propagation_messages.TARGET_GONE
        if tracked is not None and self._newest is not None:
            # The newest is enough: whoever undoes takes it back first, or together with the others.
            view = self._line.at(self._newest)
            if not is_there(tracked, view, tracked.planes[view.index]):
                return propagation_messages.TAKEN_BACK
        return ""

    def take(self, found: PlaneResult) -> bool:
        """Write what was found; tell whether to leave this leg of the run.

        Raises
        ------
        InputError
            If the target cannot be written.
        """
        match found:
            case Annotated():
                written, entries = self._annotate(found.index, found.boxed, found.prompts)
                # Here as well: before the first plane there may be no object to keep them with.
                self._keep_marks()
                self._grow(written, entries)
            case PropagationStep():
                return self._carry(found)
            case Stale():
                self._erase(found.index)
            case _:
                if found.reason not in (Reason.MET, Reason.RANGE_END):
                    self._endings.append(found)
        return False

    def end(self, remainder: RunRemainder | None = None) -> str:
        """End the step; return words for what was done.

        Parameters
        ----------
        remainder : RunRemainder, optional
            What is left to do, if the run was broken off.
        """
        if self._step is None:
            return ""
        if self.tracked is not None:
            # A run that was broken off starts from these again.
            done = {index for index in self.tracked.fresh if self._line.find(index) is not None}
            self.tracked = replace(
                self.tracked, fresh=self.tracked.fresh - (done if remainder is None else set()), remainder=remainder
            )
        self._log.settle(self.image, self._step, self.tracked)
        if self.tracked is None:
            return propagation_messages.NOT_FOUND
        weak = sum(self.tracked.planes[self._line.at(place).index].weak for place in self._carried)
        return propagation_messages.carried(self.tracked.label, self._name, self._carried, weak)

    @property
    def stopped(self) -> str:
        """Words for where the run ended by a rule; "" when it did not."""
        return propagation_messages.stopped(self._name, self._endings)

    # -- planes -----------------------------------------------------------------------------------

    def _annotate(self, place: int, cut: BoxedMask, prompts: PromptSet) -> tuple[LabelEdit | None, tuple[int, ...]]:
        """Write a plane that the person annotated."""
        view = self._line.at(place)
        written = self._writer.write(
            view, cut.mask, cut.origin, only_empty=self._only_empty, label=self._label, replace=self.tracked is not None
        )
        if written is None:
            if self.tracked is not None and label_mask(self._writer.layer, view, self.tracked.label).any():
                self.tracked = self.tracked.with_prompted(
                    view.index, PlaneRecord.prompted(cut.origin, cut.mask, prompts)
                )
            return None, ()
        entry = self._note("accepted", place, written, prompts)
        tracked = self.tracked or TrackedObject(self._writer.layer, written.label)
        self.tracked = tracked.with_prompted(view.index, PlaneRecord.of(written, prompts))
        return written, (entry,)

    def _carry(self, step: PropagationStep) -> bool:
        """Write a plane that the object was carried to, unless it is good as it is."""
        if self.tracked is None:
            return False
        view, cut = self._line.at(step.index), step.boxed
        leg = self._job.leg_from(step.index, step.direction)
        record = self.tracked.planes.get(view.index)
        if record is not None and not is_there(self.tracked, view, record):
            record = None  # it was undone, or erased
        if record is not None:
            present, before = label_mask(self._writer.layer, view, self.tracked.label), record.whole(view.shape)
            if not np.array_equal(present, before):  # painted in, or erased, by the person: theirs
                return leg is not None
            repeated = step.index in self._before  # what this run wrote before it was broken off is not to end it
            if not repeated and leg is not None and not record.weak and BoxedMask.of(before).iou(cut) >= _AGREES:
                return True
        written = self._writer.write(
            view, cut.mask, cut.origin, only_empty=self._only_empty, label=self._label, replace=record is not None
        )
        if written is None and record is None:
            return False
        self._carried.append(step.index)
        place, mask = (cut.origin, CompressedArray.of(cut.mask)) if written is None else (written.origin, written.drawn)
        new = PlaneRecord(place, mask, step.score, bool(weak_planes([step])), annotated=False)
        self.tracked = self.tracked.carried(view.index, new)
        if written is not None:
            self._newest = step.index
            more = {"score": step.score, "overlap": step.overlap, "carried": step.direction}
            self._grow(written, (self._note("accepted", step.index, written, PromptSet(), **more),))
        return False

    def _erase(self, place: int) -> None:
        """Take the object off a plane that an earlier run wrote, if it is there as that run wrote it."""
        view = self._line.at(place)
        record = None if self.tracked is None else self.tracked.planes.get(view.index)
        if self.tracked is None or record is None:
            return
        present = label_mask(self._writer.layer, view, self.tracked.label)
        # Painted in by the person since: theirs.
        if not np.array_equal(present, record.whole(view.shape)):
            return
        nothing = np.zeros_like(record.mask)
        written = self._writer.write(
            view, nothing, record.origin, only_empty=True, label=self.tracked.label, replace=True
        )
        self.tracked = self.tracked.without(view.index)
        if written is not None:
            self._grow(written, (self._note("erased", place, written, PromptSet()),))

    @property
    def _label(self) -> int | None:
        return None if self.tracked is None else self.tracked.label

    def _keep_marks(self) -> None:
        """Remember the stop marks with the object, for later runs."""
        if self.tracked is not None and self._job.marks:
            marks = {self._line.at(place).index: places for place, places in self._job.marks.items()}
            self.tracked = replace(self.tracked, marks={**self.tracked.marks, **marks})

    def _note(self, kind: str, place: int, written: LabelEdit, prompts: PromptSet, **more: float) -> int:
        entry, trouble = self._recorder.add_plane(
            kind, self.image, self._line.at(place), written, prompts, model=self._job.model, **more
        )
        self.trouble = trouble
        return entry

    def _grow(self, written: LabelEdit | None, entries: tuple[int, ...]) -> None:
        if self._step is not None and self.tracked is not None and written is not None:
            self._step = self._log.grow(self.image, self._step, written, entries[0], self.tracked)
