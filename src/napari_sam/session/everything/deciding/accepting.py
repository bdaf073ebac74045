"""Accepts objects of a plane: those that are shown, or the confident ones of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.journal.notes.decisions import DECIDED
from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.deciding import messages as deciding_messages
from napari_sam.session.everything.prompted import messages as prompted_messages
from napari_sam.session.everything.writing import ObjectWriting, describe_decisions
from napari_sam.session.state import Status

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Image

    from napari_sam.inference.worker import Worker
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.everything.selection import ProposalSelection
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.recording import ObjectRecorder
    from napari_sam.session.settings import SessionSettings


class PlaneAccept:
    """Writes objects of a plane into the target, as one step.

    Parameters
    ----------
    live : LivePrediction
        Knows what is drawn on the plane.
    targets, log, recorder
        What writes and records, for undo and in the journal.
    settings : SessionSettings
        What the person chose.
    worker : Worker
        The inference thread.
    """

    def __init__(
        self,
        live: LivePrediction,
        targets: TargetLayers,
        log: ObjectLog,
        recorder: ObjectRecorder,
        settings: SessionSettings,
        worker: Worker,
    ) -> None:
        self._live = live
        self._targets = targets
        self._log = log
        self._recorder = recorder
        self._settings = settings
        self._worker = worker

    @property
    def journal(self) -> Path:
        """Where the journal is, or would be."""
        return self._recorder.database

    @property
    def records(self) -> int:
        """How many records this session has written to the journal."""
        return self._recorder.count

    def fail(self, error: BaseException) -> None:
        """Let the status say what went wrong."""
        self._live.fail(error)

    def write(self, image: Image, selection: ProposalSelection) -> Status | str:
        """Write what a selection shows; return what to say about it, or words for why nothing was written."""
        if not selection.shown:
            return self._reject_rest(image, selection)
        writer = self._targets.need_writer(image)
        if selection.target not in ("", str(writer.layer.unique_id)):
            return prompted_messages.OTHER_TARGET
        writing = ObjectWriting(image, writer, self._log, self._recorder, self._settings.only_empty)
        if (done := writing.write(selection, self._live.reading)) is None:
            return everything_messages.NOTHING_FREE
        self._worker.submit("journal", lambda _progress: self._recorder.sync())
        return Status("idle", done)

    def _reject_rest(self, image: Image, selection: ProposalSelection) -> Status | str:
        """Note that the person dropped all that was left, if that is why nothing is shown."""
        dropped = selection.marked(kept=False)
        if not dropped:
            return everything_messages.NOTHING_TO_WRITE
        layer = self._targets.need_writer(image).layer
        told = describe_decisions(image, layer, selection.result, {}, selection.rejected)
        if told is not None:
            self._recorder.add(DECIDED, **told, on_disk=False)
        return Status("idle", deciding_messages.all_dropped(len(dropped)))
