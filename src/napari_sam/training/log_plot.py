"""The log of a run as a picture: losses, what the simulated person gets, checks on validation images, and the rate."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_sam.errors import InputError
from napari_sam.files import part_path, replacing

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

Line: TypeAlias = "dict[str, float]"

PICTURE = "log.png"

_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")  # Paul Tol's bright: told apart by all
_GREY = "#666666"
_SMOOTHED_OVER = 40  # a curve is averaged over this share of its points
_SHARED = ("1 click", "3 clicks", "box")


def read_log(log: Path) -> list[Line]:
    """Read a log as the run went in the end.

    Parameters
    ----------
    log : Path
        JSON lines.

    Returns
    -------
    list of dict
        Lines of steps and lines of checks, their names beginning with "check ". Where a run that was killed went on
        from an earlier checkpoint, what it did over again counts once; half a line at the end does not count.

    Raises
    ------
    InputError
        If there is no log, or nothing in it.
    """
    try:
        text = log.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"There is no log {log}. Give the folder of a run that `napari-sam train` made.") from error
    lines: list[Line] = []
    for number, raw in enumerate(text.splitlines(), 1):
        try:
            line = json.loads(raw)
            step = line["step"]
        except (ValueError, KeyError, TypeError) as error:
            if number == len(text.splitlines()):
                break
            raise InputError(f"Line {number} of {log} is damaged. Delete it, and try again.") from error
        while lines and lines[-1]["step"] > step:
            lines.pop()
        lines.append(line)
    if not lines:
        raise InputError(f"{log} is empty: the run has only begun. Try again after some steps.")
    return lines


def draw_log(log: Path, picture: Path | None = None) -> Path:
    """Draw a log.

    Parameters
    ----------
    log : Path
    picture : Path, optional
        The PNG to write; by default ``log.png`` beside the log.

    Returns
    -------
    Path
        The picture.
    """
    # The object interface: no window system, no global state, so that it works in any thread and on a server.
    from matplotlib.figure import Figure

    lines = read_log(log)
    steps = [line for line in lines if "first" in line]
    checks = [line for line in lines if any(name.startswith("check ") for name in line)]
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    losses, answers, measured, rate = figure.subplots(2, 2, sharex=True).ravel()
    _curves(losses, steps, {"first": "first answer", "last": "after corrections", "dense": "dense head"})
    losses.set_title("Loss")
    if steps:
        _log_scale(losses)
    _curves(answers, steps, {"click": "one click", "box": "box", "corrected": "after corrections"})
    answers.set(title="IoU while training (one answer, not the best of three)", ylim=(0, 1))
    _draw_checks(measured, checks)
    _draw_rate(rate, steps)
    for axes in (measured, rate):
        axes.set_xlabel("step")
    for axes in (losses, answers, measured, rate):
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=9)
    hours = lines[-1].get("seconds", 0.0) / 3600
    figure.suptitle(f"{lines[-1]['step']:,.0f} steps in {hours:.1f} h", fontsize=11)
    picture = picture or log.with_name(PICTURE)
    with replacing(picture, part_path(picture)) as part:
        figure.savefig(part, format="png", dpi=110)
    return picture


def _column(lines: list[Line], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take the steps and values of the lines that have a value; steps in which nobody drew a box, say, have none."""
    pairs = [(line["step"], line[name]) for line in lines if math.isfinite(line.get(name, math.nan))]
    array = np.array(pairs, float).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over a window around each value, as far as there are values."""
    half = len(values) // (2 * _SMOOTHED_OVER)
    sums = np.concatenate(([0.0], np.cumsum(values)))
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    return np.asarray((sums[high] - sums[low]) / (high - low))


def _curves(axes: Axes, lines: list[Line], names: dict[str, str]) -> None:
    """Draw each column faintly, and smoothed on top."""
    for (name, label), colour in zip(names.items(), _COLOURS, strict=False):
        x, y = _column(lines, name)
        if len(x):
            axes.plot(x, y, color=colour, alpha=0.2, linewidth=0.8)
            axes.plot(x, smooth(y), color=colour, linewidth=1.8, label=f"{label}: {smooth(y)[-1]:.2f}")


def _log_scale(axes: Axes) -> None:
    """Make the scale of y logarithmic, its numbers written out."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_checks(axes: Axes, checks: list[Line]) -> None:
    """Draw what was measured on validation images: BBBC038 in full lines, unseen families in broken ones."""
    axes.set_title("IoU on validation images")
    if not checks:
        axes.text(0.5, 0.5, "no check yet", transform=axes.transAxes, ha="center", color=_GREY)
        return
    styles: dict[str, dict[str, Any]] = {"": {"linestyle": "-"}, "unseen ": {"linestyle": "--"}}
    for prefix, style in styles.items():
        for name, colour in zip(_SHARED, _COLOURS, strict=False):
            x, y = _column(checks, f"check {prefix}{name}")
            if len(x):
                axes.plot(x, y, color=colour, marker=".", label=f"{prefix}{name}: {y[-1]:.3f}", **style)
    x, y = _column(checks, "check score")
    if len(x):
        best = int(y.argmax())
        axes.axvline(x[best], color=_GREY, linewidth=0.8, linestyle=":", label=f"best so far: step {x[best]:.0f}")


def _draw_rate(axes: Axes, steps: list[Line]) -> None:
    """Draw the learning rate, and the gradient's norm on an axis of its own."""
    x, y = _column(steps, "rate")
    axes.set_title("Learning rate, and norm of the gradient")
    axes.plot(x, y, color=_COLOURS[0], linewidth=1.8, label="learning rate (left)")
    axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    x, y = _column(steps, "norm")
    if len(x):
        other = axes.twinx()
        other.plot(x, smooth(y), color=_COLOURS[1], linewidth=1.0)
        _log_scale(other)
        other.spines[["top"]].set_visible(False)
        axes.plot([], [], color=_COLOURS[1], linewidth=1.0, label="norm of the gradient (right)")
