"""Does the slow part of a change beside the window: searching large labels, dividing an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from napari_sam.errors import Cancelled
from napari_sam.session.state import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.inference.worker import Ticket, Worker
    from napari_sam.progress import Progress

T = TypeVar("T")

LANE = "objects"


class BackgroundStep:
    """Runs one step at a time on the inference thread.

    Parameters
    ----------
    worker : Worker
        The inference thread.
    changed : callable
        Called when it came farther, or failed, or was dropped.
    """

    def __init__(self, worker: Worker, changed: Callable[[], None]) -> None:
        self._worker = worker
        self._changed = changed
        self._words = ""
        self._share: float | None = None
        self._ticket: Ticket[Any] | None = None

    @property
    def status(self) -> Status | None:
        """Describe the work under way; None when there is none."""
        if self._ticket is None:
            return None
        return Status("working", self._words, self._share, cancellable=True)

    def run(
        self,
        work: Callable[[Progress], T],
        done: Callable[[T], None],
        failed: Callable[[BaseException], None],
        words: str,
    ) -> None:
        """Do some work, and then something with what came of it; work of before is dropped.

        Parameters
        ----------
        work : callable
            Takes a `Progress`; reads, and changes nothing.
        done, failed : callable
            Take what came of it, or why nothing did, on the owner's thread; not called when it is dropped.
        words : str
            What the status says meanwhile.
        """
        self.stop()
        self._words, self._share = words, None

        def ended() -> bool:
            """Forget the work; tell whether it is still wanted."""
            wanted, self._ticket = self._ticket is ticket, None if self._ticket is ticket else self._ticket
            return wanted

        def succeed(found: T) -> None:
            if ended():
                done(found)

        def fail(error: BaseException) -> None:
            if ended() and not isinstance(error, Cancelled):
                failed(error)

        ticket = self._worker.submit(LANE, work, succeed, fail, self._on_progress)
        self._ticket = ticket

    def stop(self) -> bool:
        """Drop the work under way; tell whether there was any."""
        if self._ticket is None:
            return False
        self._ticket = None
        self._worker.cancel(LANE)
        return True

    def _on_progress(self, share: float) -> None:
        if self._ticket is not None:
            self._share = share
            self._changed()
