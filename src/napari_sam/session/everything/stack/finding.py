"""Finds objects on a plane, or on all planes of a stack, with clicks answered in between."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.prompted import messages as prompted_messages
from napari_sam.session.everything.runner import StepRunner
from napari_sam.session.everything.search import Findings, StackRequest, search
from napari_sam.session.everything.shaping.steps import find_and_shape
from napari_sam.session.state import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_sam.inference.request import EngineFactory
    from napari_sam.inference.worker import Worker
    from napari_sam.progress import Progress
    from napari_sam.session.everything.search import SearchRequest, SearchResult

MOST_BYTES = 1 << 30
"""That the objects of a stack may hold while the person chooses: 1 GiB."""


class StackSearch:
    """Looks at the planes of a stack one after the other.

    Parameters
    ----------
    request : StackRequest
        Where, and how.
    """

    def __init__(self, request: StackRequest) -> None:
        self.request = request
        # Only ever appended to, by the inference thread: the owner's may read it at any time.
        self._results: list[SearchResult] = []

    @property
    def findings(self) -> Findings:
        """What was found on the planes that are done."""
        return Findings(tuple(self._results), self.request)

    @property
    def done(self) -> int:
        """How many planes are done."""
        return len(self._results)

    def steps(self, engine: EngineFactory, progress: Progress) -> Iterator[Findings | None]:
        """Find objects, on the inference thread: gives None after each tile, and at last what was found.

        Ends early when no more objects can be held.
        """
        plane, size, held = self.request.plane, self.request.axis.size, 0
        loaded = engine(plane.model, plane.device, progress)

        def within(share: float, done: int) -> None:
            progress((done + share) / size)

        for place in range(size):
            for result in search(loaded, self.request.at(place), partial(within, done=place), describe=True):
                if result is None:
                    yield None
                    continue
                self._results.append(result)
                held += result.nbytes
            if held > MOST_BYTES:
                break
        yield self.findings


class ObjectFinder:
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
        ended: Callable[[Findings | BaseException], None],
        changed: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._runner: StepRunner[Findings] = StepRunner(worker, "everything", ended, changed)
        self._request: SearchRequest | None = None
        self._stack: StackSearch | None = None

    @property
    def running(self) -> bool:
        """Whether objects are being found."""
        return self._runner.running

    def status(self, axis_names: tuple[str, ...]) -> Status | None:
        """Describe the search under way; None when there is none. Axes of the image are named as the sliders are."""
        if not self._runner.running or self._request is None:
            return None
        if self._stack is not None:
            text = everything_messages.finding_in_stack(self._stack.done, self._stack.request.axis)
        else:
            plane, prompted = self._request.source.view.words(axis_names), self._request.prompted
            text = everything_messages.finding(plane)
            if prompted is not None:
                text = prompted_messages.making(prompted.count, plane)
        return Status("working", text, self._runner.share or None, cancellable=True)

    def start(self, request: SearchRequest, stack: StackRequest | None) -> None:
        """Begin to find objects on a plane, or in a stack; another search that goes on is dropped."""
        self._request = request
        if stack is None:
            self._stack = None
            self._runner.start(partial(_plane_steps, self._engine, request))
        else:
            self._stack = StackSearch(stack)
            self._runner.start(partial(self._stack.steps, self._engine))

    def stop(self) -> Findings | None:
        """Stop at once; return what was found on the planes of a stack that are done, if there is any."""
        stack, running = self._stack, self._runner.running
        self._runner.stop()
        self._stack = None
        return stack.findings if running and stack is not None and stack.findings.count else None


def _plane_steps(engine: EngineFactory, request: SearchRequest, progress: Progress) -> Iterator[Findings | None]:
    for result in find_and_shape(engine, request, progress):
        yield None if result is None else Findings((result,))
