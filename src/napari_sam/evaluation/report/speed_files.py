"""A report of times as files: JSON for programs, tables and plots for people, and a page of the documents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from napari_sam.errors import InputError
from napari_sam.evaluation.report.files import prepare_folder
from napari_sam.evaluation.report.markdown import markdown_table
from napari_sam.evaluation.report.speed_tables import speed_tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sam.evaluation.speed.report import Machine, SpeedReport

NUMBERS = "speed.json"
WORDS = "speed.md"
PLOT = "speed"

MEANING = (
    "Each package works in a process of its own, in turns with the others, every second round in the opposite order; a "
    "first round does not count. Numbers are medians, in brackets the smallest and the largest. A ratio above 1 says "
    "that the fastest other package with the same weights takes that many times as long as ours. The floor is what the "
    "network's products and convolutions would take at the rate at which this machine multiplies float32 matrices, "
    "measured in the same rounds. An exponent of 1 says that something grows as its size does, one of 0 that it does "
    "not grow."
)


def write_speed_report(report: SpeedReport, folder: Path) -> list[Path]:
    """Write a report; files of an earlier one are replaced.

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        If one cannot be written.
    """
    prepare_folder(folder)
    from napari_sam.evaluation.report.speed_plot import draw_speed  # matplotlib is slow to import

    try:
        (folder / NUMBERS).write_text(json.dumps(report.to_json(), indent=2) + "\n", encoding="utf-8")
        figure = draw_speed(report)
        plots = [folder / f"{PLOT}.{suffix}" for suffix in ("png", "svg")]
        for path in plots:
            figure.savefig(path, dpi=150)
        (folder / WORDS).write_text(speed_markdown(report, plots[0].name), encoding="utf-8")
    except OSError as error:
        raise InputError(f"The report cannot be written: {error}. Choose another folder.") from error
    return [folder / WORDS, folder / NUMBERS, *plots]


def machine_lines(machine: Machine) -> list[str]:
    """Describe the machine in a few lines."""
    rate, copy = machine.matrix_rate, machine.bandwidth
    return [
        f"{machine.processor}, {machine.cores} cores, {machine.system}; device: {machine.device}, "
        f"{machine.threads} threads of torch",
        f"float32 products of matrices: {rate.median / 1e9:.0f} GFLOP/s "
        f"({rate.low / 1e9:.0f} to {rate.high / 1e9:.0f})",
        f"copy of a large array: {copy.median / 1e9:.1f} GB/s ({copy.low / 1e9:.1f} to {copy.high / 1e9:.1f})",
        ", ".join(f"{name} {number}" for name, number in machine.versions.items()),
    ]


def speed_markdown(report: SpeedReport, picture: str = "") -> str:
    """Write a report as Markdown, with a plot if its file is named."""
    lines = ["# Speed", "", f"Measured on {report.date[:10]}, {report.rounds} rounds.", ""]
    return "\n".join([*lines, *_body(report, picture)])


def docs_page(report: SpeedReport, gpu: SpeedReport | None = None, picture: str = "") -> str:
    """Write the page of the documents.

    Parameters
    ----------
    report : SpeedReport
        Of a run on a processor.
    gpu : SpeedReport, optional
        Of a run on a GPU; without one, the page says that it was not measured.
    picture : str
        The plot, as the page's link to it.
    """
    lines = [
        "# Speed beside others",
        "",
        "Two times are felt: until the first mask, and from a click to its mask. `napari-sam benchmark speed` measures "
        "both on your machine, beside the code of others with the same weights; this page is one run of it, written by "
        "`scripts/speed_page.py`.",
        "",
        "```sh",
        "pip install 'napari-sam-live[benchmark]'",
        f"napari-sam benchmark speed --threads {report.machine.threads} -o report",
        "```",
        "",
        f"Measured on {report.date[:10]}, {report.rounds} rounds.",
        "",
    ]
    on_gpu = f"GPU: {gpu.machine.device}, {gpu.date[:10]}." if gpu else "GPU: not measured."
    return "\n".join([*lines, *_body(report, picture, gpu, on_gpu)])


def _body(report: SpeedReport, picture: str, gpu: SpeedReport | None = None, on_gpu: str = "") -> Sequence[str]:
    lines = [*(f"- {line}" for line in machine_lines(report.machine)), *([f"- {on_gpu}"] if on_gpu else []), ""]
    if picture:
        lines += [f"![Times of all packages]({picture})", ""]
    lines += [MEANING, ""]
    for table in speed_tables(report, gpu, with_gpu=bool(on_gpu)):
        lines += [f"## {table.title}", "", *markdown_table(table), ""]
    if report.notes:
        lines += ["## Notes", "", *(f"- {note}" for note in report.notes), ""]
    return lines
