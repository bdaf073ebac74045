"""What a run found, as values that go to JSON and come back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from napari_sam.errors import InputError
from napari_sam.evaluation.speed.contenders import OUR_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION = 1
"""Of the layout of the JSON."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of one thing.

    Attributes
    ----------
    median : float
    low, high : float
        The smallest and the largest.
    count : int
    """

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Sum up one value or more."""
        return cls(float(np.median(values)), float(min(values)), float(max(values)), len(values))


@dataclass(frozen=True, slots=True)
class TaskTimes:
    """One task, done by the contenders of a family.

    Attributes
    ----------
    task : str
    seconds : dict of str to Spread
        By contender; who could not do it is missing.
    flops : float or None
        Operations that the network needs for it, two for each multiply-add; None where they were not counted.
    """

    task: str
    seconds: dict[str, Spread]
    flops: float | None = None

    def ratio(self, ours: str) -> float | None:
        """How many times as long the fastest of the others takes, by medians; None without us or without others."""
        others = [spread.median for name, spread in self.seconds.items() if name not in (ours, *OUR_NAMES)]
        return min(others) / self.seconds[ours].median if others and ours in self.seconds else None


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far another package's answers are those of ours.

    Attributes
    ----------
    contender : str
    iou : float
        Mean over all masks that were compared.
    logits : float
        Largest difference of two logits.
    largest : float
        The logit that is farthest from 0, to compare that with.
    masks : int
        How many were compared.
    """

    contender: str
    iou: float
    logits: float
    largest: float
    masks: int


@dataclass(frozen=True, slots=True)
class FamilyTimes:
    """Contenders with the same weights.

    Attributes
    ----------
    name, title : str
        `name` is also that of our contender.
    contenders : tuple of str
        Ours first.
    tasks : tuple of TaskTimes
    matrix_rate : Spread
        Of the machine, FLOP/s, measured in the same rounds.
    agreements : tuple of Agreement
    """

    name: str
    title: str
    contenders: tuple[str, ...]
    tasks: tuple[TaskTimes, ...]
    matrix_rate: Spread
    agreements: tuple[Agreement, ...] = ()

    @property
    def others(self) -> tuple[str, ...]:
        """Contenders that are other people's code."""
        return tuple(name for name in self.contenders if name != self.name and name not in OUR_NAMES)

    def share_of_floor(self, task: TaskTimes) -> float | None:
        """Return the least time that the task's products take here, as a share of ours."""
        if task.flops is None or self.name not in task.seconds:
            return None
        return task.flops / self.matrix_rate.median / task.seconds[self.name].median


@dataclass(frozen=True, slots=True)
class FreshProcess:
    """The first mask of a new process.

    Attributes
    ----------
    contender : str
    measures : dict of str to Spread
        "import", "load", "embed", "predict" and "first mask", seconds, and "peak memory", bytes.
    """

    contender: str
    measures: dict[str, Spread]


@dataclass(frozen=True, slots=True)
class Growth:
    """How something grows.

    Attributes
    ----------
    what, against : str
        What was measured, and what it depends on.
    unit : str
        "s" or "B".
    sizes, values : tuple of float
    """

    what: str
    against: str
    unit: str
    sizes: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def exponent(self) -> float:
        """Of the power of the size that the values grow with: the slope of a line through the logarithms."""
        return float(np.polyfit(np.log(self.sizes), np.log(self.values), 1)[0])


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured.

    Attributes
    ----------
    processor, system, device : str
    cores, threads : int
        Cores that the system has; threads that torch used.
    matrix_rate : Spread
        Float32 products of matrices, FLOP/s.
    bandwidth : Spread
        Copy of a large array, bytes read and written for each second.
    versions : dict of str to str
        By package.
    """

    processor: str
    system: str
    device: str
    cores: int
    threads: int
    matrix_rate: Spread
    bandwidth: Spread
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class SpeedReport:
    """Everything that one run measured.

    Attributes
    ----------
    date : str
        ISO 8601.
    machine : Machine
    rounds : int
    fresh : tuple of FreshProcess
    families : tuple of FamilyTimes
    growths : tuple of Growth
    notes : tuple of str
    """

    date: str
    machine: Machine
    rounds: int
    fresh: tuple[FreshProcess, ...]
    families: tuple[FamilyTimes, ...]
    growths: tuple[Growth, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return plain values; ratios, shares and exponents among them, for those who read them there."""
        plain = asdict(self)
        for family, written in zip(self.families, plain["families"], strict=True):
            for task, entry in zip(family.tasks, written["tasks"], strict=True):
                entry |= {"ratio": task.ratio(family.name), "share_of_floor": family.share_of_floor(task)}
        for growth, entry in zip(self.growths, plain["growths"], strict=True):
            entry["exponent"] = growth.exponent
        return {"version": VERSION, **plain}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave.

        Raises
        ------
        InputError
            If it is something else, or of another version.
        """
        if written.get("version") != VERSION:
            raise InputError(f"This is no report of `napari-sam benchmark speed` of version {VERSION}. Run it again.")
        return cls(
            written["date"],
            _machine(written["machine"]),
            written["rounds"],
            tuple(FreshProcess(one["contender"], _spreads(one["measures"])) for one in written["fresh"]),
            tuple(_family(one) for one in written["families"]),
            tuple(
                Growth(one["what"], one["against"], one["unit"], tuple(one["sizes"]), tuple(one["values"]))
                for one in written["growths"]
            ),
            tuple(written["notes"]),
        )


def _spreads(written: Mapping[str, Any]) -> dict[str, Spread]:
    return {name: Spread(**spread) for name, spread in written.items()}


def _machine(written: Mapping[str, Any]) -> Machine:
    rates = {name: Spread(**written[name]) for name in ("matrix_rate", "bandwidth")}
    return Machine(**{**written, **rates})


def _family(written: Mapping[str, Any]) -> FamilyTimes:
    return FamilyTimes(
        written["name"],
        written["title"],
        tuple(written["contenders"]),
        tuple(TaskTimes(one["task"], _spreads(one["seconds"]), one["flops"]) for one in written["tasks"]),
        Spread(**written["matrix_rate"]),
        tuple(Agreement(**one) for one in written["agreements"]),
    )
