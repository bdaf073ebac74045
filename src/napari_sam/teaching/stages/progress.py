"""Follows how far the data set of a session is, and writes it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sam.errors import Cancelled
from napari_sam.inference.worker import Worker
from napari_sam.session.viewing.connections import Connections
from napari_sam.teaching.gathering import SessionLabels
from napari_sam.teaching.runs import last_report
from napari_sam.teaching.stages import messages
from napari_sam.teaching.stages.state import ProgressState, stage_rows
from napari_sam.teaching.stages.writing import DataSetOrder, WrittenDataSet, write_data_set

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sam.journal.notes.stages import DataSetStages
    from napari_sam.progress import Progress
    from napari_sam.session import Session
    from napari_sam.session.everything.deciding.data_set import DataSetQuestion
    from napari_sam.session.state import SessionState

_READ, _WRITE = "stages", "data set"
_REST_S = 1.0
"""Seconds that a person must rest before objects are counted anew."""
_SHOWN = ("1 click", "AP@50")
"""Measures of a teaching that are told."""


class AnnotationProgress:
    """Counts objects and images of a data set, while somebody looks, and writes it in SA-1B's form.

    Parameters
    ----------
    session : Session
        Whose data set.
    post : callable, optional
        As the session has it; without it, news arrive while `wait` waits.
    """

    changed = Signal(ProgressState)
    """There is a new state."""

    def __init__(self, session: Session, post: Callable[[Callable[[], None]], None] | None = None) -> None:
        self._session = session
        self._worker = Worker(post)
        self._connections = Connections()
        self._state = ProgressState()
        self._watched = self._closed = False
        self._asked: DataSetQuestion | None = None
        self._annotated = 0
        self._connections.connect("session", session.events.closed, self.close)
        self._connections.connect("session", session.events.state_changed, self._on_session_state_changed)

    @property
    def state(self) -> ProgressState:
        """What a panel shows; replaced as a whole, never changed."""
        return self._state

    def watch(self, wanted: bool) -> None:
        """Count now and after every change, while somebody looks at it."""
        if self._closed or wanted == self._watched:
            return
        self._watched, self._asked = wanted, None
        if wanted:
            self.refresh()
        else:
            self._worker.cancel(_READ)

    def refresh(self) -> None:
        """Count anew, as after teaching."""
        self._asked = None
        self._follow(0.0)

    def write(self, folder: Path) -> None:
        """Write the data set into a new folder within one; what comes of it is told by `changed`.

        Parameters
        ----------
        folder : Path
            Is there.

        Raises
        ------
        InputError
            If nothing is labelled.
        """
        if self._closed or self._state.writing:
            return
        order = DataSetOrder.of(self._session, SessionLabels.of(self._session), folder)
        work = partial(write_data_set, order)
        self._worker.submit(_WRITE, work, self._on_written, self._on_not_written, self._on_progress)
        self._show(writing=True, fraction=None, words=messages.WRITING)

    def cancel(self) -> None:
        """Stop writing the data set."""
        self._worker.cancel(_WRITE)
        if self._state.writing:
            self._show(writing=False, fraction=None, words=messages.CANCELLED)

    def wait(self, timeout: float = 60) -> None:
        """Wait until nothing is under way.

        Raises
        ------
        TimeoutError
            If that takes longer than `timeout` seconds.
        """
        if not self._worker.wait(timeout):
            raise TimeoutError(f"the data set was still read or written after {timeout} s")

    def close(self) -> None:
        """Stop working and listening. Closing twice is fine."""
        if not self._closed:
            self._closed = True
            self._connections.release()
            self._worker.close()

    def _on_session_state_changed(self, state: SessionState) -> None:
        if self._watched:
            self._show_done(state)
            self._follow(_REST_S)

    def _follow(self, delay: float) -> None:
        if not self._watched or self._closed:
            return
        question = self._session.everything.data_set
        if question == self._asked:
            return
        self._asked = question
        work = partial(_read, question)
        self._worker.submit(_READ, work, self._on_read, self._on_not_read, delay=delay, preempt=True)

    def _on_read(self, found: tuple[DataSetStages | None, str]) -> None:
        stages, taught = found
        self._annotated = 0 if stages is None else stages.annotated
        self._show(rows=() if stages is None else stage_rows(stages), taught=taught)
        self._show_done(self._session.state)

    def _show_done(self, state: SessionState) -> None:
        """Say how many images of the series are done, or else planes of the stack."""
        images, question = state.series.images, self._asked
        done = ""
        if images:
            statuses = [status for _name, status in images]
            done = messages.images_done(statuses.count("done"), statuses.count("skipped"), len(images))
        elif question is not None:
            done = messages.planes_done(min(self._annotated, question.planes), question.planes)
        self._show(done=done)

    def _on_not_read(self, error: BaseException) -> None:
        if not isinstance(error, Cancelled):
            self._show(words=str(error))

    def _on_progress(self, fraction: float) -> None:
        if self._state.writing:
            self._show(fraction=fraction)

    def _on_written(self, written: WrittenDataSet) -> None:
        words = messages.written(str(written.folder), written.images, written.objects)
        self._show(writing=False, fraction=None, words=words)

    def _on_not_written(self, error: BaseException) -> None:
        words = messages.CANCELLED if isinstance(error, Cancelled) else str(error) or type(error).__name__
        self._show(writing=False, fraction=None, words=words)

    def _show(self, **changes: Any) -> None:
        before, self._state = self._state, replace(self._state, **changes)
        if self._state != before and not self._closed:
            self.changed.emit(self._state)


def _read(question: DataSetQuestion | None, progress: Progress) -> tuple[DataSetStages | None, str]:
    """Read how far the data set is, and what the last teaching brought; on the worker's thread."""
    progress(0.0)
    stages = None if question is None else question.read()
    taught = ""
    if (last := last_report()) is not None:
        name, report = last
        rows = [row for row in report.rows() if row[0] in _SHOWN]
        taught = messages.taught(name, rows, kept=report.kept) if rows else ""
    return stages, taught
