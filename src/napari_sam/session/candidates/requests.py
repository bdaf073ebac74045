"""Asks the inference thread, and keeps only the answers that are still wanted."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from napari_sam.errors import Cancelled, NapariSamError
from napari_sam.session import messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.request import PlaneAnswer, PlaneRequest
    from napari_sam.inference.worker import Worker
    from napari_sam.session.state import Status

_log = logging.getLogger(__name__)

Lane = Literal["plane", "prompts"]


@dataclass(frozen=True, slots=True, eq=False)
class _SetApart:
    """Who gets the answer to a request that was set apart, and in which lane of the worker it is."""

    lane: str
    answered: Callable[[PlaneAnswer], None]
    failed: Callable[[BaseException], None]


class PendingRequests:
    """The requests of a session that are under way: at most one for the plane, and one for the prompts of each object.

    Requests for the object that is prompted replace each other. Those for objects that are done with, and only wait for
    their answer, are set apart.

    Parameters
    ----------
    worker : Worker
        Runs them.
    backend : InferenceBackend
        Does them.
    answered : callable
        Takes an answer that is still wanted, on the owner's thread.
    changed : callable
        Called when `status` is another one.
    is_held : callable, optional
        Tells whether the person still drags something; called on the inference thread.
    """

    def __init__(
        self,
        worker: Worker,
        backend: InferenceBackend,
        answered: Callable[[PlaneAnswer], None],
        changed: Callable[[], None],
        is_held: Callable[[], bool] | None = None,
    ) -> None:
        self._worker = worker
        self._backend = backend
        self._answered = answered
        self._changed = changed
        self._is_held = is_held
        self._pending: dict[Lane, PlaneRequest] = {}
        # Requests are equal only to themselves: two may ask for the same.
        self._apart: dict[PlaneRequest, _SetApart] = {}
        self._object = 0
        self._fraction: float | None = None
        self._failure: Status | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._pending and not self._apart

    @property
    def waits_for_prompts(self) -> bool:
        """Whether an answer to prompts is under way."""
        return "prompts" in self._pending

    def work_status(self, plane: str) -> Status | None:
        """Describe the work under way, or else the last failure; None when there is neither.

        Parameters
        ----------
        plane : str
            Words for the plane.
        """
        if self.is_idle:
            return self._failure
        # The oldest, as the worker's lanes take turns in the order in which they began.
        request = next(iter((*self._apart, *self._pending.values())))
        if self._fraction is not None:
            stage = self._backend.stage
        elif not self._backend.ready_for(request):
            stage = "loading"
        else:
            stage = "predicting" if self.waits_for_prompts or self._apart else "encoding"
        return messages.working(stage, plane, self._fraction or None)

    def ask_model(self, request: PlaneRequest, delay: float = 0.0, *, drag: bool = False) -> None:
        """Ask; an older request of the same kind that waits is dropped, and its answer too if it runs already.

        Parameters
        ----------
        request : PlaneRequest
            With prompts, or without for the plane alone.
        delay : float
            Seconds to wait for a newer one.
        drag : bool
            Also wait until the person lets go of what is dragged.
        """
        lane: Lane = "prompts" if request.asks else "plane"
        # What failed before is asked anew, or no longer wanted.
        self._failure = self._fraction = None
        self._pending[lane] = request
        self._worker.submit(
            self._lane_name(lane),
            partial(self._backend.do, request),
            partial(self._on_done, lane, request),
            partial(self._on_failed, lane, request),
            partial(self._on_progress, lane, request),
            delay=delay,
            # A click is answered even while something is held.
            held=self._is_held if drag else None,
        )

    def set_apart(
        self, answered: Callable[[PlaneAnswer], None], failed: Callable[[BaseException], None]
    ) -> PlaneRequest:
        """Let the request for prompts that is under way go on by itself; the next prompts are those of another object.

        Parameters
        ----------
        answered, failed : callable
            Take its answer or its failure, on the owner's thread, in place of the callables of this object.

        Returns
        -------
        PlaneRequest
            The request, for `withdraw`.
        """
        request = self._pending.pop("prompts")
        self._apart[request] = _SetApart(self._lane_name("prompts"), answered, failed)
        # In a lane of their own, the next object's requests do not replace this one.
        self._object += 1
        return request

    def withdraw_request(self, request: PlaneRequest) -> None:
        """Stop a request that was set apart; nothing is told of it any more. One that is done is left alone."""
        if (apart := self._apart.pop(request, None)) is not None:
            self._worker.cancel(apart.lane)

    def _lane_name(self, lane: Lane) -> str:
        """Name a lane of the worker, in which only the newest counts: each object has one of its own."""
        return f"prompts of object {self._object}" if lane == "prompts" else lane

    def drop_requests(self, lane: Lane | None = None) -> None:
        """Stop work of one kind, or all, and forget its answers and failures."""
        for name in [lane] if lane is not None else list(self._pending):
            if self._pending.pop(name, None) is not None:
                self._worker.cancel(self._lane_name(name))
        self._failure = self._fraction = None

    def report_failure(self, error: BaseException) -> None:
        """Note a failure that happened outside the inference thread."""
        self._failure = describe_failure(error)

    def _on_done(self, lane: Lane, request: PlaneRequest, answer: PlaneAnswer) -> None:
        if (apart := self._apart.pop(request, None)) is not None:
            self._fraction = None
            apart.answered(answer)
        # Else a newer request took its place while this answer was on its way.
        elif self._pending.get(lane) is request:
            del self._pending[lane]
            self._fraction = None
            self._answered(answer)

    def _on_failed(self, lane: Lane, request: PlaneRequest, error: BaseException) -> None:
        if (apart := self._apart.pop(request, None)) is not None:
            self._fraction = None
            apart.failed(error)
        elif self._pending.get(lane) is request:
            del self._pending[lane]
            self._fraction = None
            if not isinstance(error, Cancelled):  # who cancels knows it
                self.report_failure(error)
            self._changed()

    def _on_progress(self, lane: Lane, request: PlaneRequest, fraction: float) -> None:
        if request in self._apart or self._pending.get(lane) is request:
            self._fraction = fraction
            self._changed()


def describe_failure(error: BaseException) -> Status:
    """Say what went wrong; what nobody foresaw goes to the log as well."""
    if not isinstance(error, NapariSamError):
        _log.error("unexpected error in a session", exc_info=error)
    return messages.failed(error)
