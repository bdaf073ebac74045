"""``napari-sam journal``: what was accepted, session by session, and labels made anew from it."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from napari_sam.commands.common import reported, table_console
from napari_sam.commands.options.shared import Debug, JsonTable, LabelsOutput
from napari_sam.errors import InputError

if TYPE_CHECKING:
    from napari_sam.journal.objects import JournalEntry

app = typer.Typer(no_args_is_help=True, help="List, show and restore the objects that were accepted in the window.")

Which = Annotated[
    str | None,
    typer.Argument(metavar="[JOURNAL]", help="A name of `napari-sam journal list`, or a file. Default: the newest."),
]


@app.command("list")
def list_(as_json: JsonTable = False, debug: Debug = False) -> None:
    """Show all journals: their date, their images, and how many objects there are."""
    from napari_sam.journal import journal_files

    with reported(debug):
        rows = [_summary(path) for path in journal_files()]
        if as_json:
            typer.echo(json.dumps(rows, indent=2))
            return
        if not rows:
            typer.echo("There are no journals yet. One begins with the first object that is accepted in the window.")
            return
        # Whoever asks for a journal gives its name: where there is little room, the rest is broken into lines.
        name = Column("Journal", no_wrap=True)
        table = Table(name, "Date", "Objects", "Images", "", box=None, padding=(0, 2, 0, 0))
        for row in rows:
            objects = "" if row["objects"] is None else str(row["objects"])
            # Names of images may have square brackets, which rich takes for styles.
            table.add_row(row["journal"], _date(row["time"]), objects, escape(", ".join(row["images"])), row["note"])
        table_console().print(table)


@app.command()
def show(journal: Which = None, as_json: JsonTable = False, debug: Debug = False) -> None:
    """Show the objects of a journal, less those that were undone."""
    with reported(debug):
        path = _find(journal)
        found, damaged = _read(path)
        if as_json:
            rows = [_row(entry) for entry in found]
            typer.echo(json.dumps({"journal": str(path), "damaged": damaged, "objects": rows}, indent=2))
            return
        table = Table(box=None, padding=(0, 2, 0, 0))
        for title in ("No.", "Label", "Image", "Into", "Plane", "Score", "Prompts", "Box (top, left, bottom, right)"):
            table.add_column(title, justify="right" if title in ("No.", "Label", "Score") else "left")
        for entry in found:
            row = _row(entry)
            score = "" if entry.score is None else f"{entry.score:.2f}"
            # What has no prompts of its own was carried here from another plane.
            words = "taken off" if entry.erased else ", ".join(_counted(entry.prompts)) or "carried"
            box = ", ".join(map(str, entry.box))
            names = [escape(row[key]) for key in ("image", "target", "plane")]
            table.add_row(str(entry.number), str(entry.label), *names, score, words, box)
        table_console().print(table)
        typer.echo(f"{path}: {_objects(found)}.")
        _tell_damage(damaged)


@app.command()
def restore(
    output: LabelsOutput,
    journal: Which = None,
    image: Annotated[str | None, typer.Option(help="Only objects of this image.")] = None,
    target: Annotated[str | None, typer.Option(help="Only objects that were written into this labels layer.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a labels file that is there.")] = False,
    debug: Debug = False,
) -> None:
    """Make the labels of an image anew from a journal, less what was undone."""
    from napari_sam.io.outputs import require_output
    from napari_sam.io.stacks import check_output, write_stack_labels
    from napari_sam.journal.restoring import restore as restored

    with reported(debug):
        path = _find(journal)
        # Before any work: a slip in the name shows at once.
        require_output(output, [path], replace=force, folder=True)
        found, damaged = _read(path)
        chosen = _of_one_target(path, found, image, target)
        made = restored(chosen, path)
        labels = made.labels
        check_output(output, labels)
        write_stack_labels(output, labels.data, labels)
        size = " x ".join(map(str, labels.shape))
        typer.echo(f"{output}: {_objects(chosen)} of {chosen[0].target.words()}, {size} px, from {path.name}.")
        if made.renumbered:
            typer.echo(f"{made.renumbered} objects have another number, because theirs was taken twice.", err=True)
        _tell_damage(damaged + made.damaged)


def _find(name: str | None) -> Path:
    """Find a journal by its name or its file; the newest where nothing is said."""
    from napari_sam.journal import journal_files

    there = journal_files()
    if name is None:
        if not there:
            raise InputError("There are no journals yet. One begins with the first object accepted in the window.")
        # They come oldest first.
        return there[-1]
    named = [path for path in there if name in (path.name, path.stem)]
    return named[0] if named else Path(name)


def _read(path: Path) -> "tuple[list[JournalEntry], int]":
    """Read the objects of a journal, and count what could not be read."""
    from napari_sam.journal import read_lines
    from napari_sam.journal.objects import entries

    reading = read_lines(path)
    found, strange = entries(reading.records)
    return found, reading.damaged + strange


def _of_one_target(
    path: Path, found: "list[JournalEntry]", image: str | None, target: str | None
) -> "list[JournalEntry]":
    """Choose the objects of one labels layer; refuse to mix several."""
    chosen = [entry for entry in found if image in (None, entry.target.image) and target in (None, entry.target.layer)]
    if not chosen:
        raise InputError(
            f"{path.name} holds no such object. `napari-sam journal show {path.stem}` lists those that it holds."
        )
    if len(targets := list(dict.fromkeys(entry.target for entry in chosen))) > 1:
        if len({(one.image, one.layer) for one in targets}) == 1:
            raise InputError(f"{targets[0].words()} changed its shape, so its labels cannot be made anew as one image.")
        names = ", ".join(dict.fromkeys(one.words() for one in targets))
        raise InputError(
            f"{path.name} holds objects of several labels layers: {names}. Choose by --image and --target."
        )
    return chosen


def _summary(path: Path) -> dict[str, Any]:
    """Gather what the list says of one journal."""
    about: dict[str, Any] = {"journal": path.stem, "time": "", "objects": None, "images": [], "damaged": 0, "note": ""}
    try:
        found, damaged = _read(path)
    except InputError as error:
        return about | {"note": str(error)}
    return about | {
        # Without objects it has no time of its own, and that of the file is the next best.
        "time": found[0].time if found else _written(path),
        "objects": len({(entry.target, entry.label) for entry in found if not entry.erased}),
        "images": list(dict.fromkeys(entry.target.image for entry in found)),
        "damaged": damaged,
        "note": _damaged_lines(damaged) if damaged else "",
    }


def _written(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime).astimezone().isoformat(timespec="milliseconds")


def _date(text: str) -> str:
    """Write a time as the person's clock shows it."""
    try:
        return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return ""


def _row(entry: "JournalEntry") -> dict[str, Any]:
    """Gather what is shown of one object."""
    return {
        "number": entry.number,
        "time": entry.time,
        "image": entry.target.image,
        "target": entry.target.layer,
        "label": entry.label,
        "plane": entry.plane,
        "score": entry.score,
        "prompts": list(entry.prompts),
        "box": list(entry.box),
        "erased": entry.erased,
    }


def _counted(prompts: tuple[str, ...]) -> list[str]:
    return [f"{count} {kind}{'s' if count > 1 and kind == 'point' else ''}" for kind, count in Counter(prompts).items()]


def _objects(found: "list[JournalEntry]") -> str:
    """Count objects; one that was carried through a stack has an entry for each plane."""
    count = len({(entry.target, entry.label) for entry in found if not entry.erased})
    planes = "" if count == len(found) else f" in {len(found)} entries"
    return f"{count} object{'' if count == 1 else 's'}{planes}"


def _tell_damage(damaged: int) -> None:
    if damaged:
        typer.echo(f"{_damaged_lines(damaged)} {'was' if damaged == 1 else 'were'} left out.", err=True)


def _damaged_lines(count: int) -> str:
    return "1 damaged line" if count == 1 else f"{count} damaged lines"
