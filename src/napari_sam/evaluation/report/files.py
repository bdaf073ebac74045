"""A report as files: numbers for programs (JSON, CSV), tables and plots for people (Markdown, PNG, SVG)."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, TypeAlias

from napari_sam.errors import InputError
from napari_sam.evaluation.report.markdown import markdown_table
from napari_sam.evaluation.report.tables import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_sam.evaluation.accuracy import AccuracyReport

NUMBERS = "accuracy.json"
OBJECTS = "objects.csv"
WORDS = "accuracy.md"

Cell: TypeAlias = str | int | float | None


def prepare_folder(folder: Path) -> None:
    """Make the folder of a report, before the work whose result goes there.

    Raises
    ------
    InputError
        If it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Tried, because not every disk that refuses says so when it is asked.
        probe = folder / ".napari-sam-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"{folder} cannot be written to: {error.strerror or error}. Choose another folder.") from error


def write_report(report: AccuracyReport, folder: Path) -> list[Path]:
    """Write a report; files of an earlier one are replaced.

    Parameters
    ----------
    report : AccuracyReport
    folder : Path
        Made if it is not there.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        If one cannot be written.
    """
    prepare_folder(folder)
    from napari_sam.evaluation.report.plots import write_plots  # matplotlib is slow to import, and needed here only

    try:
        (folder / NUMBERS).write_text(json.dumps(report.to_json(), indent=2) + "\n", encoding="utf-8")
        # csv writes the ends of lines itself.
        with (folder / OBJECTS).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(object_rows(report))
        plots = write_plots(report, folder)
        pictures = [plot for plot in plots if plot.suffix == ".png"]
        # After the plots, which it shows by their names.
        (folder / WORDS).write_text(to_markdown(report, [plot.name for plot in pictures]), encoding="utf-8")
    except OSError as error:
        raise InputError(f"The report cannot be written: {error}. Choose another folder.") from error
    return [folder / WORDS, folder / NUMBERS, folder / OBJECTS, *plots]


def object_rows(report: AccuracyReport) -> Iterator[list[Cell]]:
    """Yield the rows of a CSV file, one for each object, after one with their names."""
    clicks = range(1, report.clicks + 1)
    yield [
        *("model", "image", "kind", "label", "area"),
        *(f"iou_{n}" for n in clicks),
        *(f"predicted_{n}" for n in clicks),
        *("iou_1_best_candidate", "iou_box", "predicted_box"),
    ]
    for model in report.models:
        for score in model.objects:
            # A model that takes no clicks has empty cells there: all rows have the same columns.
            curves: list[float | None] = [*score.clicks, *score.predicted] or [None] * (2 * report.clicks)
            numbers = [*curves, score.best, score.box, score.box_predicted]
            where: list[Cell] = [model.model, score.image, score.kind, score.label, score.area]
            yield [*where, *(None if number is None else round(number, 5) for number in numbers)]


def to_markdown(report: AccuracyReport, pictures: Sequence[str] = ()) -> str:
    """Write a report as Markdown.

    Parameters
    ----------
    report : AccuracyReport
    pictures : sequence of str
        Names of image files to show below the tables.
    """
    lines = [f"# Accuracy on {report.data}", ""]
    lines += [f"- {model.model}, on {model.device}" for model in report.models]
    lines += [f"- {report.clicks} clicks on each object"]
    lines += [f"- {name}: {value}" for name, value in report.settings.items() if value not in (None, False)]
    lines += ["", "In brackets: 95 % interval of the mean, by drawing the images anew.", ""]
    for table in tables(report):
        lines += [f"## {table.title}", "", *markdown_table(table), ""]
    notes = [*report.notes, *(note for model in report.models for note in model.notes)]
    if notes:
        lines += ["## Notes", "", *(f"- {note}" for note in notes), ""]
    for picture in pictures:
        lines += [f"![{picture.removesuffix('.png').replace('-', ' ')}]({picture})", ""]
    return "\n".join(lines)
