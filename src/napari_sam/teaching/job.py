"""The work of teaching: labels gathered, the program run, its words passed on. It has a thread to itself."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sam.errors import Cancelled, InputError, NapariSamError
from napari_sam.io.outputs import reason, remedy
from napari_sam.teaching import messages
from napari_sam.teaching.process import JsonProcess
from napari_sam.training.material import read_material, save_material

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_sam.progress import Progress
    from napari_sam.teaching.gathering import SessionLabels
    from napari_sam.teaching.runs import TeachingRun
    from napari_sam.teaching.state import TeachingStage
    from napari_sam.training.finetune.report import FinetuneReport

_MOST_PLANES = 24  # of a stack, as the command line has it
_LONGEST = 300  # letters of a line of the log that is shown


@dataclass(frozen=True, slots=True)
class TeachingOutcome:
    """What came of a run.

    Attributes
    ----------
    report : FinetuneReport
    rows : tuple of (str, float, float)
        Its table.
    name : str or None
        Of the model that was kept; None where none was.
    """

    report: FinetuneReport
    rows: tuple[tuple[str, float, float], ...]
    name: str | None


class TeachingJob:
    """One go at a run. Called on its thread; everything else is safe from any thread.

    Parameters
    ----------
    run : TeachingRun
        What to teach.
    program : sequence of str
        What runs, without the arguments.
    labels : SessionLabels or None
        To gather first; None to go on with what the run's folder holds.
    keep_worse : bool
        Whether the model is kept in any case.

    Attributes
    ----------
    stage, words, fraction
        See `TeachingState`.
    """

    def __init__(
        self,
        run: TeachingRun,
        program: Sequence[str],
        labels: SessionLabels | None = None,
        *,
        keep_worse: bool = False,
    ) -> None:
        self.run = run
        self._program = tuple(program)
        self._labels = labels
        self._keep_worse = keep_worse
        self._lock = threading.Lock()
        self._stopped = False
        self._process: JsonProcess | None = None
        self.stage: TeachingStage = "running" if labels is None else "gathering"
        self.words = messages.STARTING if labels is None else messages.GATHERING
        self.fraction: float | None = None

    def stop(self) -> None:
        """End it soon: what was learnt is saved."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self.words = messages.STOPPING
                self._process.stop()

    def __call__(self, progress: Progress) -> TeachingOutcome:
        """Gather, and teach.

        Raises
        ------
        Cancelled
            If it was stopped.
        NapariSamError
            If it failed; the message says what to do.
        """
        try:
            if self._labels is not None:
                self._gather(self._labels, progress)
            progress(0.0)
            return self._teach(progress)
        except OSError as error:
            raise InputError(f"{self.run.folder} cannot be used: {reason(error)}. {remedy(error)}") from error

    def _gather(self, labels: SessionLabels, progress: Progress) -> None:
        def report(fraction: float, /) -> None:
            self.fraction = fraction
            progress(fraction)

        planes = read_material(labels.sources(), most_planes=_MOST_PLANES, progress=report)
        # What is left of a model of this name that was not kept. Not before there is something new.
        if self.run.folder.exists():
            shutil.rmtree(self.run.folder)
        save_material(planes, self.run.material)
        self.run.save()

    def _teach(self, progress: Progress) -> TeachingOutcome:
        self.stage, self.words, self.fraction = "running", messages.STARTING, None
        command = [*self._program, *self.run.arguments(keep_worse=self._keep_worse)]
        with self._lock:
            if self._stopped:
                raise Cancelled("stopped")
            self._process = process = JsonProcess(command, self.run.log)
        said: dict[str, Any] = {}
        try:
            for line in process.lines():
                self._note(line)
                said.update({key: line[key] for key in ("report", "name", "error", "stopped") if key in line})
                try:
                    progress(self.fraction or 0.0)
                except Cancelled:
                    # It is listened to until its end: what it saves meanwhile must not be worked on by another run.
                    self.stop()
        finally:
            if process.code is None and "report" not in said:
                process.stop()
            process.close()
        return self._outcome(said, process.code or 0)

    def _note(self, line: Mapping[str, Any]) -> None:
        if isinstance(words := line.get("words"), str) and not self._stopped:
            self.words = messages.learning(words)
        if isinstance(fraction := line.get("fraction"), int | float):
            self.fraction = min(max(float(fraction), 0.0), 1.0)

    def _outcome(self, said: Mapping[str, Any], code: int) -> TeachingOutcome:
        if isinstance(report := said.get("report"), dict):
            from napari_sam.training.finetune.report import FinetuneReport  # torch, for which nobody waits here

            found = FinetuneReport.from_dict(report)
            name = said.get("name")
            return TeachingOutcome(found, tuple(found.rows()), name if isinstance(name, str) else None)
        if isinstance(error := said.get("error"), str) and error:
            raise NapariSamError(error)
        if self._stopped or "stopped" in said:
            raise Cancelled("stopped")
        last = _last_line(self.run.log)
        raise NapariSamError(messages.ended(code, last, str(self.run.log), resumable=self.run.resumable))


def _last_line(log: Path) -> str:
    """Return the last line of a log that says anything."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - (1 << 14)))
        lines = file.read().decode("utf-8", "replace").splitlines()
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return said[:_LONGEST].rstrip(".")
