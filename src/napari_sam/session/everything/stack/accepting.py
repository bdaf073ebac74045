"""Accepts the objects of a stack: links them on the inference thread, then writes them plane by plane."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam.errors import Cancelled
from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.runner import StepRunner
from napari_sam.session.everything.stack.linking import LinkOrder, PlaneChoice, link_stack
from napari_sam.session.everything.stack.writing import StackWriter
from napari_sam.session.labels.pixels import full_resolution
from napari_sam.session.state import Status

if TYPE_CHECKING:
    import numpy as np
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sam.inference.worker import Worker
    from napari_sam.progress import Progress
    from napari_sam.session.everything.found import FoundObjects
    from napari_sam.session.everything.ranking.match import Match
    from napari_sam.session.everything.stack.linking import LinkedStack
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.recording import ObjectRecorder
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.viewing.connections import Mute

LANE = "stack objects"


class StackAccept:
    """Accepts one stack at a time.

    Parameters
    ----------
    targets, log, recorder
        What writes and records, for undo and in the journal.
    settings : SessionSettings
        What the person chose.
    mute : Mute
        Gives a context in which changes of layers are the session's own.
    worker : Worker
        The inference thread.
    """

    changed = Signal()
    """It came farther."""
    ended = Signal(object)
    """It ended by itself: carries a `Status` when all is written, or an exception, or words for why it broke off."""

    def __init__(
        self,
        targets: TargetLayers,
        log: ObjectLog,
        recorder: ObjectRecorder,
        settings: SessionSettings,
        *,
        mute: Mute,
        worker: Worker,
    ) -> None:
        self._targets = targets
        self._log = log
        self._recorder = recorder
        self._settings = settings
        self._mute = mute
        self._worker = worker
        self._linker: StepRunner[LinkedStack] = StepRunner(worker, LANE, self._on_linked, self.changed.emit)
        self._writer: StackWriter | None = None
        self._image: Image | None = None
        self._order: LinkOrder | None = None
        self._matches: tuple[Match | None, ...] = ()
        self._only_empty = True

    @property
    def running(self) -> bool:
        """Whether objects are being linked or written."""
        return self._linker.running or self._writer is not None

    @property
    def status(self) -> Status | None:
        """Describe what goes on; None when nothing does."""
        if (writer := self._writer) is not None:
            planes = len(writer.linked.planes)
            text = everything_messages.writing(writer.done, planes)
            return Status("working", text, writer.done / planes, cancellable=True)
        if not self._linker.running or self._order is None:
            return None
        text = everything_messages.linking(len(self._order.planes), self._order.link)
        return Status("working", text, self._linker.share or None, cancellable=True)

    def start(self, image: Image, found: FoundObjects) -> None:
        """Begin to link and write what is wanted now; what the person chooses later changes nothing.

        Raises
        ------
        InputError
            If the target cannot tell its next id yet.
        """
        if (stack := found.findings.stack) is None:
            return
        writer, labels = self._targets.find_writer(image), None
        self._only_empty = self._settings.only_empty
        if writer is not None:
            _ = writer.next_label  # refused now, rather than after minutes of linking
            labels = full_resolution(writer.layer) if self._only_empty else None
        choices = tuple(PlaneChoice(plane.result, plane.chosen, plane.marks) for plane in found.planes)
        self._image, self._order = image, LinkOrder(choices, stack.link, labels)
        self._matches = tuple(plane.match for plane in found.planes)
        self._linker.start(partial(link_stack, self._order))

    def stop(self) -> str:
        """Stop at once, and keep what is written; return words for that, "" when nothing went on."""
        if not self.running:
            return ""
        writer = self._writer
        self._forget()
        self._worker.cancel(LANE)
        if writer is None:
            return everything_messages.LINKING_CANCELLED
        writer.end()
        return everything_messages.written_in_part(writer.done, len(writer.linked.planes))

    def _forget(self) -> None:
        self._linker.stop()
        self._writer = self._image = self._order = None
        self._matches = ()

    def _on_linked(self, linked: LinkedStack | BaseException) -> None:
        image = self._image
        if isinstance(linked, BaseException) or image is None:
            self._break_off(linked)
            return
        try:
            with self._mute():
                self._writer = StackWriter(
                    image,
                    linked,
                    self._matches,
                    self._targets.need_writer(image),
                    self._log,
                    self._recorder,
                    only_empty=self._only_empty,
                )
        except Exception as error:
            self._break_off(error)
            return
        self._next()

    def _next(self) -> None:
        """Prepare the next plane: each is written by itself, so that the window goes on in between."""
        if (writer := self._writer) is not None:
            self._worker.submit(
                LANE, partial(self._prepare, writer), partial(self._on_prepared, writer), self._on_failed
            )

    def _prepare(self, writer: StackWriter, progress: Progress) -> NDArray[np.int32]:
        """Unpack a plane; on the inference thread."""
        # On this thread: the journal waits for the disk.
        self._recorder.sync()
        progress(0.0)
        return writer.linked.planes[writer.done].numbers.array()

    def _on_prepared(self, writer: StackWriter, numbers: NDArray[np.int32]) -> None:
        if writer is not self._writer:
            return
        if not self._targets.takes(writer.writer.layer, writer.image):
            self._break_off(everything_messages.TARGET_GONE)
            return
        if writer.taken_back:
            self._break_off(everything_messages.TAKEN_BACK)
            return
        try:
            with self._mute():
                writer.write(numbers)
        except Exception as error:
            self._break_off(error)
            return
        if writer.done < len(writer.linked.planes):
            self._next()
            self.changed.emit()
            return
        self._finish(writer)

    def _finish(self, writer: StackWriter) -> None:
        with self._mute():
            text = writer.end()
        self._forget()
        self._worker.submit("journal", lambda _progress: self._recorder.sync())
        self.ended.emit(Status("idle", text) if text else everything_messages.NOTHING_FREE)

    def _on_failed(self, error: BaseException) -> None:
        self._break_off(error)

    def _break_off(self, why: object) -> None:
        """End early; what is written stays, and is one step."""
        if (writer := self._writer) is not None:
            with self._mute():
                writer.end()
        self._forget()
        if isinstance(why, Cancelled):
            self.changed.emit()
        else:
            self.ended.emit(why)
