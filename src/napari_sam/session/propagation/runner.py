"""Carries an object through a stack on the inference thread, one plane at a time.

Each plane is a piece of work of its own, submitted when the one before is written, so that a click of the person's
waits for one plane at most.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.inference.segmenter import segment_plane
from napari_sam.masks import BoxedMask
from napari_sam.progress import no_progress
from napari_sam.propagation import Annotated, Ending, PropagationStep, Reason, propagate
from napari_sam.propagation.job import Stale
from napari_sam.propagation.trail import TrailLog

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari_sam.inference.request import EngineFactory, EngineLike
    from napari_sam.inference.worker import Worker
    from napari_sam.progress import Progress
    from napari_sam.propagation.job import PlaneResult, PropagationJob

LANE = "stack"


def carry(
    engine: EngineLike, job: PropagationJob, progress: Progress, entered: Callable[[int], None]
) -> Generator[PlaneResult, bool, None]:
    """Do a job; what is sent in tells whether to leave this leg, and go on with the next.

    Parameters
    ----------
    engine : EngineLike
        What answers.
    job : PropagationJob
        What to do.
    progress : Progress
        Called while a plane is answered.
    entered : callable
        Takes the number of each leg when it begins.

    Yields
    ------
    Annotated, PropagationStep, Ending or Stale
        A plane that was asked for, a plane that the object was carried to, the end of one direction, or a plane that
        it is no longer on.
    """
    known = list(job.known)
    for index, prompts in job.asked:
        source = job.planes.source(index)
        best = segment_plane(engine, source, prompts, progress=progress).candidates[0]
        if best.area:  # nothing goes on from an empty mask
            known.append(Annotated(index, BoxedMask(best.origin, best.mask, source.view.shape), prompts))
            yield known[-1]
    for number, leg in enumerate(job.legs):
        starts = [one for one in known if not leg.starts or one.index in leg.starts]
        if starts:
            entered(number)
            yield from _walk(engine, job, number, starts, progress)


def _walk(
    engine: EngineLike, job: PropagationJob, number: int, starts: list[Annotated], progress: Progress
) -> Generator[PlaneResult, bool, None]:
    """Go one leg; what is sent in tells whether to leave it."""
    leg = job.legs[number]
    reached = {one.index for one in starts}
    marked: list[Ending] = []
    for found in propagate(
        engine,  # type: ignore[arg-type]  # anything that does what a session needs of an engine
        job.planes,
        starts,
        strategy=job.strategy,
        span=leg.span,
        marks=job.marks,
        progress=progress,
        earlier=job.trail.results(number),
    ):
        if isinstance(found, PropagationStep):
            reached.add(found.index)
        elif found.reason is Reason.MARK:
            marked.append(found)
        if (yield found):
            return
    # A whole run knows best. A correction says nothing about planes that it did not come to, unless a mark does.
    for place in sorted(job.earlier.intersection(leg.span) - reached):
        if not leg.starts or any((place - ending.index) * ending.direction >= 0 for ending in marked):
            yield Stale(place)


class _Relay:
    """Passes progress on to the piece of work that is under way, which is another one for every plane."""

    def __init__(self) -> None:
        self.to: Progress = no_progress

    def __call__(self, fraction: float, /) -> None:
        self.to(fraction)


@dataclass(eq=False)
class _ActiveRun:
    """A job under way. `steps` belongs to the inference thread; `leg` is the one that was entered last."""

    job: PropagationJob
    relay: _Relay = field(default_factory=_Relay)
    steps: Generator[PlaneResult, bool, None] | None = None
    done: int = 0
    leg: int = 0
    answered: list[Annotated] = field(default_factory=list)
    left: set[int] = field(init=False)
    log: TrailLog = field(init=False)

    def __post_init__(self) -> None:
        self.log = TrailLog(self.job.trail)
        self.left = set().union(*(leg.span for leg in self.job.legs)) - self._starts

    @property
    def _starts(self) -> set[int]:
        return {one.index for one in self.job.known} | {index for index, _ in self.job.asked}

    def enter(self, leg: int) -> None:
        """Note which leg begins."""
        self.leg = leg

    def keep(self, found: PlaneResult) -> None:
        """Keep what was taken, so that another run can go on from there."""
        if isinstance(found, Annotated):
            self.answered.append(found)
        elif isinstance(found, PropagationStep | Ending):
            self.log.add(self.leg, found)

    @property
    def remainder(self) -> PropagationJob:
        """What is left to do."""
        done = {one.index for one in self.answered}
        return replace(
            self.job,
            known=(*self.job.known, *self.answered),
            asked=tuple(one for one in self.job.asked if one[0] not in done),
            trail=self.log.trail,
        )

    def note(self, found: PlaneResult) -> None:
        """Count what was done, and what will not be because a direction ended."""
        if isinstance(found, PropagationStep):
            self.done += 1
            self.left.discard(found.index)
        elif isinstance(found, Ending) and found.reason is not Reason.MET:
            starts = self._starts
            if not any((start - found.index) * found.direction > 0 for start in starts):
                self._drop(found.index, found.direction, starts)

    def leave(self, found: PlaneResult) -> None:
        """Count what will not be done because the leg was left at a plane."""
        if isinstance(found, PropagationStep):
            self._drop(found.index, found.direction, self._starts)

    def _drop(self, index: int, direction: int, starts: set[int]) -> None:
        """Take off the planes from one on, up to the next annotated one."""
        ahead = [(start - index) * direction for start in starts if (start - index) * direction > 0]
        self.left -= {place for place in self.left if 0 <= (place - index) * direction < min(ahead, default=np.inf)}


class PropagationRunner:
    """Runs one job at a time.

    Parameters
    ----------
    worker : Worker
        The inference thread.
    engine : callable
        Gives the engine of a model on a device; runs on the inference thread.
    found : callable
        Takes what was found, on the owner's thread, and tells whether to leave this leg of the job.
    ended : callable
        Called on the owner's thread when the job is done, with None, or has failed, with the exception.
    between : callable
        Called on the inference thread after something that was found has been dealt with.
    """

    def __init__(
        self,
        worker: Worker,
        engine: EngineFactory,
        found: Callable[[PlaneResult], bool],
        ended: Callable[[BaseException | None], None],
        between: Callable[[], None],
    ) -> None:
        self._worker = worker
        self._engine = engine
        self._found = found
        self._ended = ended
        self._between = between
        self._run: _ActiveRun | None = None
        self._latest: _ActiveRun | None = None

    @property
    def remainder(self) -> PropagationJob | None:
        """What the job that was started last has not done; None where there was none."""
        return None if self._latest is None else self._latest.remainder

    def forget(self) -> None:
        """Let go of the job that was started last, which has ended."""
        self._latest = None

    @property
    def running(self) -> bool:
        """Whether a job goes on."""
        return self._run is not None

    @property
    def counted(self) -> tuple[int, int]:
        """Planes done, and planes in all, as far as can be told."""
        if self._run is None:
            return 0, 0
        return self._run.done, self._run.done + len(self._run.left)

    def start(self, job: PropagationJob) -> None:
        """Begin a job; another one that goes on is dropped."""
        self.stop()
        self._run = self._latest = _ActiveRun(job)
        self._submit(self._run, False)

    def stop(self) -> None:
        """Stop at once; nothing more is found, and `ended` is not called."""
        if self._run is not None:
            self._run = None
            self._worker.cancel(LANE)

    def _submit(self, run: _ActiveRun, leave: bool) -> None:
        self._worker.submit(
            LANE, partial(self._work, run, leave), partial(self._on_found, run), partial(self._on_failed, run)
        )

    def _work(self, run: _ActiveRun, leave: bool, progress: Progress) -> PlaneResult | None:
        """Go on to the next plane; on the inference thread."""
        run.relay.to = progress
        # On this thread: what it waits for may be a slow disk.
        self._between()
        # Raises where the run was cancelled while it waited for its turn.
        progress(0.0)
        if run.steps is None:
            engine = self._engine(run.job.model, run.job.device, progress)
            run.steps = carry(engine, run.job, run.relay, run.enter)
            # Nothing can be sent into a generator that has not begun.
            return next(run.steps, None)
        try:
            return run.steps.send(leave)
        except StopIteration:
            return None

    def _on_found(self, run: _ActiveRun, found: PlaneResult | None) -> None:
        if run is not self._run:
            return
        if found is None:
            self._run = None
            self._ended(None)
            return
        # First: who is told below asks how far the run is.
        run.note(found)
        leave = self._found(found)
        # A plane that was not taken is found again by a run that goes on from here.
        if leave:
            run.leave(found)
        else:
            run.keep(found)
        if run is self._run:  # what was found may have stopped it
            self._submit(run, leave)

    def _on_failed(self, run: _ActiveRun, error: BaseException) -> None:
        if run is self._run:
            self._run = None
            self._ended(error)
