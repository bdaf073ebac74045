"""Teaching from a session: start, stop, go on, use what came of it."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sam.errors import Cancelled, InputError
from napari_sam.inference.worker import Worker
from napari_sam.session.viewing.connections import Connections
from napari_sam.teaching import messages, runs
from napari_sam.teaching.gathering import MaterialCount, SessionLabels, count_material
from napari_sam.teaching.job import TeachingJob, TeachingOutcome
from napari_sam.teaching.runs import TeachingRun
from napari_sam.teaching.state import TeachingState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sam.progress import Progress
    from napari_sam.session import Session

_TEACH, _COUNT = "teach", "count"
_REST_S = 1.0
"""Seconds that labels must rest before they are counted anew."""
_EDITS = ("data", "labels_update", "paint", "set_data")


class Teaching:
    """What is labelled in a session teaches its model, in a process of its own.

    It ends with the session; a run that is stopped then can go on another day.

    Parameters
    ----------
    session : Session
        Whose labels, and whose model.
    post : callable, optional
        As the session has it: ``post(call)`` runs `call` soon on the viewer's thread. Without it, news arrive while
        `wait` waits.

    Attributes
    ----------
    program : tuple of str
        What is run, without its arguments.
    """

    changed = Signal(TeachingState)
    """There is a new state."""

    def __init__(self, session: Session, post: Callable[[Callable[[], None]], None] | None = None) -> None:
        self.program: tuple[str, ...] = (sys.executable, "-m", "napari_sam", "train", "finetune")
        self._session = session
        self._worker = Worker(post)
        self._connections = Connections()
        self._state = TeachingState()
        self._job: TeachingJob | None = None
        self._run: TeachingRun | None = None
        self._target: Any = None  # napari's labels layer
        self._watched = self._closed = False
        self._connections.connect("session", session.events.closed, self.close)
        self._connections.connect("session", session.events.layers_changed, self._on_layers_changed)

    @property
    def state(self) -> TeachingState:
        """What a panel shows; replaced as a whole, never changed."""
        return self._state

    @property
    def pictures(self) -> list[Path]:
        """Pictures of before and after of the run that is done."""
        return [] if self._run is None or self._state.stage != "done" else self._run.pictures

    def watch(self, wanted: bool) -> None:
        """Count what there is to learn from, now and after every change, while somebody looks at it."""
        if self._closed or wanted == self._watched:
            return
        self._watched = wanted
        if wanted:
            self._follow_target()
            self._count()
        else:
            self._connections.release("target")
            self._target = None
            self._worker.cancel(_COUNT)

    def propose_name(self) -> str:
        """Make a free name out of the image's; "" without one."""
        return "" if self._session.image is None else runs.propose_name(self._session.image.name)

    def name_problem(self, name: str) -> str:
        """Say why a taught model cannot have a name; "" where it can."""
        return runs.name_problem(name)

    def teach(self, name: str, minutes: float = 10.0) -> None:
        """Teach the session's model what is labelled now; what comes of it is told by `changed`.

        Parameters
        ----------
        name : str
            What to call the taught model.
        minutes : float
            Of learning; measuring takes its own time.

        Raises
        ------
        InputError
            If the name cannot be had, there is nothing to learn from, or a model is being taught already.
        """
        self._require_rest()
        if problem := runs.name_problem(name):
            raise InputError(problem)
        labels = SessionLabels.of(self._session)
        run = TeachingRun(name, self._session.model, minutes, str(self._session.device))
        self._begin(TeachingJob(run, self.program, labels))

    def go_on(self) -> None:
        """Go on with the run that was cut last.

        Raises
        ------
        InputError
            If there is none, or a model is being taught already.
        """
        self._require_rest()
        run = self._run if self._run is not None and self._run.resumable else runs.find_resumable()
        if run is None:
            raise InputError("No teaching was cut. Begin a new one.")
        self._begin(TeachingJob(run, self.program))

    def keep(self) -> None:
        """Keep the model of the run that is done although it is not better.

        Raises
        ------
        InputError
            If there is none, or a model is being taught already.
        """
        self._require_rest()
        if self._run is None or self._state.report is None or self._state.kept:
            raise InputError("There is no taught model that was not kept. Teach one first.")
        if problem := runs.name_problem(self._run.name):
            raise InputError(problem)
        # The same run, which is at its end: only the last measuring is done again.
        self._begin(TeachingJob(self._run, self.program, keep_worse=True))

    def use(self) -> None:
        """Work with the taught model from now on."""
        if self._state.kept:
            self._session.model = self._state.name
            self._publish()

    def cancel(self) -> None:
        """Stop teaching; the state says when that is done, and whether it can go on."""
        if self._job is not None:
            self._job.stop()
            self._worker.cancel(_TEACH)
            self._show(words=messages.STOPPING)

    def wait(self, timeout: float = 60) -> None:
        """Wait until nothing is under way, and what came of it is told.

        Raises
        ------
        TimeoutError
            If that takes longer than `timeout` seconds.
        """
        if not self._worker.wait(timeout):
            raise TimeoutError(f"teaching was still under way after {timeout} s: {self._state.words}")

    def close(self) -> None:
        """Stop teaching, and listen no more. Closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._connections.release()
        if self._job is not None:
            self._job.stop()
        self._worker.close()

    # -- teaching -------------------------------------------------------------------------------------

    def _require_rest(self) -> None:
        if self._closed:
            raise InputError("The session has ended. Open another one to teach.")
        if self._job is not None:
            raise InputError("A model is being taught. Wait for its end, or cancel it.")

    def _begin(self, job: TeachingJob) -> None:
        self._job, self._run = job, job.run
        source = self._state.source
        self._state = TeachingState(
            job.stage, job.words, name=job.run.name, source=source, has_source=self._state.has_source
        )
        # A count that waits would wait for the end; it begins anew there.
        self._worker.cancel(_COUNT)
        self._worker.submit(_TEACH, job, self._on_done, self._on_failed, self._on_progress)
        self._publish()

    def _on_progress(self, _fraction: float) -> None:
        if (job := self._job) is not None:
            self._show(stage=job.stage, words=job.words, fraction=job.fraction)

    def _on_done(self, outcome: TeachingOutcome) -> None:
        self._job = None
        report, kept = outcome.report, outcome.name is not None
        name = outcome.name or self._state.name
        self._show(
            stage="done",
            words=messages.done(report.verdict, name, kept=kept),
            fraction=None,
            name=name,
            report=report,
            rows=outcome.rows,
            kept=kept,
            resumable="",
        )
        self._count()

    def _on_failed(self, error: BaseException) -> None:
        job, self._job = self._job, None
        resumable = job is not None and job.run.resumable
        name = self._state.name
        if isinstance(error, Cancelled):
            stage, words = "stopped", messages.stopped(name, resumable=resumable)
        else:
            stage, words = "failed", str(error) or type(error).__name__
        self._show(stage=stage, words=words, fraction=None, resumable=name if resumable else "")
        self._count()

    # -- what there is to learn from ------------------------------------------------------------------

    def _on_layers_changed(self) -> None:
        if self._watched:
            self._follow_target()
            self._count(_REST_S)

    def _on_target_edited(self) -> None:
        # Also sent after scrolling; a count that finds the same changes nothing.
        self._count(_REST_S)

    def _follow_target(self) -> None:
        target = self._session.target
        if target is self._target:
            return
        self._connections.release("target")
        self._target = target
        if target is not None:
            for name in _EDITS:
                self._connections.connect("target", target.events[name], self._on_target_edited)

    def _count(self, delay: float = 0.0) -> None:
        if not self._watched or self._job is not None or self._closed:
            return
        try:
            labels = SessionLabels.of(self._session)
        except InputError as error:
            labels, words = None, str(error)
        else:
            words = self._state.source or messages.COUNTING
        if labels is None:
            self._show(source=words, has_source=False)
        elif not self._state.source:
            self._show(source=words)
        work = partial(_look, labels)
        self._worker.submit(_COUNT, work, self._on_counted, self._on_not_counted, delay=delay, preempt=True)

    def _on_counted(self, found: tuple[MaterialCount | None, TeachingRun | None]) -> None:
        count, run = found
        if count is not None:
            self._show(source=count.words, has_source=count.any)
        # What the last run was is told already.
        if self._state.stage == "idle":
            self._show(resumable="" if run is None else run.name, words="" if run is None else messages.cut(run.name))

    def _on_not_counted(self, error: BaseException) -> None:
        if not isinstance(error, Cancelled):
            self._show(source=str(error), has_source=False)

    # -- telling --------------------------------------------------------------------------------------

    def _show(self, **changes: Any) -> None:
        before, self._state = self._state, replace(self._state, **changes)
        if self._state != before:
            self._publish()

    def _publish(self) -> None:
        if not self._closed:
            self.changed.emit(self._state)


def _look(labels: SessionLabels | None, progress: Progress) -> tuple[MaterialCount | None, TeachingRun | None]:
    """Count what there is to learn from, and look for a run that was cut; on the worker's thread."""
    return None if labels is None else count_material(labels, progress), runs.find_resumable()
