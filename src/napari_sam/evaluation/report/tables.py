"""The numbers of a report, laid out for people: the terminal and the written report show the same tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.evaluation.metrics import TARGETS, clicks_name, reported_clicks

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.evaluation.accuracy import AccuracyReport, Summary

NOTHING = "-"
"""Stands where something could not be measured."""


COUNTS = ("Images", "Objects")
"""Titles of columns of whole numbers."""


@dataclass(frozen=True, slots=True)
class Column:
    """A measure in a table.

    Attributes
    ----------
    key : str
        Its name in `Summary.measures`.
    title : str
        What stands above it.
    show : callable
        Writes a value.
    """

    key: str
    title: str
    show: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class TableRow:
    """One model on one type of image.

    Attributes
    ----------
    heads : tuple of str
        Type of image, model (if there is more than one), images, objects (where they were prompted for).
    values : tuple of str
    intervals : tuple of str
        For each value its 95 % interval, or nothing.
    """

    heads: tuple[str, ...]
    values: tuple[str, ...]
    intervals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text.

    Attributes
    ----------
    title : str
    heads, columns : tuple of str
        Titles of `TableRow.heads` and of `TableRow.values`.
    rows : tuple of TableRow
        "all" first; the models of one type of image below each other.
    """

    title: str
    heads: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]


def tables(report: AccuracyReport) -> tuple[Table, ...]:
    """Lay out a report; a table in which nothing was measured is left out."""
    measured = {name for model in report.models for kind in report.kinds for name in model.summaries[kind].measures}
    return tuple(
        _table(report, title, columns)
        for title, columns in _layout(report.clicks)
        if measured & {column.key for column in columns}
    )


def _layout(clicks: int) -> tuple[tuple[str, tuple[Column, ...]], ...]:
    # A single click stands apart, beside the best of its candidates.
    first, *iou = (Column(clicks_name(count), clicks_name(count), _two) for count in reported_clicks(clicks))
    return (
        ("Mean IoU", (first, Column("best of 3", "best of 3", _two), *iou, Column("box", "box", _two))),
        (
            "Clicks needed",
            (
                *(Column(f"NoC@{t}", f"to IoU .{t}", _one) for t in TARGETS),
                *(Column(f"failed@{t}", f"never .{t}", _percent) for t in TARGETS),
                Column("largest fall", "largest fall", _three),
            ),
        ),
        (
            "The model's own estimate of IoU",
            (
                Column("ECE", "calibration error", _three),
                Column("bias", "bias", _signed),
                Column("Pearson", "Pearson", _two),
                Column("Spearman", "Spearman", _two),
            ),
        ),
        ("Automatic segmentation", (Column("AP", "AP", _two), Column("AP@50", "AP at .50", _two))),
    )


def _table(report: AccuracyReport, title: str, columns: tuple[Column, ...]) -> Table:
    several = len(report.models) > 1
    # Automatic segmentation is scored on all objects of an image, however few were clicked on.
    counted = COUNTS[:1] if {column.key for column in columns} & {"AP"} else COUNTS
    rows = []
    for kind in report.kinds:
        for model in report.models:
            summary = model.summaries[kind]
            counts = (summary.images, summary.objects)[: len(counted)]
            heads = (kind, *((model.model,) if several else ()), *(str(count) for count in counts))
            values = tuple(_value(summary, column) for column in columns)
            rows.append(TableRow(heads, values, tuple(_interval(summary, column) for column in columns)))
    heads = ("Images of type", *(("Model",) if several else ()), *counted)
    return Table(title, heads, tuple(column.title for column in columns), tuple(rows))


def _value(summary: Summary, column: Column) -> str:
    value = summary.measures.get(column.key)
    return NOTHING if value is None else column.show(value)


def _interval(summary: Summary, column: Column) -> str:
    limits = summary.intervals.get(column.key)
    if limits is None:
        return ""
    low, high = (column.show(limit) for limit in limits)
    # One sign of per cent is enough for both ends.
    return f"{low.removesuffix(' %')}-{high}"


def _one(value: float) -> str:
    return f"{value:.1f}"


def _two(value: float) -> str:
    return f"{value:.2f}"


def _three(value: float) -> str:
    return f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
