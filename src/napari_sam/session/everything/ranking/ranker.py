"""Ranks the objects that were found, one query at a time, on the inference thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.session.everything.ranking.match import Knowledge
from napari_sam.session.everything.ranking.tools import RankingTools
from napari_sam.session.everything.runner import StepRunner
from napari_sam.session.state import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sam.inference.request import EngineFactory
    from napari_sam.inference.worker import Worker
    from napari_sam.session.everything.ranking.match import Match
    from napari_sam.session.everything.ranking.queries import ObjectQuery
    from napari_sam.session.everything.search import SearchResult


class ObjectRanker:
    """Runs one query at a time, and keeps the models for the next.

    Parameters
    ----------
    worker : Worker
        The inference thread.
    engine : callable
        Gives the engine of a model on a device; runs on the inference thread.
    ended : callable
        Takes the ranking, on the owner's thread, or the exception.
    changed : callable
        Called on the owner's thread when a query came farther.
    """

    def __init__(
        self,
        worker: Worker,
        engine: EngineFactory,
        ended: Callable[[Match | BaseException], None],
        changed: Callable[[], None],
    ) -> None:
        self._tools = RankingTools(engine)
        self._runner: StepRunner[Match] = StepRunner(worker, "ranking", ended, changed)

    @property
    def running(self) -> bool:
        """Whether objects are being ranked."""
        return self._runner.running

    @property
    def status(self) -> Status | None:
        """Describe the query under way; None when there is none."""
        if not self._runner.running or not self._tools.stage:
            return None
        return Status("working", self._tools.stage, self._runner.share or None, cancellable=True)

    def start(self, query: ObjectQuery, results: Sequence[SearchResult], before: Match | None) -> None:
        """Begin to rank objects; another query that goes on is dropped.

        Parameters
        ----------
        query : ObjectQuery
            What to rank them by.
        results : sequence of SearchResult
            The objects of each plane.
        before : Match or None
            An earlier ranking of them.
        """
        known, tools = Knowledge() if before is None else before.known, self._tools
        # Until the inference thread says what it does.
        tools.stage = query.intent
        self._runner.start(lambda progress: query.rank(results, known, tools, progress))

    def stop(self) -> None:
        """Stop at once; `ended` is not called."""
        self._runner.stop()
