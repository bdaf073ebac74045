"""``napari-sam benchmark speed``: how long models take here, beside the code of others with the same weights."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from napari_sam.commands.common import reported, table_console, work_bar
from napari_sam.commands.options.shared import Debug, LocalDevice

if TYPE_CHECKING:
    from napari_sam.evaluation.report.tables import Table as Numbers
    from napari_sam.evaluation.speed.report import SpeedReport

_QUICK_ROUNDS = 2


def speed(
    models: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME", help="sam_vit_b, mobile_sam or bundled. Repeatable. Default: all."),
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, metavar="N", help="Rounds that count. Default: 5.")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Threads of each package. Default: their own choice.")
    ] = None,
    device: LocalDevice = "cpu",
    points: Annotated[
        int, typer.Option("--points-per-side", min=2, max=64, metavar="N", help="Grid of everything mode.")
    ] = 16,
    quick: Annotated[bool, typer.Option("--quick", help="2 rounds, and no everything mode.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A folder for tables, JSON and a plot.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of tables.")] = False,
    debug: Debug = False,
) -> None:
    """Time the first mask, clicks and everything mode of our models and of other packages, in turns."""
    from napari_sam.evaluation.report.files import prepare_folder
    from napari_sam.evaluation.report.speed_files import write_speed_report
    from napari_sam.evaluation.speed.contenders import choose_families
    from napari_sam.evaluation.speed.measuring import SpeedSettings, measure_speed

    with reported(debug):
        wanted = SpeedSettings(
            choose_families(models),
            rounds or (_QUICK_ROUNDS if quick else SpeedSettings().rounds),
            threads,
            device,
            quick,
            points,
        )
        # Before minutes of work.
        if output is not None:
            prepare_folder(output)
        with work_bar("Measuring") as progress:
            report = measure_speed(wanted, progress)
        written = [] if output is None else write_speed_report(report, output)
        if as_json:
            typer.echo(json.dumps(report.to_json(), indent=2))
        else:
            _print(report)
        if output is not None:
            # With --json, standard output holds JSON and nothing else.
            typer.echo(f"{output}: {', '.join(path.name for path in written)}", err=as_json)


def _print(report: "SpeedReport") -> None:
    from napari_sam.evaluation.report.speed_files import machine_lines
    from napari_sam.evaluation.report.speed_tables import speed_tables

    console = table_console()
    for line in machine_lines(report.machine):
        console.print(escape(line), highlight=False, soft_wrap=True)
    console.print()
    for table in speed_tables(report):
        console.print(_rich(table))
        console.print()
    for line in (*(f"Note: {note}" for note in report.notes), "What the numbers mean: docs/benchmark.md"):
        console.print(escape(line), highlight=False, soft_wrap=True)


def _rich(numbers: "Numbers") -> Table:
    """Lay a table out, with the smallest and the largest value below each."""
    table = Table(title=numbers.title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for title in numbers.heads:
        table.add_column(title, overflow="fold")
    for title in numbers.columns:
        table.add_column(title, justify="right", vertical="bottom")
    for row in numbers.rows:
        table.add_row(*map(escape, (*row.heads, *row.values)))
        if any(row.intervals):
            table.add_row(*[""] * len(row.heads), *row.intervals, style="dim")
    return table
