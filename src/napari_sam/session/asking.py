"""Asks the inference thread, and keeps only the answers that are still wanted."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Literal

from napari_sam.errors import Cancelled, NapariSamError
from napari_sam.session import words

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.session.inference import Answer, Backend, Request
    from napari_sam.session.state import Status
    from napari_sam.worker import Worker

_log = logging.getLogger(__name__)

Lane = Literal["plane", "prompts"]


class Asker:
    """The requests of a session that are under way: at most one for the plane, and one for prompts.

    Parameters
    ----------
    worker : Worker
        Runs them.
    backend : Backend
        Does them.
    answered : callable
        Takes an answer that is still wanted, on the owner's thread.
    changed : callable
        Called when `status` is another one.
    """

    def __init__(
        self, worker: Worker, backend: Backend, answered: Callable[[Answer], None], changed: Callable[[], None]
    ) -> None:
        self._worker = worker
        self._backend = backend
        self._answered = answered
        self._changed = changed
        self._pending: dict[Lane, Request] = {}
        self._fraction: float | None = None
        self._failure: Status | None = None
        self.held: Callable[[], bool] | None = None
        """Tells whether the person still drags something; called on the inference thread."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._pending

    @property
    def waits_for_prompts(self) -> bool:
        """Whether an answer to prompts is under way."""
        return "prompts" in self._pending

    def status(self, plane: str) -> Status | None:
        """Describe the work under way, or else the last failure; None when there is neither.

        Parameters
        ----------
        plane : str
            Words for the plane.
        """
        if not self._pending:
            return self._failure
        request = next(iter(self._pending.values()))
        if self._fraction is not None:
            stage = self._backend.stage
        elif not self._backend.ready_for(request):
            stage = "loading"
        else:
            stage = "predicting" if self.waits_for_prompts else "encoding"
        return words.working(stage, plane, self._fraction or None)

    def ask(self, request: Request, delay: float = 0.0, *, drag: bool = False) -> None:
        """Ask; an older request of the same kind that waits is dropped, and its answer too if it runs already.

        Parameters
        ----------
        request : Request
            With prompts, or without for the plane alone.
        delay : float
            Seconds to wait for a newer one.
        drag : bool
            Also wait until the person lets go of what is dragged.
        """
        lane: Lane = "prompts" if len(request.said) else "plane"
        self._failure = self._fraction = None
        self._pending[lane] = request
        self._worker.submit(
            lane,
            partial(self._backend.do, request),
            partial(self._on_done, lane, request),
            partial(self._on_failed, lane, request),
            partial(self._on_progress, lane, request),
            delay=delay,
            held=self.held if drag else None,
        )

    def drop(self, lane: Lane | None = None) -> None:
        """Stop work of one kind, or all, and forget its answers and failures."""
        for name in [lane] if lane is not None else list(self._pending):
            if self._pending.pop(name, None) is not None:
                self._worker.cancel(name)
        self._failure = self._fraction = None

    def fail(self, error: BaseException) -> None:
        """Note a failure that happened outside the inference thread."""
        self._failure = words.failed(error)
        if not isinstance(error, NapariSamError):
            _log.error("unexpected error in a session", exc_info=error)

    def _on_done(self, lane: Lane, request: Request, answer: Answer) -> None:
        if self._pending.get(lane) is request:
            del self._pending[lane]
            self._fraction = None
            self._answered(answer)

    def _on_failed(self, lane: Lane, request: Request, error: BaseException) -> None:
        if self._pending.get(lane) is request:
            del self._pending[lane]
            self._fraction = None
            if not isinstance(error, Cancelled):
                self.fail(error)
            self._changed()

    def _on_progress(self, lane: Lane, request: Request, fraction: float) -> None:
        if self._pending.get(lane) is request:
            self._fraction = fraction
            self._changed()
