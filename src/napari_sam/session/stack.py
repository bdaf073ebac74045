"""Objects in stacks: carried from plane to plane, looked over, corrected, and carried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_sam.session import stack_words, words
from napari_sam.session.connections import Connections
from napari_sam.session.stack_course import Course
from napari_sam.session.stack_errand import Errand
from napari_sam.session.stack_hands import Hands
from napari_sam.session.stack_match import belongs
from napari_sam.session.stack_plan import make_job, read_line
from napari_sam.session.stack_report import Strip
from napari_sam.session.stack_rest import Rest
from napari_sam.session.stack_run import Runner
from napari_sam.session.state import Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_sam.session.inference import Backend
    from napari_sam.session.parts import Parts
    from napari_sam.session.stack_job import Found
    from napari_sam.session.stack_object import CarriedObject
    from napari_sam.session.stack_state import StackState
    from napari_sam.worker import Worker


class Stack:
    """What the Stack section does.

    Parameters
    ----------
    parts : Parts
        The parts of the session.
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
        self, parts: Parts, worker: Worker, backend: Backend, quiet: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._parts = parts
        self._quiet = quiet
        self._connections = Connections()
        self._runner = Runner(worker, backend.engine, self._on_runner_found, self._on_runner_ended, parts.ledger.sync)
        self._errand: Errand | None = None
        self.hands = Hands(parts, self.changed.emit)
        self._start: stack_words.Start = "new"
        self._again: bool | None = None
        self._strip = Strip()
        self.said = ""
        """What the last run came to; "" when that is old news."""
        self.course = Course(parts.scene)
        """Axis, range and strategy."""
        connect = self._connections.connect
        connect("scene", parts.scene.view_changed, self._on_scene_view)
        connect("scene", parts.scene.image_changed, self._on_scene_image)
        connect("viewer", parts.scene.viewer_events.removed, self._on_viewer_removed)
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
        return self._errand is not None

    @property
    def hand(self) -> CarriedObject | None:
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
        dialogue, view = self._parts.dialogue, self._parts.scene.view
        if self.course.line is None or view is None:
            return False
        if dialogue.is_answered and dialogue.answer is not None:
            request = dialogue.answer.request
            return belongs(hand, request.source.view, request.said, dialogue.candidate)
        return belongs(hand, view, dialogue.reading.prompts, None)

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
        if self._errand is None:
            return None
        done, total = self._runner.counted
        hand = self._errand.hand
        text = stack_words.progress(None if hand is None else hand.label, done, total, self._start)
        return Status("working", text, done / total if total else None, cancellable=True)

    def state(self) -> StackState:
        """Describe everything that the section shows."""
        self.hands.look()
        return self._strip.state(self, self._parts)

    # -- commands ---------------------------------------------------------------------------------

    def propagate(self, image: Image, *, only_empty: bool) -> str:
        """Begin to carry the object through the stack; return what the person should know."""
        parts, dialogue, course = self._parts, self._parts.dialogue, self.course
        line, axis, source = course.line, course.axis, parts.scene.source()
        if self.running:
            return stack_words.RUNNING
        if line is None or axis is None or source is None:
            return self.state().text
        said = read_line(parts.prompts, image, line)
        writer = parts.targets.writer(image)
        hand = self.hand if writer is not None and (self.again or not said.objects) else None
        if hand is None and not said.objects:
            return stack_words.NO_OBJECT
        shown = self._candidate() if line.place in said.objects else None
        if shown is not None and not shown.any():
            return words.EMPTY_MASK
        job = make_job(
            source,
            line,
            hand,
            said,
            shown,
            course.span,
            model=dialogue.model,
            device=dialogue.device,
            strategy=course.strategy,
        )
        if hand is not None and not job.known and not job.asked:
            return stack_words.not_here(hand.label, axis.name)
        self._start = "new"
        if hand is not None and hand.rest is not None:
            on = hand.rest.job_for(hand, line, job)
            self._start, job = ("again", job) if on is None else ("on", on)
        writer = writer or parts.targets.add(image, parts.above_target)
        errand = Errand(parts, image, line, axis.name, writer, job, hand, only_empty=only_empty)
        if trouble := errand.begin(said.readings, shown):
            return trouble
        self._errand, self._again, self.said = errand, None, ""
        self._connections.connect("run", image.events.data, self._on_image_data)
        self._runner.start(job)
        return errand.trouble

    def stop(self, why: str = stack_words.CANCELLED) -> str:
        """Stop the run at once, and keep what it did; return words for that, "" when there was no run."""
        errand = self._errand
        if errand is None:
            return ""
        self._runner.stop()
        count = 0 if errand.obstacle else errand.count
        self._close(whole=False)
        self.said = stack_words.broken_off(why, count, rest=why == stack_words.CANCELLED)
        return self.said

    def undone(self, image: Image) -> bool:
        """Stop the run if it is what is about to be undone; tell whether nothing is left to undo of it then."""
        self.said = ""
        errand, done = self._errand, self._parts.ledger.history(image).done
        if errand is None or not done or done[-1] is not errand.deed:
            return False
        nothing = not errand.count
        self.stop()
        self.said = ""
        return nothing

    def next_weak(self) -> str:
        """Go to the next weak plane of the object in hand, to correct it; return what the person should know."""
        state = self.state()
        weak = [plane.place for plane in state.planes if plane.weak]
        if not weak:
            return stack_words.NO_WEAK
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
        parts, line, axis = self._parts, self.course.line, self.course.axis
        if line is None or axis is None:
            return self.state().text
        if not 0 <= line.place + step < line.size:
            return stack_words.no_neighbour(axis.name, line.place + step)
        if not words.names_nothing(parts.dialogue.reading) and len(parts.dialogue.reading.prompts):
            if not parts.dialogue.is_answered:
                return stack_words.STILL_ASKED
            if trouble := accept():
                return trouble
        hand = self.hand
        record = None if hand is None else hand.planes.get(line.view.index)
        if record is None or not len(record.prompts):
            return stack_words.NOTHING_TO_COPY
        self.course.go_to(line.place + step)
        if parts.scene.view is not None:
            parts.prompts.draw(image, parts.scene.view, record.prompts)
            parts.ledger.note_drawing(image)
        self._again = True
        return ""

    def _candidate(self) -> NDArray[np.bool_] | None:
        """Return the candidate that is shown, (H, W) bool; None when there is none for the prompts as they are."""
        dialogue, view = self._parts.dialogue, self._parts.scene.view
        candidate = dialogue.candidate
        if candidate is None or view is None or not dialogue.is_answered:
            return None
        mask = np.zeros(view.shape, dtype=bool)
        (top, left), (height, width) = candidate.origin, candidate.mask.shape
        mask[top : top + height, left : left + width] = candidate.mask
        return mask

    # -- the run ----------------------------------------------------------------------------------

    def _on_runner_found(self, found: Found) -> bool:
        errand, leave = self._errand, False
        if errand is None:
            return False
        if why := errand.obstacle:
            self._break_off(why)
            return False
        try:
            with self._quiet():
                leave = errand.take(found)
        except Exception as error:
            self._runner.stop()
            self._fail(error)
        self.changed.emit()
        return leave

    def _on_runner_ended(self, error: BaseException | None) -> None:
        if error is not None:
            self._fail(error)
        elif (errand := self._errand) is not None:
            done = self._close(whole=True)
            self.said = " ".join(filter(None, (done, errand.stopped)))
            self.told.emit(Status("attention", errand.trouble) if errand.trouble else Status("idle", done))
        self.changed.emit()

    def _fail(self, error: BaseException) -> None:
        """Say what went wrong; what was written stays."""
        count = 0 if self._errand is None else self._errand.count
        self._close(whole=False)
        self._parts.dialogue.asker.fail(error)
        self.said = stack_words.broken_off(words.failed(error).text, count)

    def _close(self, *, whole: bool) -> str:
        errand, self._errand = self._errand, None
        self._connections.release("run")
        if errand is None:
            return ""
        job = self._runner.rest
        self._runner.forget()
        with self._quiet():
            return errand.end(None if whole or job is None else Rest.of(job))

    # -- what happens meanwhile -------------------------------------------------------------------

    def _break_off(self, why: str) -> None:
        if text := self.stop(why):
            self.told.emit(Status("attention", text))

    def _on_image_data(self) -> None:
        self._break_off(stack_words.IMAGE_GONE)

    def _on_viewer_removed(self, layers: tuple[Layer, ...]) -> None:
        if self._errand is not None and self._errand.image in layers:
            self._break_off(stack_words.IMAGE_GONE)

    def _on_scene_view(self) -> None:
        self.changed.emit()

    def _on_scene_image(self) -> None:
        if self.hands.move_to(self._parts.scene.image):
            self.course.forget()
            self._again, self.said = None, ""
