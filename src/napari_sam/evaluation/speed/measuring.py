"""The whole run: who is asked what, in which order, and what becomes of the answers."""

from __future__ import annotations

import platform
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam.evaluation.speed import machine
from napari_sam.evaluation.speed.agreement import compare_answers
from napari_sam.evaluation.speed.contenders import FAMILIES, contenders_of
from napari_sam.evaluation.speed.grid_points import grid_points
from napari_sam.evaluation.speed.process import ContenderError, ContenderProcess, start_contender
from napari_sam.evaluation.speed.report import (
    Agreement,
    FamilyTimes,
    FreshProcess,
    Growth,
    Machine,
    SpeedReport,
    Spread,
    TaskTimes,
)
from napari_sam.evaluation.speed.rounds import take_turns
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sam.evaluation.speed.contenders import Contender
    from napari_sam.progress import Progress

    Starter = Callable[[str, Path, int | None, str], ContenderProcess]
    Answers = dict[str, list[dict[str, Any]]]

SIDES = (512, 1024, 2048)
"""Of the square images that are embedded, data pixels."""
SIDE = 1024
"""Of the image that is clicked on."""
MANY = 8
"""Points a side of those that are answered together."""
_MACHINE = "machine"
_SLOW_ROUNDS = 3  # at most, of what takes long: new processes, and everything mode
_QUICK_REPEATS = 5  # of a click, which takes little
_COMPARED = 3  # points a side whose masks are compared
_GROWING_SIDES = (256, *SIDES)
_GROWING_PROMPTS = (1, 4, 16, 64)
_GROWING_PLANES = (8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class SpeedSettings:
    """What is measured.

    Attributes
    ----------
    families : tuple of str
        Names of `FAMILIES`.
    rounds : int
        How often each is asked; of what takes long, three times at most.
    threads : int, optional
        Of torch and its libraries; None leaves their own choice.
    device : str
        A device of torch, or "auto".
    quick : bool
        Leave out everything mode.
    points_per_side : int
        Of everything mode.
    """

    families: tuple[str, ...] = tuple(FAMILIES)
    rounds: int = 5
    threads: int | None = None
    device: str = "cpu"
    quick: bool = False
    points_per_side: int = 16

    @property
    def slow_rounds(self) -> int:
        """Rounds of what takes long."""
        return min(self.rounds, _SLOW_ROUNDS)


def measure_speed(
    settings: SpeedSettings, progress: Progress = no_progress, *, start: Starter = start_contender
) -> SpeedReport:
    """Measure all contenders in turns.

    Parameters
    ----------
    settings : SpeedSettings
    progress : Progress
        Called with the fraction done; may raise `Cancelled`.
    start : callable
        Starts the process of a contender by its name, a folder, threads and a device.

    Returns
    -------
    SpeedReport

    Raises
    ------
    ContenderError
        If the machine itself cannot be measured. A contender that fails is left out, with a note.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        run = _SpeedRun(settings, Path(folder), start, stack, progress)
        return run.report()


@dataclass(slots=True)
class _SpeedRun:
    """One run, and what it has found so far."""

    settings: SpeedSettings
    folder: Path
    starter: Starter
    stack: ExitStack
    progress: Progress
    device: str = ""
    notes: list[str] = field(default_factory=list)
    rates: list[dict[str, Any]] = field(default_factory=list)
    done: int = 0

    def report(self) -> SpeedReport:
        """Measure everything."""
        contenders = self._prepare()
        meter = self.stack.enter_context(self._started(_MACHINE))
        fresh = self._fresh([one for group in contenders.values() for one in group])
        families = tuple(self._family(name, group, meter) for name, group in contenders.items())
        growths = self._growths(families[-1].name)
        latest = self.rates[-1]
        self.progress(1.0)
        return SpeedReport(
            datetime.now(UTC).isoformat(timespec="seconds"),
            Machine(
                machine.processor_name(),
                f"{platform.system()} {platform.machine()}",
                latest["device"],
                machine.cores(),
                latest["threads"],
                Spread.of([rate["flops"] for rate in self.rates]),
                Spread.of([rate["bandwidth"] for rate in self.rates]),
                machine.versions(),
            ),
            self.settings.rounds,
            fresh,
            families,
            growths,
            tuple(self.notes),
        )

    def _prepare(self) -> dict[str, tuple[Contender, ...]]:
        """Write images and weights; return who can be measured, by family."""
        with self.starter("inputs", self.folder, None, self.settings.device) as process:
            given = process.ask("write", sides=_GROWING_SIDES, families=self.settings.families)
        self.device = given["device"]
        chosen = {}
        for family in self.settings.families:
            here, missing = contenders_of(family)
            self.notes += missing
            chosen[family] = tuple(one for one in here if self._prepared(one))
        return chosen

    def _prepared(self, contender: Contender) -> bool:
        """Let a contender bring weights into its own layout, where it has one."""
        if not contender.own_layout:
            return True
        with self._started(contender.name) as process:
            return self._asked(process, "prepare") is not None

    def _started(self, name: str) -> ContenderProcess:
        return self.starter(name, self.folder, self.settings.threads, self.device)

    def _asked(self, process: ContenderProcess, task: str, **request: Any) -> dict[str, Any] | None:
        """Ask; None, with a note, if the contender cannot."""
        if process.ended:
            # Its end is in the notes.
            return None
        try:
            return process.ask(task, **request)
        except ContenderError as error:
            self.notes.append(str(error))
            return None

    def _image(self, side: int) -> str:
        return str(self.folder / f"{side}.npy")

    def _step(self) -> None:
        """Report that a part is done."""
        self.done += 1
        tasks = len(SIDES) + 4
        self.progress(min(0.99, self.done / (3 + tasks * len(self.settings.families))))

    def _fresh(self, contenders: Sequence[Contender]) -> tuple[FreshProcess, ...]:
        """Have each give its first mask in new processes."""
        middle = (SIDE / 2, SIDE / 2)

        def first(name: str) -> dict[str, Any] | None:
            with self._started(name) as process:
                return self._asked(process, "fresh", image=self._image(SIDE), point=middle)

        answers = take_turns([one.name for one in contenders], self.settings.slow_rounds, first)
        self._step()
        return tuple(
            FreshProcess(name, {key: Spread.of([one[key] for one in given]) for key in given[0] if given[0][key]})
            for name, given in answers.items()
            if given
        )

    def _family(self, family: str, contenders: Sequence[Contender], meter: ContenderProcess) -> FamilyTimes:
        """Measure contenders with the same weights, whose processes live as long as that takes."""
        with ExitStack() as stack:
            processes = {one.name: stack.enter_context(self._started(one.name)) for one in contenders}
            processes = {name: one for name, one in processes.items() if self._asked(one, "start")}
            measured = len(self.rates)
            tasks = [self._embedding(family, processes, meter, side) for side in SIDES]
            tasks += self._answering(processes)
            rate = Spread.of([one["flops"] for one in self.rates[measured:]])
            agreements = self._agreements(family, processes)
            self._step()
        names = tuple(one.name for one in contenders)
        return FamilyTimes(family, FAMILIES[family], names, tuple(tasks), rate, agreements)

    def _embedding(
        self, family: str, processes: dict[str, ContenderProcess], meter: ContenderProcess, side: int
    ) -> TaskTimes:
        """Embed one size, the machine's own rates being measured in the same rounds."""

        def play(name: str) -> dict[str, Any] | None:
            if name == _MACHINE:
                return meter.ask("rates")
            return self._asked(processes[name], "embed", image=self._image(side))

        answers = take_turns([*processes, _MACHINE], self.settings.rounds, play)
        self.rates += answers.pop(_MACHINE)
        counted = family in processes and self._asked(processes[family], "count", image=self._image(side))
        self._step()
        return TaskTimes(f"embed {side} x {side}", _spreads(answers), counted["flops"] if counted else None)

    def _answering(self, processes: dict[str, ContenderProcess]) -> list[TaskTimes]:
        """Click on one image, once and many times, and let everything be found."""
        for process in processes.values():
            self._asked(process, "embed", image=self._image(SIDE))
        settings, points = self.settings, grid_points((SIDE, SIDE), MANY)
        tasks: list[tuple[str, str, int, dict[str, Any]]] = [
            ("1 point", "predict", _QUICK_REPEATS * settings.rounds, {"point": points[len(points) // 2]}),
            (f"{len(points)} points together", "predict_many", settings.rounds, {"points": points}),
        ]
        if not settings.quick:
            side = settings.points_per_side
            everything = {"image": self._image(SIDE), "side": side}
            tasks.append((f"everything, {side} x {side} points", "everything", settings.slow_rounds, everything))
        return [self._timed(processes, *task) for task in tasks]

    def _timed(
        self, processes: dict[str, ContenderProcess], title: str, task: str, rounds: int, request: dict[str, Any]
    ) -> TaskTimes:
        def play(name: str) -> dict[str, Any] | None:
            return self._asked(processes[name], task, **request)

        answers = take_turns(list(processes), rounds, play, warm_up=task != "everything")
        self._step()
        return TaskTimes(title, _spreads(answers))

    def _agreements(self, family: str, processes: dict[str, ContenderProcess]) -> tuple[Agreement, ...]:
        """Compare the masks of others with ours."""
        points = grid_points((SIDE, SIDE), _COMPARED)
        written = {}
        for number, (name, process) in enumerate(processes.items()):
            path = self.folder / f"{family}-{number}.npz"
            request = {"image": self._image(SIDE), "points": points, "path": str(path)}
            if self._asked(process, "answers", **request) is not None:
                written[name] = path
        ours = written.pop(family, None)
        return tuple(compare_answers(ours, path, name) for name, path in written.items()) if ours else ()

    def _growths(self, family: str) -> tuple[Growth, ...]:
        """Measure ours against pixels, prompts and planes."""
        points = grid_points((SIDE, SIDE), MANY)
        found: dict[tuple[str, str, str], dict[int, float]] = defaultdict(dict)
        with self._started(family) as process:
            self._asked(process, "start")
            for side in _GROWING_SIDES:
                seconds = self._median(process, "embed", image=self._image(side))
                found["embed a plane", "pixels", "s"][side**2] = seconds
            self._asked(process, "embed", image=self._image(SIDE))
            for count in _GROWING_PROMPTS:
                seconds = self._median(process, "predict_many", points=points[:count])
                found["answer points together", "points", "s"][count] = seconds
        self._step()
        for planes in _GROWING_PLANES:
            with self._started(family) as process:
                self._asked(process, "start")
                walked = self._asked(process, "walk", image=self._image(_GROWING_SIDES[0]), planes=planes) or {}
            found["embed and click on planes", "planes", "s"][planes] = walked.get("seconds") or 0.0
            found["peak memory with planes", "planes", "B"][planes] = walked.get("peak memory") or 0.0
        self._step()
        return tuple(
            Growth(f"{what}, {family}", against, unit, tuple(values), tuple(values.values()))
            for (what, against, unit), values in found.items()
            # What could not be measured has no logarithm either.
            if all(values.values())
        )

    def _median(self, process: ContenderProcess, task: str, **request: Any) -> float:
        """Time one of our tasks; 0 if it fails."""
        answers = take_turns([task], self.settings.rounds, lambda name: self._asked(process, name, **request))
        return Spread.of([one["seconds"] for one in answers[task]]).median if answers[task] else 0.0


def _spreads(answers: Answers) -> dict[str, Spread]:
    return {name: Spread.of([one["seconds"] for one in given]) for name, given in answers.items() if given}
