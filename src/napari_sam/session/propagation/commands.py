"""The commands of a session for stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from napari_sam.session.propagation import messages as propagation_messages

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from napari.layers import Image

    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.objects.current import CurrentObject
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.pending_accepts import PendingAccepts
    from napari_sam.session.objects.same_object import SameObject
    from napari_sam.session.prompts.editor import PromptEditor
    from napari_sam.session.propagation.controller import PropagationController
    from napari_sam.session.viewing.active_image import ActiveImage


class PropagationContext(Protocol):
    """What a command is made of, as `napari_sam.session.commands` has it."""

    def command(self) -> AbstractContextManager[Image | None]:
        """Run a command on the image: changes of layers are the session's own, and what comes of it is told."""

    def say(self, text: str) -> None:
        """Let the status line say something; "" for nothing."""


class PropagationCommands:
    """What a person does with objects in stacks.

    Parameters
    ----------
    context : PropagationContext
        What each command is made of.
    controller : PropagationController
        Runs objects through the stack.
    active, prompts, live
        What is on screen, drawn and answered.
    log, current, same_object, accepts
        What records; the current object, whether accept writes that again, and what waits to be written.
    accept_now : callable
        Writes the candidate; returns what the person should know.
    """

    def __init__(
        self,
        context: PropagationContext,
        controller: PropagationController,
        active: ActiveImage,
        prompts: PromptEditor,
        live: LivePrediction,
        log: ObjectLog,
        current: CurrentObject,
        same_object: SameObject,
        accepts: PendingAccepts,
        accept_now: Callable[[Image], str],
    ) -> None:
        self._context = context
        self._controller = controller
        self._active = active
        self._prompts = prompts
        self._live = live
        self._log = log
        self._current = current
        self._same_object = same_object
        self._accepts = accepts
        self._accept_now = accept_now

    @property
    def same_object(self) -> bool:
        """Whether accept writes the current object again, in place of what the plane carries of it, not a new one.

        The current object is the one that was accepted or carried last. A click on what a run wrote of it, or a mask
        that is the object's for the most part, is that object again. Setting this decides for the next accept.
        """
        return self._same_object.replaces_current

    @same_object.setter
    def same_object(self, same: bool) -> None:
        with self._context.command():
            if not self._accepts_wait():
                self._same_object.chosen = same

    def toggle_same_object(self) -> None:
        """Switch `same_object` on or off."""
        self.same_object = not self.same_object

    @property
    def scores(self) -> dict[int, float]:
        """How far the current object can be trusted, 0 to 1, by the index of the plane along the chosen axis."""
        return {plane.place: plane.score for plane in self._controller.state.planes}

    def choose(
        self, axis: int | None = None, start: int | None = None, stop: int | None = None, strategy: str | None = None
    ) -> None:
        """Choose how objects are carried through a stack; what is None stays as it is.

        Parameters
        ----------
        axis : int, optional
            Axis of the image's data that is not on screen; at first that of the slider moved last.
        start, stop : int, optional
            The range of planes, the stop not in it; at first all.
        strategy : str, optional
            A name in `napari_sam.propagation.STRATEGIES`.
        """
        with self._context.command() as image:
            if image is not None:
                self._controller.options.choose(axis, start, stop, strategy)

    def propagate(
        self, start: int | None = None, stop: int | None = None, axis: int | None = None, strategy: str | None = None
    ) -> None:
        """Carry the object through the stack, both ways, and write each plane as soon as it is found.

        The object is the one that is prompted, on this plane and on others along the axis, or else the current one. A
        plane with background points alone is a stop mark. An object that was carried before and corrected since goes
        from the corrected planes to the next good ones; else it goes through the whole range. `Session.cancel` stops
        it and keeps what was done; one undo takes all of it back. The parameters are those of `choose`, and stay
        chosen.
        """
        with self._context.command() as image:
            if image is not None and not self._accepts_wait():
                self._controller.options.choose(axis, start, stop, strategy)
                self._context.say(self._controller.propagate(image))

    def next_weak_plane(self) -> None:
        """Go to the next plane where the current object is weak, to correct it: accept then writes it anew there."""
        with self._context.command() as image:
            if image is None:
                return
            state = self._controller.state
            weak = [plane.place for plane in state.planes if plane.weak]
            if not weak:
                self._context.say(propagation_messages.NO_WEAK)
                return
            self._controller.options.go_to(next((place for place in weak if place > state.place), weak[0]))
            # Who goes to a weak plane corrects it: a quite different mask is this object as well.
            self._same_object.chosen = True

    def go_to_plane(self, place: int) -> None:
        """Move the slider of the chosen axis to a plane."""
        with self._context.command() as image:
            if image is not None:
                self._controller.options.go_to(place)

    def copy_prompts(self, step: int = 1) -> None:
        """Write this plane, and set its prompts `step` planes or time points further, for the same object."""
        with self._context.command() as image:
            if image is not None and not self._accepts_wait():
                self._context.say(self._copy(image, step))

    def _copy(self, image: Image, step: int) -> str:
        """Copy prompts and go to their plane; return what the person should know."""
        options, live = self._controller.options, self._live
        line, axis = options.line, options.axis
        if line is None or axis is None:
            return self._controller.state.text
        if not 0 <= line.place + step < line.size:
            return propagation_messages.no_neighbour(axis.name, line.place + step)
        if len(live.reading.prompts) and not live.reading.prompts.is_background_only:
            if not live.is_answered:
                return propagation_messages.STILL_ASKED
            # This plane is written first, as there may be no object yet that the copy would belong to.
            if trouble := self._accept_now(image):
                return trouble
        current = self._current.tracked
        record = None if current is None else current.planes.get(line.view.index)
        if record is None or not len(record.prompts):
            return propagation_messages.NOTHING_TO_COPY
        options.go_to(line.place + step)
        if self._active.view is not None:
            self._prompts.draw_prompts(image, self._active.view, record.prompts)
            # A step of its own: one undo takes the copy away, and leaves the object.
            self._log.note_drawing(image)
        self._same_object.chosen = True
        return ""

    def _accepts_wait(self) -> bool:
        """Tell whether the current object is not settled, because others wait to be written, and say so."""
        if self._accepts.waiting:
            self._context.say(propagation_messages.STILL_WRITING)
        return self._accepts.waiting > 0
