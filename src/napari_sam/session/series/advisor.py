"""Finds the image of a series that is best annotated next, and opens it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam.automatic.calibration import PROMISE
from napari_sam.errors import Cancelled
from napari_sam.journal.notes.decisions import ImageIdentity
from napari_sam.session.everything.runner import StepRunner
from napari_sam.session.series import messages as series_messages
from napari_sam.session.series.looks import ImageLook, LookOrder, NextImageChoice, choose_next_image
from napari_sam.session.state import Status

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.worker import Worker
    from napari_sam.session.objects.recording import ObjectRecorder
    from napari_sam.session.series.controller import SeriesController
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.viewing.active_image import ActiveImage
    from napari_sam.session.viewing.connections import Mute


class ImageAdvisor:
    """Looks at images of a series, and opens the one where there is most doubt and that looks new.

    What was found on an image is remembered until the session ends: the next time, only others are looked at.

    Parameters
    ----------
    active : ActiveImage
        What is on screen.
    settings : SessionSettings
        Which model looks.
    controller : SeriesController
        Opens images.
    recorder : ObjectRecorder
        Knows the journal.
    mute : Mute
        Gives a context in which changes of layers are the session's own.
    worker, backend
        What computes.
    """

    changed = Signal()
    """It came farther."""
    notified = Signal(Status)
    """Something that the person should know."""

    def __init__(
        self,
        active: ActiveImage,
        settings: SessionSettings,
        controller: SeriesController,
        recorder: ObjectRecorder,
        *,
        mute: Mute,
        worker: Worker,
        backend: InferenceBackend,
    ) -> None:
        self._active = active
        self._settings = settings
        self._controller = controller
        self._recorder = recorder
        self._mute = mute
        self._backend = backend
        self._looks: dict[tuple[Path, int, str], ImageLook] = {}
        self._runner: StepRunner[NextImageChoice | str] = StepRunner(
            worker, "next image", self._on_ended, self.changed.emit
        )
        self._from: tuple[object, int | None] = (None, None)
        self._chosen: NextImageChoice | None = None
        controller.changed.connect(self._on_series_changed)

    @property
    def status(self) -> Status | None:
        """The work under way; None when there is none."""
        if not self._runner.running:
            return None
        return Status("working", series_messages.COMPARING, self._runner.share or None, cancellable=True)

    def start(self) -> str:
        """Begin to compare images; return why that cannot be done, "" when it can."""
        series, view, image = self._controller.series, self._active.view, self._active.image
        if series is None:
            return series_messages.NO_SERIES
        if view is None or image is None:
            return self._active.problem or series_messages.NO_SERIES
        if series.next_open(-1) is None:
            return series_messages.ALL_DONE
        self._from = (series, self._controller.index)
        order = LookOrder(
            images=tuple(series),
            current=self._controller.index,
            model=self._settings.model,
            device=self._settings.device,
            view=view,
            journal=self._recorder.database,
            identity=ImageIdentity(str(image.unique_id), str(image.source.path or "")),
            promise=PROMISE,
            looks=self._looks,
        )
        self._runner.start(partial(choose_next_image, order, self._backend.engine))
        self.changed.emit()
        return ""

    def stop(self) -> bool:
        """Stop at once; tell whether images were being compared. Those that were looked at stay known."""
        running = self._runner.running
        self._runner.stop()
        return running

    def _on_ended(self, found: NextImageChoice | str | BaseException) -> None:
        if isinstance(found, Cancelled):
            self.changed.emit()
        elif isinstance(found, BaseException):
            self.notified.emit(Status("failed", str(found) or type(found).__name__))
        elif isinstance(found, str):
            self.notified.emit(Status("idle", found))
        elif self._from != (self._controller.series, self._controller.index):
            # The person has gone on meanwhile, and is not taken away from there.
            self.notified.emit(Status("idle", found.words))
        else:
            self._chosen = found
            with self._mute():
                trouble = self._controller.go_to(found.place, found.words)
            if trouble:
                self._chosen = None
                self.notified.emit(Status("attention", trouble))
            self.changed.emit()

    def _on_series_changed(self) -> None:
        """Say why it is this image, once it is there: the section of images may be folded."""
        if (chosen := self._chosen) is not None and chosen.place == self._controller.index:
            self._chosen = None
            self.notified.emit(Status("idle", chosen.words))
