"""``napari-sam dataset``: build, check and count images with masks."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from napari_sam.commands.common import reported, table_console, work_bar
from napari_sam.commands.options.shared import Debug, JsonSentence, JsonTable, MaskFormat
from napari_sam.errors import InputError

if TYPE_CHECKING:
    from napari_sam.datasets.surveys import CategoryCount, FileSurvey

app = typer.Typer(no_args_is_help=True, help="Build, check and count images with masks, in the formats of others.")

Place = Annotated[Path, typer.Argument(metavar="FOLDER", help="A dataset: a folder, or one file with masks.")]


@app.command()
def build(
    images: Annotated[Path, typer.Argument(help="A folder of images (TIFF, PNG, JPEG), or one image.")],
    labels: Annotated[
        Path, typer.Argument(help="A folder of labels (TIFF, PNG) called as the images, or one file of labels.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    kind: MaskFormat = "sa1b",
    category: Annotated[str | None, typer.Option(help="What the objects are, nucleus, say.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a folder that is there.")] = False,
    as_json: JsonSentence = False,
    debug: Debug = False,
) -> None:
    """Make a dataset of images and labels; the images are copied as they are."""
    with reported(debug):
        from napari_sam.datasets.building import build_dataset, pair_files
        from napari_sam.datasets.table import find_format
        from napari_sam.io.outputs import require_output

        wanted = find_format(kind)
        if category is not None and wanted.name == "labels":
            raise InputError("Labels hold no categories. Leave --category out, or choose another format.")
        _require_outside(output, [images, labels])
        require_output(output, [images, labels], replace=force, folder=True)
        pairs, notes = pair_files(images, labels)
        with work_bar("Building") as progress:
            count, objects = build_dataset(output, pairs, wanted, category=category, progress=progress)
        for note in notes:
            typer.echo(f"Note: {note}", err=True)
        if as_json:
            typer.echo(json.dumps({"folder": str(output), "format": kind, "images": count, "objects": objects}))
            return
        typer.echo(f"{output}: {_counted(count, 'image')} with {_counted(objects, 'object')} as {wanted.title}.")


def _require_outside(output: Path, inputs: list[Path]) -> None:
    """Refuse to replace a folder that the images or the labels are in."""
    for one in inputs:
        if output.resolve() in one.resolve().parents:
            raise InputError(f"{one} is in {output}, which would be replaced. Choose another output.")


@app.command()
def check(folder: Place, as_json: JsonTable = False, debug: Debug = False) -> None:
    """Read all of a dataset and list what is wrong with it; the exit code is 1 if anything is."""
    with reported(debug):
        from napari_sam.datasets.surveys import images_in

        files = _survey(folder)
        faults = [fault for one in files for fault in one.faults]
        without = sorted(images_in(folder) - {path for one in files for path in one.used})
        notes = [note for one in files for note in one.notes]
        if without:
            more = f", such as {without[0]}" if len(without) > 1 else f": {without[0]}"
            notes.append(f"{_counted(len(without), 'image')} without masks{more}.")
        if as_json:
            typer.echo(json.dumps(_check_record(folder, files, notes), indent=2))
        else:
            for line in (*faults, *(f"Note: {note}" for note in notes)):
                typer.echo(line)
            found = _counted(len(faults), "fault") if faults else "nothing is wrong"
            typer.echo(f"{folder}: {_totals(files)}, {found}.")
    if faults:
        raise typer.Exit(1)


@app.command()
def count(folder: Place, as_json: JsonTable = False, debug: Debug = False) -> None:
    """Count the images and objects of a dataset, by category and with their areas."""
    with reported(debug):
        from napari_sam.datasets.surveys import count_categories

        files = _survey(folder)
        counts = count_categories(files)
        faults = sum(len(one.faults) for one in files)
        if as_json:
            typer.echo(json.dumps(_count_record(folder, files, counts), indent=2))
        else:
            _show_counts(counts)
            typer.echo(f"{folder}: {_totals(files)}.")
        if faults:
            typer.echo(f"{_counted(faults, 'fault')}: `napari-sam dataset check {folder}` lists them.", err=True)


def _survey(folder: Path) -> "list[FileSurvey]":
    from napari_sam.datasets.surveys import survey

    with work_bar("Reading") as progress:
        return list(survey(folder, progress))


def _show_counts(counts: "list[CategoryCount]") -> None:
    if not counts:
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("Category")
    for title in ("Objects", "Smallest, px", "Median, px", "Largest, px"):
        table.add_column(title, justify="right")
    for one in counts:
        areas = (f"{area:,.0f}" for area in (one.smallest, one.median, one.largest))
        # Names of categories may have square brackets, which rich takes for styles.
        table.add_row(escape(one.category) or "(none)", f"{one.objects:,}", *areas)
    table_console().print(table)


def _totals(files: "list[FileSurvey]") -> str:
    """Say how much there is, and in which formats."""
    from napari_sam.datasets.table import find_format

    kinds = " and ".join(find_format(name).title for name in sorted({one.kind for one in files if one.kind}))
    objects, images = (sum(getattr(one, what) for one in files) for what in ("objects", "images"))
    where = f"{_counted(len(files), 'file')}{f' of {kinds}' if kinds else ''}"
    return f"{_counted(images, 'image')}, {_counted(objects, 'object')} in {where}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _check_record(folder: Path, files: "list[FileSurvey]", notes: list[str]) -> dict[str, Any]:
    rows = [
        {
            "file": str(one.path),
            "format": one.kind,
            "images": one.images,
            "objects": one.objects,
            "faults": list(one.faults),
        }
        for one in files
    ]
    return {"folder": str(folder), "files": rows, "notes": notes}


def _count_record(folder: Path, files: "list[FileSurvey]", counts: "list[CategoryCount]") -> dict[str, Any]:
    categories = [
        {
            "category": one.category or None,
            "objects": one.objects,
            "smallest": one.smallest,
            "median": one.median,
            "largest": one.largest,
        }
        for one in counts
    ]
    return {
        "folder": str(folder),
        "formats": sorted({one.kind for one in files if one.kind}),
        "files": len(files),
        "images": sum(one.images for one in files),
        "objects": sum(one.objects for one in files),
        "categories": categories,
        "faults": sum(len(one.faults) for one in files),
    }
