"""``napari-sam benchmark accuracy``: how good models are after clicks, with a box, and on their own."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from napari_sam.commands.common import getting, reported, table_console, work_bar
from napari_sam.commands.options.shared import Debug, Device
from napari_sam.errors import Cancelled, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam.evaluation.accuracy import AccuracyReport, ModelAccuracy
    from napari_sam.evaluation.dataset import LabelledImage
    from napari_sam.evaluation.report.tables import Table as Numbers

_ROOMY = 100  # letters across a terminal


def accuracy(
    data: Annotated[Path, typer.Argument(help="A folder or a zip archive with images/ and labels/.")],
    models: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME", help="A model or a checkpoint. Repeatable: compares them."),
    ] = None,
    device: Device = "auto",
    images: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only N images, evenly over their types; always the same.")
    ] = None,
    objects: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Click on N objects of each image at most. Default: on all.")
    ] = None,
    clicks: Annotated[int, typer.Option(min=1, max=50, help="Clicks on each object.")] = 5,
    validation_split: Annotated[
        bool,
        typer.Option("--validation-split", help="Only the tenth of BBBC038 that the bundled model was not trained on."),
    ] = False,
    automatic: Annotated[
        bool, typer.Option("--automatic/--no-automatic", help="Segment each image without prompts, too.")
    ] = True,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder for tables, plots, JSON and a row for each object.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of tables.")] = False,
    debug: Debug = False,
) -> None:
    """Click on known objects of your images, draw boxes around them, and compare the masks with the truth."""
    from napari_sam.evaluation.accuracy import AccuracyReport
    from napari_sam.evaluation.clicks import LEAST_AREA
    from napari_sam.evaluation.report.files import prepare_folder, write_report

    with reported(debug):
        # Each once, in the order given.
        names = list(dict.fromkeys(models or ["bundled"]))
        _require_models(names)
        # Before hours of work.
        if output is not None:
            prepare_folder(output)
        with _all_or_nothing():
            chosen, notes = _choose(data, images, validation_split=validation_split)
            for note in notes:
                typer.echo(f"Note: {note}", err=True)
            typer.echo(f"Images to measure: {len(chosen)}.", err=True)
            measured = [
                _measure(name, label, device, chosen, clicks, objects, automatic=automatic)
                for name, label in zip(names, _labels(names), strict=True)
            ]
        if not any(model.objects or model.automatic for model in measured):
            raise InputError(f"{data} has no object of {LEAST_AREA} pixels or more. Look whether the labels are right.")
        settings = {"images": images, "objects of each image": objects, "validation split": validation_split}
        report = AccuracyReport(str(data), tuple(measured), clicks, settings, notes)
        written = [] if output is None else write_report(report, output)
        if as_json:
            typer.echo(json.dumps(report.to_json(), indent=2))
        else:
            _print(report)
        if output is not None:
            # With --json, standard output holds JSON and nothing else.
            typer.echo(f"{output}: {', '.join(path.name for path in written)}", err=as_json)


@contextmanager
def _all_or_nothing() -> Iterator[None]:
    """Say of Ctrl-C what became of the work."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Cancelled("Cancelled. Nothing was written.") from error


def _require_models(names: list[str]) -> None:
    """Check names at once: a mistyped second one must not cost the work on the first."""
    from napari_sam.checkpoints import weights
    from napari_sam.checkpoints.registry import CHECKPOINT_SUFFIXES

    for name in names:
        path = Path(name).expanduser()
        # A name has neither folders nor the ending of a checkpoint.
        if path.suffix not in CHECKPOINT_SUFFIXES and len(path.parts) == 1:
            weights.lookup(name)
        elif not path.is_file():
            raise InputError(f"There is no file {path}. Give a checkpoint, or a name of `napari-sam models list`.")


def _labels(names: list[str]) -> list[str]:
    """Call checkpoints by their file names, unless two are alike: tables have little room."""
    short = [Path(name).name for name in names]
    return short if len(set(short)) == len(short) else names


