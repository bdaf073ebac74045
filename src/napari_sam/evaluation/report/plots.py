"""Plots of a report. matplotlib is used through its objects: nothing global is changed, no window is opened.

Lines are types of image where there is one model, and models where there are several.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from napari_sam.evaluation.accuracy import ALL
from napari_sam.evaluation.average_precision import THRESHOLDS
from napari_sam.evaluation.metrics import BINS, answers, calibration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from napari_sam.evaluation.accuracy import AccuracyReport
    from napari_sam.evaluation.scores import ObjectScore

# Okabe and Ito (2008): told apart by colour-blind people. Their yellow is too pale for a line on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999", "#5d3a9b")
MARKERS = "osD^vPX<>"
INK = "#333333"
_FAINT = "#d9d9d9"
_DPI = 150
_MOST_SERIES = 12
_LONGEST = 28  # letters above a panel


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot.

    Attributes
    ----------
    name : str
    scores : list of ObjectScore
    precision : numpy.ndarray, shape (images, thresholds), float64
    whole : bool
        Whether it covers images of every type.
    style : dict
        Colour, marker and dashes.
    """

    name: str
    scores: list[ObjectScore]
    precision: NDArray[np.float64]
    whole: bool
    style: dict[str, Any]

    @property
    def colour(self) -> str:
        """Of its line."""
        return str(self.style["color"])


def write_plots(report: AccuracyReport, folder: Path) -> list[Path]:
    """Write every plot for which something was measured, as PNG and as SVG.

    Returns
    -------
    list of Path
    """
    series = _series(report)
    written = []
    for name, draw in (
        ("iou-by-clicks", draw_clicks),
        ("box-iou", draw_boxes),
        ("calibration", draw_calibration),
        ("automatic-precision", draw_precision),
    ):
        figure = draw(series)
        if figure is None:
            continue
        for suffix in ("png", "svg"):
            path = folder / f"{name}.{suffix}"
            figure.savefig(path, dpi=_DPI)
            written.append(path)
    return written


def _series(report: AccuracyReport) -> list[Series]:
    if len(report.models) > 1:
        named = [(model.model, model, ALL) for model in report.models]
    else:
        named = [(f"{kind} images" if kind == ALL else kind, report.models[0], kind) for kind in report.kinds]
    return [
        Series(name, model.scores_of(kind), model.precision_of(kind), kind == ALL, _style(index))
        for index, (name, model, kind) in enumerate(named[:_MOST_SERIES])
    ]


def _style(index: int) -> dict[str, Any]:
    """Choose how the line with this number looks; the first, which is often the sum of the others, is black."""
    turn, number = divmod(index - 1, len(COLOURS))
    return {
        "color": INK if index == 0 else COLOURS[number],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": "--" if turn > 0 else "-",
    }


