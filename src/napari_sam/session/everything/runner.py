"""Runs one piece of work at a time on the inference thread, step after step, so that a click waits for one at most."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from napari_sam.errors import Cancelled
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_sam.inference.worker import Worker
    from napari_sam.progress import Progress

T = TypeVar("T")


@dataclass(eq=False)
class _ActiveWork(Generic[T]):
    """Work under way. All but `share` belongs to the inference thread."""

    begin: Callable[[Progress], Iterator[T | None]]
    steps: Iterator[T | None] | None = None
    progress: Progress = no_progress
    share: float = 0.0

    def report(self, share: float, /) -> None:
        """Pass progress on to the step that is under way: each has another one."""
        self.progress(share)


class StepRunner(Generic[T]):
    """Runs work that has steps.

    Parameters
    ----------
    worker : Worker
        The inference thread.
    lane : str
        Its lane.
    ended : callable
        Takes what came of it, on the owner's thread, or the exception.
    changed : callable
        Called on the owner's thread when work came farther.
    """

    def __init__(
        self,
        worker: Worker,
        lane: str,
        ended: Callable[[T | BaseException], None],
        changed: Callable[[], None],
    ) -> None:
        self._worker = worker
        self._lane = lane
        self._ended = ended
        self._changed = changed
        self._run: _ActiveWork[T] | None = None

    @property
    def running(self) -> bool:
        """Whether there is work under way."""
        return self._run is not None

    @property
    def share(self) -> float:
        """Share of the work that is done."""
        return 0.0 if self._run is None else self._run.share

    def start(self, begin: Callable[[Progress], Iterator[T | None]]) -> None:
        """Begin work; another that goes on is dropped.

        Parameters
        ----------
        begin : callable
            Takes a `Progress` and gives the steps, on the inference thread: None after each, at last what came of them.
        """
        self.stop()
        self._run = _ActiveWork(begin)
        self._submit(self._run)

    def stop(self) -> None:
        """Stop at once; `ended` is not called."""
        if self._run is not None:
            self._run = None
            self._worker.cancel(self._lane)

    def _submit(self, run: _ActiveWork[T]) -> None:
        self._worker.submit(
            self._lane,
            partial(self._work, run),
            partial(self._on_done, run),
            partial(self._on_failed, run),
            partial(self._on_progress, run),
        )

    def _work(self, run: _ActiveWork[T], progress: Progress) -> T | None:
        """Do the next step; on the inference thread."""
        run.progress = progress
        if run.steps is None:
            run.steps = run.begin(run.report)
        return next(run.steps)

    def _on_progress(self, run: _ActiveWork[T], share: float) -> None:
        if run is self._run:
            run.share = share
            self._changed()

    def _on_done(self, run: _ActiveWork[T], result: T | None) -> None:
        if run is not self._run:
            return
        if result is None:
            self._submit(run)
            return
        self._run = None
        self._ended(result)

    def _on_failed(self, run: _ActiveWork[T], error: BaseException) -> None:
        if run is not self._run:
            return
        self._run = None
        if isinstance(error, Cancelled):
            self._changed()
        else:
            self._ended(error)
