"""Objects in stacks: carried from plane to plane, looked over, corrected, and carried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_sam.session import messages
from napari_sam.session.connections import Connections
from napari_sam.session.objects.current import CurrentObjects
from napari_sam.session.objects.matching import belongs
from napari_sam.session.objects.remainder import RunRemainder
from napari_sam.session.propagation import messages as propagation_messages
from napari_sam.session.propagation.options import PropagationOptions
from napari_sam.session.propagation.plan import make_job, read_line, resumed_job
from napari_sam.session.propagation.run_writer import RunWriter
from napari_sam.session.propagation.runner import PropagationRunner
from napari_sam.session.propagation.snapshot import Strip
from napari_sam.session.state import Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.worker import Worker
    from napari_sam.propagation.job import PlaneResult
    from napari_sam.session.components import Components
    from napari_sam.session.objects.tracked import TrackedObject
    from napari_sam.session.state import StackState


class PropagationController:
    """What the Stack section does.

    Parameters
    ----------
    components : Components
        The components of the session.
    worker, backend
        What computes.
    quiet : callable
        Gives a context in which changes of layers are the session's own.
    """

    changed = Signal()
    """Something that panels may show changed."""
    told = Signal(Status)
    """A run ended by itself; this is what there is to say about it."""

    def __init__(
        self,
        components: Components,
        worker: Worker,
        backend: InferenceBackend,
        quiet: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._components = components
        self._quiet = quiet
        self._connections = Connections()
        self._runner = PropagationRunner(
            worker, backend.engine, self._on_runner_found, self._on_runner_ended, components.log.sync
        )
        self._run_writer: RunWriter | None = None
        self.hands = CurrentObjects(components, self.changed.emit)
        self._start: propagation_messages.Start = "new"
        self._again: bool | None = None
        self._strip = Strip()
        self.message = ""
        """What the last run came to; "" when that is old news."""
        self.course = PropagationOptions(components.active)
        """Axis, range and strategy."""
        connect = self._connections.connect
        connect("scene", components.active.view_changed, self._on_scene_view)
        connect("scene", components.active.image_changed, self._on_scene_image)
        connect("viewer", components.active.viewer_events.removed, self._on_viewer_removed)
        self._on_scene_image()

    def release(self) -> None:
        """Stop working and listening."""
        self.stop()
        self._connections.release()
        self.hands.release()

    # -- what there is ----------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether a run goes on."""
        return self._run_writer is not None

    @property
    def hand(self) -> TrackedObject | None:
        """The object in hand; None where there is none, or it is in another layer than the target."""
        return self.hands.hand

    @property
    def again(self) -> bool:
        """Whether accept writes the object in hand again, instead of a new one.

        As the person chose for the next accept; else it does if what is prompted belongs to that object.
        """
        hand = self.hand
        if hand is None or self._again is not None:
            return hand is not None and bool(self._again)
        live, view = self._components.live, self._components.active.view
        if self.course.line is None or view is None:
            return False
        if live.is_answered and live.answer is not None:
            request = live.answer.request
            return belongs(hand, request.source.view, request.prompts, live.selected_candidate)
        return belongs(hand, view, live.reading.prompts, None)

    @again.setter
    def again(self, again: bool | None) -> None:
        self._again = again

    @property
    def is_decided(self) -> bool:
        """Whether the person chose which object accept writes; else the mask tells."""
        return self._again is not None

    @property
    def status(self) -> Status | None:
        """Describe the run under way; None when there is none."""
        if self._run_writer is None:
            return None
        done, total = self._runner.counted
        hand = self._run_writer.hand
        text = propagation_messages.progress(None if hand is None else hand.label, done, total, self._start)
        return Status("working", text, done / total if total else None, cancellable=True)

    def state(self) -> StackState:
        """Describe everything that the section shows."""
        self.hands.look()
        return self._strip.state(self, self._components)

    # -- commands ---------------------------------------------------------------------------------

    def propagate(self, image: Image, *, only_empty: bool) -> str:
        """Begin to carry the object through the stack; return what the person should know."""
        components, live, course = self._components, self._components.live, self.course
        line, axis, source = course.line, course.axis, components.active.plane_source()
        if self.running:
            return propagation_messages.RUNNING
        if line is None or axis is None or source is None:
            return self.state().text
        prompts = read_line(components.prompts, image, line)
        writer = components.targets.find_writer(image)
        hand = self.hand if writer is not None and (self.again or not prompts.objects) else None
        if hand is None and not prompts.objects:
            return propagation_messages.NO_OBJECT
        shown = self._candidate() if line.place in prompts.objects else None
        if shown is not None and not shown.any():
            return messages.EMPTY_MASK
        job = make_job(
            source,
            line,
            hand,
            prompts,
            shown,
            course.span,
            model=live.model,
            device=live.device,
            strategy=course.strategy,
        )
        if hand is not None and not job.known and not job.asked:
            return propagation_messages.not_here(hand.label, axis.name)
        self._start = "new"
        if hand is not None and hand.remainder is not None:
            on = resumed_job(hand, line, job)
            self._start, job = ("again", job) if on is None else ("on", on)
        writer = writer or components.targets.add_layer(image, components.above_target)
        run_writer = RunWriter(components, image, line, axis.name, writer, job, hand, only_empty=only_empty)
        if trouble := run_writer.begin(prompts.readings, shown):
            return trouble
        self._run_writer, self._again, self.message = run_writer, None, ""
        self._connections.connect("run", image.events.data, self._on_image_data)
        self._runner.start(job)
        return run_writer.trouble

    def stop(self, why: str = propagation_messages.CANCELLED) -> str:
        """Stop the run at once, and keep what it did; return words for that, "" when there was no run."""
        run_writer = self._run_writer
        if run_writer is None:
            return ""
        self._runner.stop()
        count = 0 if run_writer.obstacle else run_writer.count
        self._close(whole=False)
        self.message = propagation_messages.broken_off(why, count, rest=why == propagation_messages.CANCELLED)
        return self.message

    def undone(self, image: Image) -> bool:
        """Stop the run if it is what is about to be undone; tell whether nothing is left to undo of it then."""
        self.message = ""
        run_writer, done = self._run_writer, self._components.log.history(image).done
        if run_writer is None or not done or done[-1] is not run_writer.step:
            return False
        nothing = not run_writer.count
        self.stop()
        self.message = ""
        return nothing

    def next_weak(self) -> str:
        """Go to the next weak plane of the object in hand, to correct it; return what the person should know."""
        state = self.state()
        weak = [plane.place for plane in state.planes if plane.weak]
        if not weak:
            return propagation_messages.NO_WEAK
        self.course.go_to(next((place for place in weak if place > state.place), weak[0]))
        self._again = True
        return ""

    def copy(self, image: Image, step: int, accept: Callable[[], str]) -> str:
        """Set the prompts of this plane on a neighbouring one, for the same object, and go there.

        Parameters
        ----------
        image : Image
            The image.
        step : int
            How many planes further; negative for backwards.
        accept : callable
            Writes the candidate; returns what the person should know.

        Returns
        -------
        str
            What the person should know; "" when all went as expected.
        """
        components, line, axis = self._components, self.course.line, self.course.axis
        if line is None or axis is None:
            return self.state().text
        if not 0 <= line.place + step < line.size:
            return propagation_messages.no_neighbour(axis.name, line.place + step)
        if not components.live.reading.prompts.is_background_only and len(components.live.reading.prompts):
            if not components.live.is_answered:
                return propagation_messages.STILL_ASKED
            if trouble := accept():
                return trouble
        hand = self.hand
        record = None if hand is None else hand.planes.get(line.view.index)
        if record is None or not len(record.prompts):
            return propagation_messages.NOTHING_TO_COPY
        self.course.go_to(line.place + step)
        if components.active.view is not None:
            components.prompts.draw_prompts(image, components.active.view, record.prompts)
            components.log.note_drawing(image)
        self._again = True
        return ""

    def _candidate(self) -> NDArray[np.bool_] | None:
        """Return the candidate that is shown, (H, W) bool; None when there is none for the prompts as they are."""
        live, view = self._components.live, self._components.active.view
        candidate = live.selected_candidate
        if candidate is None or view is None or not live.is_answered:
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
        if why := run_writer.obstacle:
            self._break_off(why)
            return False
        try:
            with self._quiet():
                leave = run_writer.take(found)
        except Exception as error:
            self._runner.stop()
            self._fail(error)
        self.changed.emit()
        return leave

    def _on_runner_ended(self, error: BaseException | None) -> None:
        if error is not None:
            self._fail(error)
        elif (run_writer := self._run_writer) is not None:
            done = self._close(whole=True)
            self.message = " ".join(filter(None, (done, run_writer.stopped)))
            self.told.emit(Status("attention", run_writer.trouble) if run_writer.trouble else Status("idle", done))
        self.changed.emit()

    def _fail(self, error: BaseException) -> None:
        """Say what went wrong; what was written stays."""
        count = 0 if self._run_writer is None else self._run_writer.count
        self._close(whole=False)
        self._components.live.requests.report_failure(error)
        self.message = propagation_messages.broken_off(messages.failed(error).text, count)

    def _close(self, *, whole: bool) -> str:
        run_writer, self._run_writer = self._run_writer, None
        self._connections.release("run")
        if run_writer is None:
            return ""
        job = self._runner.rest
        self._runner.forget()
        with self._quiet():
            return run_writer.end(None if whole or job is None else RunRemainder.of(job))

    # -- what happens meanwhile -------------------------------------------------------------------

    def _break_off(self, why: str) -> None:
        if text := self.stop(why):
            self.told.emit(Status("attention", text))

    def _on_image_data(self) -> None:
        self._break_off(propagation_messages.IMAGE_GONE)

    def _on_viewer_removed(self, layers: tuple[Layer, ...]) -> None:
        if self._run_writer is not None and self._run_writer.image in layers:
            self._break_off(propagation_messages.IMAGE_GONE)

    def _on_scene_view(self) -> None:
        self.changed.emit()

    def _on_scene_image(self) -> None:
        if self.hands.move_to(self._components.active.image):
            self.course.forget()
            self._again, self.message = None, ""
