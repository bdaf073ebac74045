"""The plot of a report of times: what a first mask is made of, each task beside others, and growth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import NullFormatter

from napari_sam.evaluation.report.plots import COLOURS, INK, MARKERS, empty_figure, plain_axes
from napari_sam.evaluation.report.speed_tables import OURS, duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from napari_sam.evaluation.speed.report import FamilyTimes, SpeedReport

_STEPS = ("import", "load", "embed", "predict")
_THICKNESS = 0.8  # of the bars of one task together
_WIDTH = 8.0  # inches: panels stand below one another, because names of packages are long
_BAR = 0.14  # inches that a bar needs with its number
_MARGINS = 1.0  # inches for the legend and the axis of a panel
_GROWTH = 3.2


def draw_speed(report: SpeedReport) -> Figure:
    """Draw a report: a panel for new processes, one for each family, one for growth."""
    bars = [len(report.fresh)] if report.fresh else []
    bars += [sum(len(task.seconds) for task in family.tasks) for family in report.families]
    heights = [_MARGINS + _BAR * count for count in bars] + [_GROWTH] * bool(report.growths)
    figure = empty_figure(_WIDTH, sum(heights))
    grid = list(figure.subplots(len(heights), squeeze=False, height_ratios=heights).flat)
    if report.fresh:
        draw_first_masks(grid.pop(0), report)
    for family in report.families:
        draw_family(grid.pop(0), family)
    if report.growths:
        draw_growth(grid.pop(0), report)
    return figure


def draw_first_masks(axes: Axes, report: SpeedReport) -> None:
    """Stack what the first mask of a new process is made of."""
    names = [one.contender for one in report.fresh]
    ours = {family.name for family in report.families}
    left = np.zeros(len(names))
    for step, colour in zip(_STEPS, COLOURS, strict=False):
        widths = np.array([one.measures[step].median for one in report.fresh])
        axes.barh(names, widths, left=left, color=colour, label=step)
        left += widths
    whole = np.array([one.measures["first mask"].median for one in report.fresh])
    axes.barh(names, np.maximum(whole - left, 0), left=left, color="#999999", label="interpreter, rest")
    for place, value in enumerate(whole):
        axes.annotate(duration(value), (value, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(names)), [f"{name} ({OURS})" if name in ours else name for name in names])
    axes.invert_yaxis()
    axes.set_xlim(right=1.1 * whole.max())  # room for the longest bar's number
    axes.set_xlabel("Seconds until the first mask of a new process")
    _legend(axes, 5)
    plain_axes(axes)


def draw_family(axes: Axes, family: FamilyTimes) -> None:
    """Draw the tasks of contenders with the same weights, on a logarithmic axis."""
    height = _THICKNESS / len(family.contenders)
    for number, name in enumerate(family.contenders):
        places = [place for place, task in enumerate(family.tasks) if name in task.seconds]
        spreads = [task.seconds[name] for task in family.tasks if name in task.seconds]
        values = np.array([spread.median for spread in spreads])
        reach = np.abs([[spread.low, spread.high] - value for spread, value in zip(spreads, values, strict=True)])
        heights = np.array(places) + (number - (len(family.contenders) - 1) / 2) * height
        colour = INK if name == family.name else COLOURS[number - 1]
        label = OURS if name == family.name else name.removeprefix(f"{family.name}, ")
        axes.barh(heights, values, height, xerr=reach.T, color=colour, label=label, error_kw={"ecolor": "#999999"})
        for place, value, spread in zip(heights, values, spreads, strict=True):
            shown = (spread.high, place)
            axes.annotate(duration(value), shown, (3, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:g} s" if seconds >= 1 else f"{1e3 * seconds:g} ms")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(family.tasks)), [task.task for task in family.tasks])
    axes.invert_yaxis()
    axes.margins(x=0.14)
    axes.set_xlabel(f"{family.title}: time")
    _legend(axes, len(family.contenders))
    plain_axes(axes)


def draw_growth(axes: Axes, report: SpeedReport) -> None:
    """Draw how times and memory grow, all against the smallest that was measured."""
    for one, colour, marker in zip(report.growths, COLOURS, MARKERS, strict=False):
        sizes, values = (np.array(given) / given[0] for given in (one.sizes, one.values))
        label = f"{one.what.partition(',')[0]}: exponent {one.exponent:.2f}"
        axes.plot(sizes, values, color=colour, marker=marker, markersize=5, label=label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xlabel("Pixels, points or planes, smallest = 1")
    axes.set_ylabel("Time or memory, smallest = 1")
    _legend(axes, 2)
    plain_axes(axes)


def _legend(axes: Axes, columns: int) -> None:
    """Put the legend above a panel: wherever bars and lines are, it is not on them."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=8,
        columnspacing=1.2,
        handlelength=1.4,
    )
