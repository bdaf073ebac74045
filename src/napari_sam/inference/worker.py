"""One thread that does the slow work, newest request first in its lane.

Knows nothing of SAM, napari or Qt. Work is submitted to a *lane*: in a lane only the newest submission counts. It
replaces one that waits, and the answer of an older one is never delivered. Lanes take turns, first in, first out, on
one thread, which lives only while there is work: an idle worker holds nothing, and a forgotten one keeps no
interpreter alive. Work *ahead* of anybody's asking runs only while nothing else is to be done, and is cancelled as
soon as something is.

Every callback runs on the owner's thread: through `post`, if the owner has an event loop (Qt: queued to the GUI
thread), else inside `deliver` or `wait`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from napari_sam.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.progress import Progress

T = TypeVar("T")
_log = logging.getLogger(__name__)

_HELD_S = 0.05
"""Seconds after which work that is held back is looked at again."""


def _ignore(_value: Any) -> None:
    """Default of callbacks that nobody asked for."""


def _nobody_listens() -> bool:
    """Whether the interpreter is on its way out: it waits for this thread, and nothing is delivered any more."""
    return not threading.main_thread().is_alive()


def _let_go() -> bool:
    """Default of `held`: work starts when its turn comes."""
    return False


def _fail(error: BaseException, _progress: Progress) -> Any:
    """Work in the place of one that broke before it could begin."""
    raise error


@dataclass(eq=False)
class Ticket(Generic[T]):
    """One submission. `cancel` asks it to stop; `cancelled` says that it was asked."""

    lane: str
    work: Callable[[Progress], T]
    done: Callable[[T], None]
    failed: Callable[[BaseException], None]
    on_progress: Callable[[float], None]
    not_before: float
    held: Callable[[], bool] = _let_go
    ahead: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)
    latest: float | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the work was asked to stop."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """Ask the work to stop at its next report of progress."""
        self._stop.set()


@dataclass(frozen=True, slots=True, eq=False)
class _Callback:
    """What is to be run on the owner's thread; after the final one nothing more comes of a submission."""

    run: Callable[[], None]
    final: bool


