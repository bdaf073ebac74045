"""Objects in stacks: carried from plane to plane, looked over, corrected, and carried again."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_sam.session import messages
from napari_sam.session.objects.remainder import RunRemainder
from napari_sam.session.propagation import messages as propagation_messages
from napari_sam.session.propagation.options import PropagationOptions
from napari_sam.session.propagation.plan import make_job, read_line, resumed_job
from napari_sam.session.propagation.run_writer import RunWriter
from napari_sam.session.propagation.runner import PropagationRunner
from napari_sam.session.propagation.snapshot import StackSnapshot
from napari_sam.session.state import Status
from napari_sam.session.viewing.connections import Connections, Mute

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.worker import Worker
    from napari_sam.propagation.job import PlaneResult
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.objects.current import CurrentObject
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.recording import ObjectRecorder
    from napari_sam.session.objects.same_object import SameObject
    from napari_sam.session.prompts.editor import PromptEditor
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.state import StackState
    from napari_sam.session.viewing.active_image import ActiveImage


class PropagationController:
    """Runs an object through a stack.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are.
    active, prompts, live
        What is on screen, drawn and answered.
    targets, log, recorder, current, same_object
        What writes and records, for undo and in the journal; the current object, and whether accept writes that again.
    settings : SessionSettings
        What the person chose.
    mute : Mute
        Gives a context in which changes of layers are the session's own.
    worker, backend
        What computes.
    """

    changed = Signal()
    """Something that panels may show changed."""
    notified = Signal(Status)
    """A run ended by itself; this is what there is to say about it."""

    def __init__(
        self,
        viewer: ViewerModel,
        active: ActiveImage,
        prompts: PromptEditor,
        live: LivePrediction,
        targets: TargetLayers,
        log: ObjectLog,
        recorder: ObjectRecorder,
        current: CurrentObject,
        same_object: SameObject,
        settings: SessionSettings,
        *,
        mute: Mute,
        worker: Worker,
        backend: InferenceBackend,
    ) -> None:
        self._viewer = viewer
        self._active = active
        self._prompts = prompts
        self._live = live
        self._targets = targets
        self._log = log
        self._recorder = recorder
        self._current = current
        self._same_object = same_object
        self._settings = settings
        self._mute = mute
        self._connections = Connections()
        found, ended = self._on_runner_found, self._on_runner_ended
        self._runner = PropagationRunner(worker, backend.engine, found, ended, recorder.sync)
        self._run_writer: RunWriter | None = None
        self._start: propagation_messages.Start = "new"
        self._image: weakref.ref[Image] | None = None
        self.message = ""
        """What the last run came to; "" when that is old news."""
        self.options = PropagationOptions(active, settings)
        """Axis, range and strategy."""
        self._snapshot = StackSnapshot(active, prompts, live, log, current, same_object, self.options)
        connect = self._connections.connect
        connect("active", active.view_changed, self._on_active_view)
        connect("active", active.image_changed, self._on_active_image)
        for signal in (settings.events.model, settings.events.device):
            connect("settings", signal, self._on_settings_model)

    def listen_to_removal(self) -> None:
        """Hear of removed layers, after removed prompt layers were let go of: prompts go back into none of these."""
        self._connections.connect("viewer", self._active.viewer_events.removed, self._on_viewer_removed)

    def release(self) -> None:
        """Stop working and listening."""
        self.stop()
        self._connections.release()

    # -- what there is ----------------------------------------------------------------------------

    @property
    def status(self) -> Status | None:
        """Describe the run under way; None when there is none."""
        if self._run_writer is None:
            return None
        done, total = self._runner.counted
        tracked = self._run_writer.tracked
        text = propagation_messages.progress(None if tracked is None else tracked.label, done, total, self._start)
        return Status("working", text, done / total if total else None, cancellable=True)

    @property
    def state(self) -> StackState:
        """Everything that the section shows."""
        return self._snapshot.state(self.status, self.message)

    def next_object(self) -> None:
        """Forget what the person chose for one accept, and what the last run came to: another object was accepted."""
        self._same_object.chosen, self.message = None, ""

    # -- commands ---------------------------------------------------------------------------------

    def propagate(self, image: Image) -> str:
        """Begin to carry the object through the stack; return what the person should know."""
        line, axis, source = self.options.line, self.options.axis, self._active.plane_source()
        if self._run_writer is not None:
            return propagation_messages.RUNNING
        if line is None or axis is None or source is None:
            return self.state.text
        prompted = read_line(self._prompts, image, line)
        writer = self._targets.find_writer(image)
        # What is prompted is another object, unless accept would write the current one again.
        wanted = writer is not None and (self._same_object.replaces_current or not prompted.objects)
        current = self._current.tracked if wanted else None
        if current is None and not prompted.objects:
            return propagation_messages.NO_OBJECT
        shown = self._candidate() if line.place in prompted.objects else None
        if shown is not None and not shown.any():
            return messages.EMPTY_MASK
        job = make_job(
            source,
            line,
            current,
            prompted,
            shown,
            self.options.span,
            model=self._settings.model,
            device=self._settings.device,
            strategy=self._settings.strategy,
        )
        if current is not None and not job.known and not job.asked:
            return propagation_messages.not_here(current.label, axis.name)
        self._start = "new"
        if current is not None and current.remainder is not None:
            resumed = resumed_job(current, line, job)
            self._start, job = ("restarted", job) if resumed is None else ("resumed", resumed)
        run_writer = RunWriter(
            self._viewer,
            self._log,
            self._recorder,
            image,
            line,
            axis.name,
            writer or self._targets.add_layer(image),
            job,
            current,
            only_empty=self._settings.only_empty,
        )
        if trouble := run_writer.begin(prompted.readings, shown):
            return trouble
        self._run_writer = run_writer
        self.next_object()
        self._connections.connect("run", image.events.data, self._on_image_data)
        self._runner.start(job)
        return run_writer.trouble

    def stop(self, why: str = propagation_messages.CANCELLED) -> str:
        """Stop the run at once, and keep what it did; return words for that, "" when there was no run."""
        run_writer = self._run_writer
        if run_writer is None:
            return ""
        self._runner.stop()
        count = 0 if run_writer.obstacle else run_writer.count  # else nothing of it is there to be undone
        self._close(whole=False)
        self.message = propagation_messages.broken_off(why, count, can_resume=why == propagation_messages.CANCELLED)
        return self.message

    def undone(self, image: Image) -> bool:
        """Stop the run if it is what is about to be undone; tell whether nothing is left to undo of it then."""
        self.message = ""
        run_writer, done = self._run_writer, self._log.history(image).done
        if run_writer is None or not done or done[-1] is not run_writer.step:
            return False
        nothing = not run_writer.count
        self.stop()
        self.message = ""
        return nothing

    def _candidate(self) -> NDArray[np.bool_] | None:
        """Return the candidate that is shown, (H, W) bool; None when there is none for the prompts as they are."""
        candidate, view = self._live.selected_candidate, self._active.view
        if candidate is None or view is None or not self._live.is_answered:
            return None
        mask = np.zeros(view.shape, dtype=bool)
        (top, left), (height, width) = candidate.origin, candidate.mask.shape
        mask[top : top + height, left : left + width] = candidate.mask
        return mask

    # -- the run ----------------------------------------------------------------------------------

    def _on_runner_found(self, found: PlaneResult) -> bool:
        run_writer, leave = self._run_writer, False
        if run_writer is None:
            return False
        # The person may have removed or undone it while the plane was under way.
        if why := run_writer.obstacle:
            self._break_off(why)
            return False
        try:
            with self._mute():
                leave = run_writer.take(found)
        except Exception as error:
            self._runner.stop()  # or it would go on with the next plane
            self._fail(error)
        self.changed.emit()
        return leave

    def _on_runner_ended(self, error: BaseException | None) -> None:
        if error is not None:
            self._fail(error)
        elif (run_writer := self._run_writer) is not None:
            done = self._close(whole=True)
            self.message = " ".join(filter(None, (done, run_writer.stopped)))
            self.notified.emit(Status("attention", run_writer.trouble) if run_writer.trouble else Status("idle", done))
        self.changed.emit()

    def _fail(self, error: BaseException) -> None:
        """Say what went wrong; what was written stays."""
        count = 0 if self._run_writer is None else self._run_writer.count
        self._close(whole=False)
        self._live.fail(error)
        self.message = propagation_messages.broken_off(messages.failed(error).text, count)

    def _close(self, *, whole: bool) -> str:
        run_writer, self._run_writer = self._run_writer, None
        self._connections.release("run")
        if run_writer is None:
            return ""
        job = self._runner.remainder
        self._runner.forget()
        with self._mute():
            return run_writer.end(None if whole or job is None else RunRemainder.of(job))

    # -- what happens meanwhile -------------------------------------------------------------------

    def _break_off(self, why: str) -> None:
        if text := self.stop(why):
            self.notified.emit(Status("attention", text))

    def _on_image_data(self) -> None:
        self._break_off(propagation_messages.IMAGE_GONE)

    def _on_viewer_removed(self, layers: tuple[Layer, ...]) -> None:
        if self._run_writer is not None and self._run_writer.image in layers:
            self._break_off(propagation_messages.IMAGE_GONE)

    def _on_settings_model(self) -> None:
        self.stop(propagation_messages.MODEL_CHANGED)  # told by the session, which then asks anew

    def _on_active_view(self) -> None:
        self.changed.emit()

    def _on_active_image(self) -> None:
        """Forget what was chosen for another image."""
        image, before = self._active.image, None if self._image is None else self._image()
        if image is None or image is not before:
            self._image = None if image is None else weakref.ref(image)
            self.options.forget()
            self.next_object()
