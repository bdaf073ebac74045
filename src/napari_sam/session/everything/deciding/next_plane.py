"""Finds the plane of a stack that is best annotated next, and goes there."""

from __future__ import annotations

import weakref
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam.automatic.calibration import PROMISE
from napari_sam.journal.notes.decisions import ImageIdentity
from napari_sam.session.everything.deciding import messages as deciding_messages
from napari_sam.session.everything.deciding.plane_survey import (
    PlanesToCompare,
    SeenStack,
    look_and_choose,
    without_masks,
)
from napari_sam.session.everything.parts import SearchScope, plane_request
from napari_sam.session.everything.runner import StepRunner
from napari_sam.session.everything.stack.axes import choose_axis
from napari_sam.session.state import Status

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.worker import Worker
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.everything.chooser import ObjectChooser
    from napari_sam.session.everything.deciding.plane_choice import NextPlane
    from napari_sam.session.everything.search import Findings
    from napari_sam.session.objects.recording import ObjectRecorder
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.viewing.active_image import ActiveImage


class PlaneAdvisor:
    """Looks at planes of a stack, and goes to the one where there is most doubt and that looks new.

    What was found is remembered beyond the search: the planes are annotated one by one, each after a search of its own.
    After a search of the whole stack nothing has to be looked at.

    Parameters
    ----------
    active, live
        What is on screen.
    chooser : ObjectChooser
        Gives a context in which changes are the session's own.
    settings : SessionSettings
        Which model looks.
    recorder : ObjectRecorder
        Knows the journal.
    worker, backend
        What computes.
    """

    changed = Signal()
    """It came farther."""
    ended = Signal(Status)
    """A plane was gone to, or there is none; carries what to say about it."""

    def __init__(
        self,
        active: ActiveImage,
        live: LivePrediction,
        chooser: ObjectChooser,
        settings: SessionSettings,
        recorder: ObjectRecorder,
        *,
        worker: Worker,
        backend: InferenceBackend,
    ) -> None:
        self.active = active
        """What is on screen."""
        self._live = live
        self._chooser = chooser
        self._settings = settings
        self._recorder = recorder
        self._backend = backend
        self._runner: StepRunner[NextPlane | str] = StepRunner(worker, "next plane", self._on_ended, self.changed.emit)
        self._seen: SeenStack | None = None
        self._from: tuple[Image | None, PlaneIndex | None] = (None, None)

    @property
    def status(self) -> Status | None:
        """The work under way; None when there is none."""
        if not self._runner.running:
            return None
        return Status("working", deciding_messages.COMPARING, self._runner.share or None, cancellable=True)

    def remember(self, image: Image, findings: Findings) -> None:
        """Remember what was found in a whole stack."""
        if findings.stack is not None and findings.results:
            first = findings.results[0].request
            results = [without_masks(result) for result in findings.results]
            view = first.source.view
            self._seen = SeenStack(weakref.ref(image), findings.stack.axis, view, first.model, results)

    def start(self) -> str:
        """Begin to compare planes; return why that cannot be done, "" when it can."""
        image = self.active.image
        request = plane_request(self.active, self._live, self._settings, SearchScope())
        if image is None or isinstance(request, str):
            return request if isinstance(request, str) else deciding_messages.NO_STACK
        view, seen = request.source.view, self._seen
        if seen is None or not seen.holds(image, view, request.model):
            if (axis := choose_axis(self.active, None)) is None:
                return deciding_messages.NO_STACK
            self._seen = seen = SeenStack(weakref.ref(image), axis, view, request.model, [])
        if seen.results:
            # What is found in another way cannot be compared.
            request = replace(request, mode=seen.results[0].request.mode)
        identity = ImageIdentity(str(image.unique_id), str(image.source.path or ""))
        order = PlanesToCompare(seen, request, self._recorder.database, identity, PROMISE)
        self._from = (image, view)
        self._runner.start(partial(look_and_choose, order, self._backend.engine))
        self.changed.emit()
        return ""

    def stop(self) -> bool:
        """Stop at once; tell whether planes were being compared. Those that were looked at stay known."""
        running = self._runner.running
        self._runner.stop()
        return running

    def _on_ended(self, found: NextPlane | str | BaseException) -> None:
        if isinstance(found, BaseException):
            self.ended.emit(Status("failed", str(found)))
        elif isinstance(found, str):
            self.ended.emit(Status("idle", found))
        elif self._from[0] is self.active.image:
            # Who has scrolled on meanwhile is not taken away from there.
            if self._from[1] == self.active.view:
                with self._chooser.mute():
                    self.active.go_to(found.view.index)
            plane = found.view.words(self.active.axis_names)
            name = f"{plane[:1].upper()}{plane[1:]}"
            why = deciding_messages.why_next(name, found.doubtful, found.of, found.novelty)
            self.ended.emit(Status("idle", deciding_messages.compared(why, found.compared, found.left, "planes")))