class Worker:
    """Runs submitted work on one background thread.

    Parameters
    ----------
    post : callable, optional
        ``post(callback)`` runs `callback` soon on the owner's thread; called from the worker thread.
    """

    def __init__(self, post: Callable[[Callable[[], None]], None] | None = None) -> None:
        self._post = post
        self._changed = threading.Condition()
        # All below is guarded by the condition's lock.
        self._waiting: deque[Ticket[Any]] = deque()
        self._running: Ticket[Any] | None = None
        self._newest: dict[str, Ticket[Any]] = {}
        self._outbox: deque[tuple[Ticket[Any], _Callback]] = deque()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(
        self,
        lane: str,
        work: Callable[[Progress], T],
        done: Callable[[T], None] = _ignore,
        failed: Callable[[BaseException], None] = _ignore,
        on_progress: Callable[[float], None] | None = None,
        *,
        delay: float = 0.0,
        preempt: bool = False,
        held: Callable[[], bool] | None = None,
        ahead: bool = False,
    ) -> Ticket[T]:
        """Queue `work` as the newest of its lane.

        Parameters
        ----------
        lane : str
            Name of the lane.
        work : callable
            Runs on the worker thread; takes a `Progress` that raises `Cancelled` once the work is not wanted any more.
        done : callable
            Takes the result, on the owner's thread.
        failed : callable
            Takes the exception, on the owner's thread; `Cancelled` when the work was cancelled.
        on_progress : callable, optional
            Takes the fraction done, on the owner's thread; reports that come faster than the owner looks are merged.
        delay : float
            Seconds to wait before starting, for changes that come in bursts.
        preempt : bool
            Also cancel the running work of the lane.
        held : callable, optional
            The work does not start while this says True; asked again and again, on the worker thread.
        ahead : bool
            This is work that nobody waits for: it runs when no other work waits or runs, and is dropped or cancelled
            when other work is submitted.

        Returns
        -------
        Ticket
            Handle of the submission.

        Raises
        ------
        RuntimeError
            If the worker is closed.
        """
        due = time.monotonic() + delay
        ticket = Ticket(lane, work, done, failed, on_progress or _ignore, due, held or _let_go, ahead)
        with self._changed:
            if self._closed:
                raise RuntimeError("this worker is closed")
            self._waiting = deque(t for t in self._waiting if t.lane != lane and (ahead or not t.ahead))
            if self._running is not None and self._running.ahead and not ahead:
                self._running.cancel()
            if preempt and self._running is not None and self._running.lane == lane:
                self._running.cancel()
            self._newest[lane] = ticket
            self._waiting.append(ticket)
            if self._thread is None:
                self._start()
            self._changed.notify_all()
        return ticket

    def _start(self) -> None:
        """Start the thread; the lock is held. Where none can be had, nothing is left waiting for it."""
        # Not a daemon: the interpreter waits for it at exit instead of tearing torch down beneath it.
        self._thread = threading.Thread(target=self._run, name="napari-sam worker", daemon=False)
        try:
            self._thread.start()
        except BaseException:
            self._thread = None
            self._waiting.clear()
            raise

    def busy(self, lane: str | None = None) -> bool:
        """Whether work waits or runs, or an answer waits to be delivered, in one lane, or in any but work ahead."""
        with self._changed:
            tickets = [*self._waiting, *(ticket for ticket, _ in self._outbox)]
            if self._running is not None:
                tickets.append(self._running)
            return any(not ticket.ahead if lane is None else ticket.lane == lane for ticket in tickets)

    def cancel(self, lane: str | None = None) -> None:
        """Cancel waiting and running work of one lane, or all of it; each `failed` gets `Cancelled`."""
        with self._changed:
            kept: deque[Ticket[Any]] = deque()
            for ticket in self._waiting:
                if lane is None or ticket.lane == lane:
                    ticket.cancel()
                    self._answer(ticket, ticket.failed, Cancelled("cancelled"))
                else:
                    kept.append(ticket)
            self._waiting = kept
            if self._running is not None and (lane is None or self._running.lane == lane):
                self._running.cancel()
            self._changed.notify_all()
        self._ring()

    def deliver(self) -> None:
        """Run the callbacks that are due, on the calling thread, which is the owner's."""
        while True:
            with self._changed:
                if not self._outbox:
                    return
                ticket, callback = self._outbox.popleft()
                # Asked only now: a newer submission may have come while this answer waited.
                wanted = not self._closed and self._newest.get(ticket.lane) is ticket
                if wanted and callback.final:
                    del self._newest[ticket.lane]
            # Without the lock: a callback may submit more, and must not hold the worker up.
            if wanted:
                callback.run()

    def wait(self, timeout: float | None = None) -> bool:
        """Deliver answers on the calling thread until nothing is left to do but work ahead.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Returns
        -------
        bool
            Whether the worker came to rest; False when the time ran out first.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self.deliver()
            with self._changed:
                if self._outbox:
                    continue
                running = self._running
                if all(ticket.ahead for ticket in self._waiting) and (running is None or running.ahead):
                    return True
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._changed.wait(left)

    def close(self, timeout: float = 0.0) -> None:
        """Drop all work, and wait up to `timeout` seconds for the thread to end.

        By default nobody waits: the owner may be a window. Work ends at its next report of progress, or by itself when
        it is done; nothing of it is delivered. Closing twice is fine.
        """
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._outbox.clear()
            self._newest.clear()
            if self._running is not None:
                self._running.cancel()
            thread = self._thread
            self._changed.notify_all()
        if timeout > 0 and thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    # -- on the worker thread -------------------------------------------------------------------

    def _run(self) -> None:
        while (ticket := self._take()) is not None:
            self._execute(ticket)
            # A local name would keep the answer, and through it the owner, alive while this thread looks for more work.
            del ticket

    def _execute(self, ticket: Ticket[Any]) -> None:
        try:
            result = ticket.work(self._reporter(ticket))
        except BaseException as error:  # whatever it is, the owner must hear of it
            if not isinstance(error, Cancelled):
                _log.debug("work in lane %r failed", ticket.lane, exc_info=True)
            self._finish(ticket, ticket.failed, error)
        else:
            self._finish(ticket, ticket.done, result)

    def _take(self) -> Ticket[Any] | None:
        with self._changed:
            while self._waiting and not self._closed and not _nobody_listens():
                now = time.monotonic()
                # While anything else waits, held back or delayed though it may be, work ahead waits as well.
                asked = [t for t in self._waiting if not t.ahead] or list(self._waiting)
                for ticket in asked:
                    if ticket.not_before <= now and self._is_held(ticket):
                        ticket.not_before = now + _HELD_S
                due = next((t for t in asked if t.not_before <= now), None)
                if due is not None:
                    self._waiting.remove(due)
                    self._running = due
                    return due
                self._changed.wait(min(t.not_before for t in asked) - now)
            # With the lock held: whoever submits from now on starts another thread.
            self._thread = None
            self._changed.notify_all()
            return None

    def _is_held(self, ticket: Ticket[Any]) -> bool:
        """Ask whether work is held back; the lock is held. Work whose `held` breaks fails when its turn comes."""
        try:
            return ticket.held()
        except BaseException as error:  # the thread must outlive it, and the owner must hear of it
            ticket.work = partial(_fail, error)
            ticket.held = _let_go
            return False

    def _reporter(self, ticket: Ticket[Any]) -> Progress:
        def report(fraction: float, /) -> None:
            if ticket.cancelled or _nobody_listens():
                raise Cancelled("cancelled")
            with self._changed:
                # One report waits for the owner at most; later ones only bring it up to date.
                pending = ticket.latest is not None
                ticket.latest = fraction
                if pending:
                    return
                self._answer(ticket, lambda _: self._pass_on(ticket), None, final=False)
                self._changed.notify_all()
            self._ring()

        return report

    def _pass_on(self, ticket: Ticket[Any]) -> None:
        with self._changed:
            fraction, ticket.latest = ticket.latest, None
        if fraction is not None:
            ticket.on_progress(fraction)

    def _finish(self, ticket: Ticket[Any], callback: Callable[[Any], None], value: Any) -> None:
        with self._changed:
            self._running = None
            self._answer(ticket, callback, value)
            self._changed.notify_all()
        self._ring()

    def _answer(self, ticket: Ticket[Any], callback: Callable[[Any], None], value: Any, *, final: bool = True) -> None:
        """Put one callback in the outbox; the lock is held."""
        if not self._closed:
            self._outbox.append((ticket, _Callback(lambda: callback(value), final)))

    def _ring(self) -> None:
        if self._post is None or self._closed:
            return
        try:
            self._post(self.deliver)
        except Exception:
            # The answer stays in the outbox: the next call that gets through, or `wait`, brings it.
            _log.exception("the owner's thread could not be told of an answer")