def draw_clicks(series: Sequence[Series]) -> Figure | None:
    """IoU against clicks, a panel for each line: the mean, and the range of the middle half of the objects."""
    shown = [(one, np.array([score.clicks for score in one.scores])) for one in series]
    shown = [(one, curves) for one, curves in shown if curves.size]
    if not shown:
        return None
    columns = min(4, math.ceil(math.sqrt(len(shown))))
    rows = math.ceil(len(shown) / columns)
    figure = empty_figure(1.2 + 2.6 * columns, 0.9 + 2.4 * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, (one, curves) in zip(grid.flat, shown, strict=False):
        clicks = np.arange(1, curves.shape[1] + 1)
        low, high = np.percentile(curves, (25, 75), axis=0)
        mean = curves.mean(0)
        axes.fill_between(clicks, low, high, color=one.colour, alpha=0.2, linewidth=0)
        axes.plot(clicks, mean, color=one.colour, marker="o", markersize=4)
        axes.set_title(f"{_short(one.name)}\n{_count(len(curves), 'object')}", fontsize=9, color=INK)
        axes.annotate(
            f"{mean[-1]:.2f}",
            (clicks[-1], mean[-1]),
            (0, -13 if mean[-1] > 0.15 else 6),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=INK,
        )
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.set_xlim(0.6, len(clicks) + 0.4)
        axes.set_ylim(0, 1)
        plain_axes(axes)
    for axes in grid.flat[len(shown) :]:
        axes.remove()
    for column in range(columns):  # where the last row is short, the panel above it carries the numbers
        lowest = [axes for axes in grid[:, column] if axes.figure is not None][-1]
        lowest.tick_params(labelbottom=True)
    figure.supxlabel("Clicks", fontsize=10, color=INK)
    figure.supylabel(
        "IoU: mean, and middle half" if rows == 1 else "IoU: mean, and the middle half of the objects",
        fontsize=10,
        color=INK,
    )
    return figure


def draw_boxes(series: Sequence[Series]) -> Figure | None:
    """How often a box gives which IoU: of all images, a line for each model."""
    shown = [one for one in series if one.whole and any(score.box is not None for score in one.scores)]
    if not shown:
        return None
    figure = empty_figure(6.4, 3.8)
    axes = figure.subplots()
    edges = np.linspace(0, 1, 41).tolist()
    for one in shown:
        values = np.array([score.box for score in one.scores if score.box is not None])
        label = f"{_short(one.name)}: {_count(len(values), 'object')}, mean {values.mean():.2f}"
        # In per cent, so that models with unlike numbers of objects can be compared.
        share = np.full(len(values), 100 / len(values))
        # Areas are filled as long as they do not hide each other.
        axes.hist(values, edges, weights=share, color=one.colour, alpha=0.25 if len(shown) < 3 else 0)
        axes.hist(values, edges, weights=share, color=one.colour, histtype="step", linewidth=1.4, label=label)
        axes.axvline(float(values.mean()), color=one.colour, linestyle="--", linewidth=1)
    axes.set_xlim(0, 1)
    axes.set_xlabel("IoU with a tight box (dashed: mean)")
    axes.set_ylabel("Objects, %")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False, fontsize=9)  # wherever bars are, not on them
    plain_axes(axes)
    return figure


def draw_calibration(series: Sequence[Series]) -> Figure | None:
    """Measured against predicted IoU; below, how many answers that is from."""
    shown = []
    for one in (one for one in series if one.whole):
        predicted, measured = answers(one.scores)
        if len(predicted):
            shown.append((one, predicted, calibration(predicted, measured)))
    if not shown:
        return None
    figure = empty_figure(5.2, 5.8)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    upper.plot((0, 1), (0, 1), color="#999999", linestyle=":", linewidth=1.2, label="perfect estimate")
    edges = np.linspace(0, 1, BINS + 1).tolist()
    for one, predicted, bins in shown:
        places, heights = [b.predicted for b in bins], [b.measured for b in bins]
        upper.plot(places, heights, markersize=5, label=_short(one.name), **one.style)
        share = np.full(len(predicted), 100 / len(predicted))
        lower.hist(np.clip(predicted, 0, 1), edges, weights=share, color=one.colour, histtype="step", linewidth=1.4)
    upper.set_xlim(0, 1.02)
    upper.set_ylim(0, 1.02)
    upper.set_ylabel("Measured IoU, mean")
    lower.set_ylabel("Answers, %")
    lower.set_xlabel("IoU that the model predicts, mean of each tenth")
    upper.legend(loc="upper left", frameon=False, fontsize=9)
    plain_axes(upper)
    plain_axes(lower)
    return figure


def draw_precision(series: Sequence[Series]) -> Figure | None:
    """Average precision of automatic segmentation against the overlap that is asked for."""
    shown = [one for one in series if len(one.precision)]
    if not shown:
        return None
    figure = empty_figure(7.2, 4.0)
    axes = figure.subplots()
    for one in shown:
        mean = one.precision.mean(0)
        label = f"{_short(one.name)} ({_count(len(one.precision), 'image')})"
        axes.plot(THRESHOLDS, mean, markersize=4.5, label=label, **one.style)
    axes.set_xlim(0.48, 0.97)
    axes.set_ylim(0, 1)
    axes.set_xticks(THRESHOLDS[::2])
    axes.set_xlabel("IoU from which an object counts as found")
    axes.set_ylabel("Average precision")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize=9)
    plain_axes(axes)
    return figure


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."


def empty_figure(width: float, height: float) -> Figure:
    """Make a figure, in inches."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    # Without pyplot, which would choose a backend, and keep the figure.
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes: Axes) -> None:
    """Take away what says nothing."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=_FAINT, linewidth=0.6)
    # The grid must not cross what was measured.
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9)
