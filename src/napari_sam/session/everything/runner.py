"""Runs one search at a time on the inference thread, a tile after the other, so that a click waits for one at most."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from napari_sam.errors import Cancelled
from napari_sam.progress import no_progress
from napari_sam.session.everything.search import search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_sam.inference.request import EngineFactory
    from napari_sam.inference.worker import Worker
    from napari_sam.progress import Progress
    from napari_sam.session.everything.search import SearchRequest, SearchResult

_LANE = "everything"


@dataclass(eq=False)
class _ActiveSearch:
    """A search under way. All but `share` belongs to the inference thread."""

    request: SearchRequest
    steps: Iterator[SearchResult | None] | None = None
    progress: Progress = no_progress
    share: float = 0.0

    def report(self, share: float, /) -> None:
        """Pass progress on to the piece of work that is under way, which is another one for every tile."""
        self.progress(share)


class SearchRunner:
    """Runs one search at a time.

    Parameters
    ----------
    worker : Worker
        The inference thread.
    engine : callable
        Gives the engine of a model on a device; runs on the inference thread.
    ended : callable
        Takes what was found, on the owner's thread, or the exception.
    changed : callable
        Called on the owner's thread when a search came farther.
    """

    def __init__(
        self,
        worker: Worker,
        engine: EngineFactory,
        ended: Callable[[SearchResult | BaseException], None],
        changed: Callable[[], None],
    ) -> None:
        self._worker = worker
        self._engine = engine
        self._ended = ended
        self._changed = changed
        self._run: _ActiveSearch | None = None

    @property
    def request(self) -> SearchRequest | None:
        """What is being searched; None when nothing is."""
        return None if self._run is None else self._run.request

    @property
    def share(self) -> float:
        """Share of the search that is done."""
        return 0.0 if self._run is None else self._run.share

    def start(self, request: SearchRequest) -> None:
        """Begin a search; another one that goes on is dropped."""
        self.stop()
        self._run = _ActiveSearch(request)
        self._submit(self._run)

    def stop(self) -> None:
        """Stop at once; `ended` is not called."""
        if self._run is not None:
            self._run = None
            self._worker.cancel(_LANE)

    def _submit(self, run: _ActiveSearch) -> None:
        self._worker.submit(
            _LANE,
            partial(self._work, run),
            partial(self._on_done, run),
            partial(self._on_failed, run),
            partial(self._on_progress, run),
        )

    def _work(self, run: _ActiveSearch, progress: Progress) -> SearchResult | None:
        """Look at the next tile; on the inference thread."""
        run.progress = progress
        if run.steps is None:
            engine = self._engine(run.request.model, run.request.device, progress)
            run.steps = search(engine, run.request, run.report)
        return next(run.steps)

    def _on_progress(self, run: _ActiveSearch, share: float) -> None:
        if run is self._run:
            run.share = share
            self._changed()

    def _on_done(self, run: _ActiveSearch, result: SearchResult | None) -> None:
        if run is not self._run:
            return
        if result is None:
            self._submit(run)
            return
        self._run = None
        self._ended(result)

    def _on_failed(self, run: _ActiveSearch, error: BaseException) -> None:
        if run is not self._run:
            return
        self._run = None
        if isinstance(error, Cancelled):
            self._changed()
        else:
            self._ended(error)
