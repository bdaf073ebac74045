"""The prompts for one object, what the model answers to them, and which answer is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam.inference.refinement import PreviousMask, Refinement
from napari_sam.inference.request import PlaneRequest
from napari_sam.session.candidates.level import LevelMemory, first_shown, skips_to
from napari_sam.session.candidates.requests import PendingRequests
from napari_sam.session.prompts.reader import PromptReading

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.request import Candidate, PlaneAnswer
    from napari_sam.inference.starting import StartingMask
    from napari_sam.inference.worker import Worker
    from napari_sam.planes.source import PlaneSource
    from napari_sam.prompts import PromptSet
    from napari_sam.session.candidates.preview import CandidatePreview
    from napari_sam.session.prompts.editor import PromptEditor
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.state import Status
    from napari_sam.session.viewing.active_image import ActiveImage


class LivePrediction:
    """The prompting of one object after the other.

    Parameters
    ----------
    active, prompts, preview
        What is looked at, drawn, and shown.
    worker, backend
        What answers.
    settings : SessionSettings
        Which model, where, and what it looks at; who changes that calls `look_again`.
    is_held : callable, optional
        Tells whether the person still drags something; called on the inference thread.
    """

    changed = Signal()
    """Something here changed on its own."""

    def __init__(
        self,
        active: ActiveImage,
        prompts: PromptEditor,
        preview: CandidatePreview,
        worker: Worker,
        backend: InferenceBackend,
        settings: SessionSettings,
        is_held: Callable[[], bool] | None = None,
    ) -> None:
        self._active = active
        self._prompts = prompts
        self._preview = preview
        self._refinement = Refinement()
        self._asked: PlaneRequest | None = None
        self._asks = False
        self._settings = settings
        self._requests = PendingRequests(
            worker, backend, self._on_requests_answered, self._on_requests_changed, is_held
        )
        self.levels = LevelMemory(settings)
        """Which candidate is shown first."""
        self.reading = PromptReading()
        """What the prompt layers said when they were last read."""
        self.answer: PlaneAnswer | None = None
        """The answer that is shown; its request has prompts."""
        self.ready: PlaneAnswer | None = None
        """The newest answer of any kind: it tells about the plane and the device."""
        self.device_text = ""
        """Words for the device that answers; "" until the model is loaded."""
        self.selected = -1
        """Which candidate of the answer is shown; -1 for none."""
        self.skipped = 0
        """How many candidates of the answer under way are to be skipped."""
        self.picked = False
        """Whether the person picked the candidate that is shown, among those of the answer."""

    @property
    def selected_candidate(self) -> Candidate | None:
        """The candidate that is shown."""
        return None if self.answer is None or self.selected < 0 else self.answer.candidates[self.selected]

    @property
    def is_answered(self) -> bool:
        """Whether the answer that is shown is one to the prompts as they are now."""
        asked, answer = self._asked, self.answer
        return asked is not None and answer is not None and asked.question == answer.request.question

    @property
    def is_waiting(self) -> bool:
        """Whether the answer to the prompts is under way."""
        return self._requests.waits_for_prompts

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way, for the prompts, the plane, or objects that are set apart."""
        return self._requests.is_idle

    @property
    def is_stopped(self) -> bool:
        """Whether the prompts have no answer and none is under way, because it was cancelled or failed."""
        return self._asks and not self.is_answered and not self.is_waiting

    @property
    def is_cut(self) -> bool:
        """Whether the candidate that is shown ends where the model looked no farther, and not by itself."""
        return self.answer is not None and self.selected >= 0 and self.answer.found[self.selected].cut

    def shown_candidate(self, index: int) -> tuple[NDArray[np.uint8], Candidate] | None:
        """Return what the model saw around a candidate, (H, W, 3), and the candidate on these pixels."""
        answer = self.answer
        if answer is None or not 0 <= index < len(answer.candidates):
            return None
        return answer.pictures[index].plane.rendered, answer.on_picture(index)

    @property
    def refinement(self) -> Refinement:
        """The answers so far for this object."""
        return self._refinement

    @property
    def start(self) -> StartingMask | None:
        """The mask that the object had before; None for a new object."""
        return self._refinement.start

    def start_from(self, start: StartingMask) -> None:
        """Turn to an object that exists, as it is on a plane; the next `read_prompts` asks for it."""
        self.forget_answers(Refinement(start=start))

    def look_again(self, delay: float = 0.0, *, drag: bool = False) -> None:
        """Ask anew, because the plane, its looks or the model changed; nothing of before counts any more.

        Parameters
        ----------
        delay : float
            Seconds to wait, while more changes may follow.
        drag : bool
            Also wait until the person lets go of what is dragged.
        """
        self._requests.drop_requests()
        self._asked = self.ready = None  # both were about the plane as it was
        self._hide_preview()
        self.read_prompts(delay, drag=drag)

    def read_prompts(self, delay: float = 0.0, *, drag: bool = False, ask: bool = True) -> None:
        """Read the prompts, and ask if they say something new.

        Parameters
        ----------
        delay, drag
            As `look_again` takes them.
        ask : bool
            Whether to ask; prompts that are only read are as if they were asked for and stopped.
        """
        image, source = self._active.image, self._active.plane_source()
        if image is None or source is None:
            self.reading, self._asks = PromptReading(), False
            self._requests.drop_requests()
            self._hide_preview()
            return
        self.reading = self._prompts.read_plane(image, source.view)
        start = self.start if self.start is not None and self.start.view == source.view else None
        # A background point alone names no object, unless there is one: the model is asked as if nothing were drawn.
        alone = self.reading.prompts.is_background_only and (start is None or not start.mask.area)
        # In a batch, each prompt names another object, and none is asked for by itself.
        alone = alone or (start is None and self._settings.tempo == "batch")
        prompts = PromptReading().prompts if alone else self.reading.prompts
        request = replace(self.make_request(source, prompts), start=start)
        self._asks = request.asks
        asked, self._asked = self._asked, request
        if asked is not None and asked.question == request.question:
            return
        # N was pressed for other prompts, unless only what becomes of the masks is another thing.
        if asked is None or request.model_question != asked.model_question:
            self.skipped = 0
        elif not self.is_waiting:
            self.skipped = skips_to(self.answer, self.selected, self._settings.level)
        if not request.asks:
            self._requests.drop_requests("prompts")
            self._hide_preview()
            if self.ready is None and ask:  # else the plane is encoded already
                self._requests.ask_model(request, delay, drag=drag)
            return
        if self.is_answered:  # a change is taken back before its answer: what is shown was asked for this
            self._requests.drop_requests("prompts")
            return
        if not ask:
            self.stop_work()
            return
        previous = self._refinement.previous_for(prompts, request.context)
        self._requests.ask_model(replace(request, previous=previous), delay, drag=drag)

    def make_request(self, source: PlaneSource, prompts: PromptSet) -> PlaneRequest:
        """Make a request out of a plane and prompts, as things are now; without prompts, it is for the plane alone."""
        return PlaneRequest(
            self._settings.model,
            self._settings.device,
            source,
            prompts,
            region=self._settings.region,
            visible=self._active.visible_corners(source.view),
            shaping=self._settings.shaping,
        )

    def pick_candidate(self, index: int) -> None:
        """Show the candidate that the person picked."""
        self.picked = self.is_answered
        self.select_candidate(index)

    def show_level(self) -> None:
        """Show the candidate of the level that the person has chosen by name."""
        if self.answer is not None and not self.levels.is_learning:
            self.picked = False
            self.select_candidate(first_shown(self.answer, self._settings.level))

    def select_candidate(self, index: int) -> None:
        """Show another candidate; further prompts go on from it."""
        answer = self.answer
        if answer is None or not self.is_answered or not 0 <= index < len(answer.candidates):
            return
        self.selected = index
        self._show_preview(answer)

    def skip_candidate(self) -> None:
        """Show the next candidate, after the last one the first; of an answer under way, once it is there."""
        if self.is_waiting:
            self.skipped += 1
        elif self.answer is not None and self.answer.candidates:
            self.pick_candidate((self.selected + 1) % len(self.answer.candidates))

    def stop_work(self) -> None:
        """Stop asking; a candidate for other prompts goes, so that what is shown can always be accepted."""
        self._requests.drop_requests()
        self._drop_stale()

    def ask_again(self) -> None:
        """Ask for the same prompts again, the next time that they are read."""
        self._asked = None

    def show_again(self) -> None:
        """Bring the preview back after its layer was removed: by asking, which is cheap on an encoded plane."""
        if self.answer is not None:
            self._asked = None
            self._hide_preview()
            self.read_prompts()

    def set_apart(
        self, answered: Callable[[PlaneAnswer], None], failed: Callable[[BaseException], None]
    ) -> PlaneRequest:
        """Let the answer under way be for an object that is done with; the next prompts are another's."""

        def arrived(answer: PlaneAnswer) -> None:
            self.device_text = answer.device
            answered(answer)

        return self._requests.set_apart(arrived, failed)

    def withdraw(self, request: PlaneRequest) -> None:
        """Stop a request that was set apart; one that is answered is left alone."""
        self._requests.withdraw_request(request)

    def status(self, plane: str) -> Status | None:
        """Describe the work under way, or else the last failure; None when there is neither.

        Parameters
        ----------
        plane : str
            Words for the plane.
        """
        return self._requests.work_status(plane)

    def fail(self, error: BaseException) -> None:
        """Let the status tell of a failure that happened outside the inference thread."""
        self._requests.report_failure(error)

    def release(self) -> None:
        """Show nothing and ask nothing any more."""
        self.forget_answers()
        self._requests.drop_requests()  # the plane's, too

    def forget_answers(self, refinement: Refinement | None = None) -> None:
        """Turn to another object: a new one, or one that comes back with its answers."""
        self._refinement = refinement or Refinement()
        self._asked = None
        self._requests.drop_requests("prompts")
        self._hide_preview()

    def _show_preview(self, answer: PlaneAnswer) -> None:
        """Show the selected candidate, and remember it as the answer to go on from."""
        image, request = self._active.image, answer.request
        if image is None:
            raise RuntimeError("an answer to prompts has its image")
        self._preview.need_layer(image, request.source.view, self._prompts.layers.present)
        self._preview.show_candidate(answer.candidates[self.selected], image, answer.backdrops[self.selected])
        found, picture = answer.found[self.selected], answer.pictures[self.selected]
        made = PreviousMask.of(found, picture, answer.rounds(self.selected), request.prompts)
        self._refinement = self._refinement.answered(request.prompts, request.previous, made, request.context)

    def _hide_preview(self) -> None:
        self.answer, self.selected = None, -1
        self._preview.clear_mask()

    def _on_requests_answered(self, answer: PlaneAnswer) -> None:
        self.ready = answer
        self.device_text = answer.device
        if answer.request.asks:
            self.answer = answer
            first, self.picked = first_shown(answer, self._settings.level), self.skipped > 0
            self.select_candidate((first + self.skipped) % max(1, len(answer.candidates)))  # N was pressed meanwhile
        self.changed.emit()

    def _on_requests_changed(self) -> None:
        if not self.is_waiting:
            self._drop_stale()
        self.changed.emit()

    def _drop_stale(self) -> None:
        """Show no candidate for other prompts than those on the screen."""
        if not self.is_answered:
            self._hide_preview()
