"""Judges what was found by what the person decided before."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam.automatic.calibration import PROMISE
from napari_sam.journal.notes.decisions import ImageIdentity, StageCounts
from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.deciding import messages as deciding_messages
from napari_sam.session.everything.deciding.data_set import DataSetQuestion
from napari_sam.session.everything.deciding.lookup import JudgeOrder, judge
from napari_sam.session.everything.runner import StepRunner
from napari_sam.session.state import Status

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam.inference.worker import Worker
    from napari_sam.session.everything.chooser import ObjectChooser
    from napari_sam.session.everything.deciding.accepting import PlaneAccept
    from napari_sam.session.everything.deciding.lookup import Judgement
    from napari_sam.session.everything.deciding.next_plane import PlaneAdvisor
    from napari_sam.session.everything.found import FoundObjects


class ProposalJudge:
    """Marks which of the objects that were found are confident, whenever others are found.

    Parameters
    ----------
    chooser : ObjectChooser
        Keeps and shows the objects.
    plane : PlaneAccept
        Who writes objects of a plane.
    advisor : PlaneAdvisor
        Who says which plane of a stack to annotate next.
    worker : Worker
        The inference thread.
    """

    changed = Signal()
    """Other objects are confident, or other decisions are known."""

    def __init__(self, chooser: ObjectChooser, plane: PlaneAccept, advisor: PlaneAdvisor, *, worker: Worker) -> None:
        self._chooser = chooser
        self.plane = plane
        """Who writes objects of a plane."""
        self.advisor = advisor
        """Who knows which plane to annotate next."""
        self._runner: StepRunner[Judgement] = StepRunner(worker, "calibration", self._on_ended, self.changed.emit)
        self._found: FoundObjects | None = None
        self.judgement: Judgement | None = None
        """What is known of the objects that are kept; None while that is not known."""
        self.promise = PROMISE
        """Share of the confident objects that would be accepted."""

    @property
    def counts(self) -> StageCounts:
        """How many objects came about at each stage, as of the last search."""
        return StageCounts() if self.judgement is None else self.judgement.known.counts

    @property
    def data_set(self) -> DataSetQuestion | None:
        """What can be asked about the data set of the image; None where there is no image that can be segmented."""
        active = self.advisor.active
        if active.image is None or active.view is None:
            return None
        return DataSetQuestion.of(active.image, active.view, self.plane.journal, self.plane.records)

    def follow(self) -> None:
        """Judge what is kept; what somebody prompted is for them to judge."""
        self.stop()
        found, image = self._chooser.found, self._chooser.image
        if found is None or image is None or found.planes[0].result.request.prompted is not None:
            return
        self._found = found
        identity = ImageIdentity(str(image.unique_id), str(image.source.path or ""))
        order = JudgeOrder(self.plane.journal, identity, found.findings.results, self.promise)
        if found.findings.stack is not None:
            self.advisor.remember(image, found.findings)
        self._runner.start(partial(judge, order))

    def stop(self) -> None:
        """Stop at once."""
        self._runner.stop()
        self.advisor.stop()
        self._found = None

    def accept_confident(self, image: Image) -> Status | str:
        """Write the confident ones of what is shown; return what to say about it, or words for why it was not done."""
        self._chooser.refresh()
        found, selection = self._chooser.found, self._chooser.selection
        if found is None or selection is None:
            return everything_messages.NOTHING_TO_WRITE
        if found.findings.stack is not None:
            return deciding_messages.NOT_IN_STACK
        if not len(selection.shown_confident):
            return deciding_messages.NONE_CONFIDENT
        if isinstance(done := self.plane.write(image, selection.confident_only()), str):
            return done
        self._chooser.refresh()
        if not selection.shown:
            self._chooser.discard()
        return Status("idle", deciding_messages.left(done.text, selection.shown))

    def words(self, shown: int, confident: int) -> str:
        """Say what is promised of the objects that are shown, or what is missing for that; "" where nothing is known.

        Parameters
        ----------
        shown, confident : int
            How many objects are shown, and how many of them are confident.
        """
        if self.judgement is None or not self.judgement.known.counts.decided:
            return ""  # who has decided nothing yet need not know
        outcome = self.judgement.outcome
        if outcome.calibration is not None:
            return deciding_messages.promised(confident, shown, outcome.calibration.promise)
        return deciding_messages.missing(outcome.missing) if outcome.reason == "few" else deciding_messages.UNSURE

    def _on_ended(self, judgement: Judgement | BaseException) -> None:
        found, self._found = self._found, None
        if isinstance(judgement, BaseException):
            self.plane.fail(judgement)
        elif found is not None and found is self._chooser.found:
            self.judgement = judgement
            self._chooser.judge(judgement.confident)
        self.changed.emit()
