"""Times laid out for people: the terminal, the written report and the documents show the same tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.evaluation.report.tables import NOTHING, Table, TableRow
from napari_sam.files import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.evaluation.speed.report import FamilyTimes, Growth, SpeedReport, Spread, TaskTimes

NOT_MEASURED = "not measured"
OURS = "ours"
BESIDE = "fastest other / ours"
FLOOR = "share of floor"
GPU = "ours on a GPU"
BUNDLED = "bundled"

FIRST_MASK, PEAK_MEMORY = "first mask", "peak memory"
_FRESH = ("import", "load", "embed", "predict", FIRST_MASK, PEAK_MEMORY)


def duration(seconds: float) -> str:
    """Write a time with two or three digits that count."""
    if seconds >= 100:
        return f"{seconds:.0f} s"
    if seconds >= 1:
        return f"{seconds:.{1 if seconds >= 10 else 2}f} s"
    return f"{1e3 * seconds:.{0 if seconds >= 0.01 else 1}f} ms"


def speed_tables(report: SpeedReport, gpu: SpeedReport | None = None, *, with_gpu: bool = False) -> tuple[Table, ...]:
    """Lay out a report.

    Parameters
    ----------
    report : SpeedReport
    gpu : SpeedReport, optional
        Of a run on a GPU.
    with_gpu : bool
        Whether there is a column for the GPU, which says so where nothing was measured.
    """
    tables = [_beside(report)] if any(family.others for family in report.families) else []
    tables += [_fresh(report, gpu, with_gpu=with_gpu)] if report.fresh else []
    tables += [_family(family, _same(family, gpu), with_gpu=with_gpu) for family in report.families]
    if any(family.agreements for family in report.families):
        tables.append(_agreement(report))
    if report.growths:
        tables.append(_growth(report))
    return tuple(tables)


def _beside(report: SpeedReport) -> Table:
    """Lay out how many times as long, and as much memory, each other package takes: what most readers look for."""
    columns = [_ratios(report, family, other) for family in report.families for other in family.others]
    names = tuple(other for family in report.families for other in family.others)
    # Packages side by side, because there are fewer of them than of tasks: a terminal is not wide.
    tasks = list(dict.fromkeys(task for column in columns for task in column))
    rows = [
        TableRow((task,), tuple(column.get(task, NOTHING) for column in columns), ("",) * len(columns))
        for task in tasks
    ]
    return Table("Others / ours with the same weights, by medians", ("Task",), names, tuple(rows))


def _ratios(report: SpeedReport, family: FamilyTimes, other: str) -> dict[str, str]:
    """Compare another package with ours, by task."""
    fresh = {one.contender: one.measures for one in report.fresh}
    theirs, ours, bundled = (fresh.get(name, {}) for name in (other, family.name, BUNDLED))
    pairs = {
        f"{FIRST_MASK}, ours with the bundled model": (theirs.get(FIRST_MASK), bundled.get(FIRST_MASK)),
        FIRST_MASK: (theirs.get(FIRST_MASK), ours.get(FIRST_MASK)),
        PEAK_MEMORY: (theirs.get(PEAK_MEMORY), ours.get(PEAK_MEMORY)),
    }
    pairs |= {task.task: (task.seconds.get(other), task.seconds.get(family.name)) for task in family.tasks}
    return {name: f"{a.median / b.median:.1f}" for name, (a, b) in pairs.items() if a and b}


def _fresh(report: SpeedReport, gpu: SpeedReport | None, *, with_gpu: bool) -> Table:
    ours = {family.name for family in report.families}
    on_gpu = {one.contender: one.measures[FIRST_MASK] for one in gpu.fresh} if gpu else {}
    rows = []
    for one in report.fresh:
        cells = [_cell(one.measures.get(name), _size if name == PEAK_MEMORY else duration) for name in _FRESH]
        if with_gpu:
            spread = on_gpu.get(one.contender)
            cells.append((NOT_MEASURED if spread is None else duration(spread.median), ""))
        values, intervals = zip(*cells, strict=True)
        name = f"{one.contender} ({OURS})" if one.contender in ours else one.contender
        rows.append(TableRow((name,), values, intervals))
    columns = (*_FRESH, *(("first mask on a GPU",) if with_gpu else ()))
    return Table("Until the first mask: a new process, 1024 x 1024 pixels, 1 point", ("Package",), columns, tuple(rows))


def _family(family: FamilyTimes, gpu: FamilyTimes | None, *, with_gpu: bool) -> Table:
    others = [name for name in family.contenders if name != family.name]
    columns = (OURS, *others, *((BESIDE,) if others else ()), FLOOR, *((GPU,) if with_gpu else ()))
    on_gpu = {task.task: task for task in gpu.tasks} if gpu else {}
    rows = []
    for task in family.tasks:
        cells = [_cell(task.seconds.get(name), duration) for name in (family.name, *others)]
        if others:
            ratio = task.ratio(family.name)
            cells.append((NOTHING if ratio is None else f"{ratio:.2f}", ""))
        share = family.share_of_floor(task)
        cells.append((NOTHING if share is None else f"{100 * share:.0f} %", ""))
        if with_gpu:
            cells.append((_on_gpu(on_gpu.get(task.task), family.name), ""))
        values, intervals = zip(*cells, strict=True)
        rows.append(TableRow((task.task,), values, intervals))
    return Table(family.title, ("Task",), columns, tuple(rows))


def _on_gpu(task: TaskTimes | None, ours: str) -> str:
    return NOT_MEASURED if task is None or ours not in task.seconds else duration(task.seconds[ours].median)


def _same(family: FamilyTimes, report: SpeedReport | None) -> FamilyTimes | None:
    return next((one for one in report.families if one.name == family.name), None) if report else None


def _agreement(report: SpeedReport) -> Table:
    rows = [
        TableRow(
            (one.contender, family.title),
            (f"{one.iou:.4f}", f"{one.logits:.1g}", f"{one.largest:.0f}", str(one.masks)),
            ("",) * 4,
        )
        for family in report.families
        for one in family.agreements
    ]
    columns = ("mean IoU with ours", "largest difference of logits", "largest logit", "masks")
    return Table("Agreement of the answers", ("Package", "Weights"), columns, tuple(rows))


def _growth(report: SpeedReport) -> Table:
    rows = [
        TableRow((one.what, one.against), (_sizes(one), _values(one), f"{one.exponent:.2f}"), ("",) * 3)
        for one in report.growths
    ]
    return Table("Growth", ("What", "with"), ("sizes", "values", "exponent"), tuple(rows))


def _sizes(growth: Growth) -> str:
    return ", ".join(f"{size:.0f}" for size in growth.sizes)


def _values(growth: Growth) -> str:
    write = duration if growth.unit == "s" else _size
    return ", ".join(write(value) for value in growth.values)


def _size(count: float) -> str:
    return format_bytes(round(count))


def _cell(spread: Spread | None, write: Callable[[float], str]) -> tuple[str, str]:
    """Write a median, and the smallest and the largest; nothing for these where there is a single value."""
    if spread is None:
        return NOTHING, ""
    return write(spread.median), f"{write(spread.low)} to {write(spread.high)}" if spread.count > 1 else ""
