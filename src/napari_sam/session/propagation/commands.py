"""The commands of a session for stacks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from napari_sam.session.propagation import messages as propagation_messages

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from napari.layers import Image

    from napari_sam.session.objects.pending_accepts import PendingAccepts
    from napari_sam.session.propagation.controller import PropagationController


class StackCommands(ABC):
    """What a session does with objects in stacks; a part of `napari_sam.session.Session`."""

    _stack: PropagationController
    _accepts: PendingAccepts

    @property
    @abstractmethod
    def only_empty(self) -> bool:
        """Whether accept leaves pixels alone that carry a label."""

    @abstractmethod
    def _command(self) -> AbstractContextManager[Image | None]:
        """Run a command: our own changes of layers are not taken for the person's, and what comes of it is told."""

    @abstractmethod
    def _say(self, text: str) -> None:
        """Let the status line say something; "" for nothing."""

    @abstractmethod
    def _accept_now(self, image: Image) -> str:
        """Write the candidate; return what the person should know."""

    @property
    def same_object(self) -> bool:
        """Whether accept writes the object in hand again, in place of what the plane carries of it, not a new one.

        The object in hand is the one that was accepted or carried last. What is prompted decides: a click on what a run
        wrote of the object, or a mask that is the object's for the most part, is that object again. Setting this
        decides for the next accept.
        """
        return self._stack.again

    @same_object.setter
    def same_object(self, same: bool) -> None:
        with self._command():
            if not self._accepts_wait():
                self._stack.again = same

    def toggle_same_object(self) -> None:
        """Switch `same_object` on or off."""
        self.same_object = not self.same_object

    @property
    def stack_scores(self) -> dict[int, float]:
        """How far the object in hand can be trusted, 0 to 1, by the index of the plane along the chosen axis."""
        return {plane.place: plane.score for plane in self._stack.state().planes}

    def set_stack(
        self, axis: int | None = None, start: int | None = None, stop: int | None = None, strategy: str | None = None
    ) -> None:
        """Choose how objects are carried through a stack; what is None stays as it is.

        Parameters
        ----------
        axis : int, optional
            Axis of the image's data that is not on screen. At first it is that of the slider moved last.
        start, stop : int, optional
            The range of planes, the stop not in it. At first all.
        strategy : str, optional
            A name in `napari_sam.propagation.STRATEGIES`.
        """
        with self._command() as image:
            if image is not None:
                self._stack.course.choose(axis, start, stop, strategy)

    def propagate(
        self, start: int | None = None, stop: int | None = None, axis: int | None = None, strategy: str | None = None
    ) -> None:
        """Carry the object through the stack, both ways, and write each plane as soon as it is found.

        The object is the one that is prompted, on this plane and on others along the axis, or else the object in
        hand. A plane with background points alone is a stop mark. An object that was carried before and corrected since
        goes from the corrected planes to the next good ones; else it goes through the whole range. `cancel` stops it
        and keeps what was done; one undo takes all of it back.

        Parameters
        ----------
        start, stop, axis, strategy
            As `set_stack` takes them; they stay chosen.
        """
        with self._command() as image:
            if image is not None and not self._accepts_wait():
                self._stack.course.choose(axis, start, stop, strategy)
                self._say(self._stack.propagate(image, only_empty=self.only_empty))

    def next_weak_plane(self) -> None:
        """Go to the next plane where the object in hand is weak, to correct it: accept then writes it anew there."""
        with self._command() as image:
            if image is not None:
                self._say(self._stack.next_weak())

    def go_to_plane(self, place: int) -> None:
        """Move the slider of the chosen axis to a plane."""
        with self._command() as image:
            if image is not None:
                self._stack.course.go_to(place)

    def copy_prompts(self, step: int = 1) -> None:
        """Write this plane, and set its prompts on a neighbouring plane or time point, for the same object.

        Parameters
        ----------
        step : int
            How many planes further along the chosen axis; negative for backwards.
        """
        with self._command() as image:
            if image is not None and not self._accepts_wait():
                self._say(self._stack.copy(image, step, lambda: self._accept_now(image)))

    def _accepts_wait(self) -> bool:
        """Tell whether the object in hand is not settled, because others wait to be written, and say so."""
        if self._accepts.waiting:
            self._say(propagation_messages.STILL_WRITING)
        return self._accepts.waiting > 0