def _choose(
    data: Path, count: int | None, *, validation_split: bool
) -> "tuple[Sequence[LabelledImage], tuple[str, ...]]":
    """Look through the set, and choose the images to measure; also return what is to be said about the set."""
    from napari_sam.evaluation.dataset import read_dataset, spread

    with work_bar("Looking through the images") as progress:
        if not validation_split:
            found = read_dataset(data, progress)
            return (found if count is None else found.sample(count)), found.notes
        from napari_sam.training.data.bbbc038 import read_archive, split

        # The second part is the one that was kept out of training.
        kept = split(read_archive(data, progress))[1]
    if not kept:
        raise InputError(f"{data} is too small to be split. Leave out --validation-split.")
    return (kept if count is None else spread(kept, count)), ()


def _measure(
    name: str,
    label: str,
    device: str,
    images: "Sequence[LabelledImage]",
    clicks: int,
    objects: int | None,
    *,
    automatic: bool,
) -> "ModelAccuracy":
    """Load a model and measure it; it is gone before the next one is loaded."""
    from napari_sam.evaluation.accuracy import measure_accuracy
    from napari_sam.predictor import load_predictor

    with getting(name) as progress:
        predictor = load_predictor(name, device, progress=progress)
    for note in predictor.notes:
        typer.echo(f"Note: {note}", err=True)
    with work_bar(f"Measuring {label}") as progress:
        return measure_accuracy(
            predictor,
            images,
            model=label,
            clicks=clicks,
            most_objects=objects,
            automatic=automatic,
            progress=progress,
        )


def _print(report: "AccuracyReport") -> None:
    """Write the tables, and what was not measured."""
    from napari_sam.evaluation.metrics import LEAST_IMAGES
    from napari_sam.evaluation.report.tables import tables

    console = table_console()
    for table in tables(report):
        console.print(_rich(table, 1 if console.width < _ROOMY else 2))
        console.print()
    intervals = any(summary.intervals for model in report.models for summary in model.summaries.values())
    words = [
        *(f"Note: {note}" for model in report.models for note in model.notes),
        "The second line of a table: 95 % interval of the mean above it."
        if intervals
        else f"Fewer than {LEAST_IMAGES} images: too few to say how far these numbers hold for others.",
        "What the numbers mean: docs/benchmark.md",
    ]
    for line in words:
        console.print(escape(line), highlight=False, soft_wrap=True)


def _rich(numbers: "Numbers", gap: int) -> Table:
    """Lay a table out; the interval of the sum stands below it, those of single types are in the written report.

    Names give way where a terminal is narrow, numbers never do.
    """
    from napari_sam.evaluation.report.tables import COUNTS

    several = "Model" in numbers.heads
    table = Table(title=numbers.title, title_justify="left", title_style="bold", box=None, padding=(0, gap, 0, 0))
    table.add_column(numbers.heads[0], overflow="fold")
    for title in (*(head for head in numbers.heads if head in COUNTS), *numbers.columns):
        # Of two lines, as the numbers below are narrower than the words.
        table.add_column("\n".join(title.rsplit(" ", 1)), justify="right", no_wrap=True, vertical="bottom")
    first, shown = numbers.rows[0].heads[0], ""
    for row in numbers.rows:
        kind, *counts = row.heads
        name = kind
        if several:
            name = f"  {counts.pop(0)}"
            if kind != shown:
                table.add_row(f"[bold]{escape(kind)}[/]")
        shown = kind
        table.add_row(escape(name), *counts, *row.values)
        if kind == first and any(row.intervals):
            table.add_row("", *[""] * len(counts), *(_narrow(interval) for interval in row.intervals), style="dim")
    return table


def _narrow(interval: str) -> str:
    """Write ``0.56-0.83`` as ``.56-.83``: of these there are as many as columns."""
    return re.sub(r"\b0\.", ".", interval)
