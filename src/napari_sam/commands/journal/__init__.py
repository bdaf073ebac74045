"""``napari-sam journal``: what was accepted, session by session, and labels made anew from it."""

import json
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from napari_sam.commands.common import reported, table_console
from napari_sam.commands.journal.choosing import (
    ImageName,
    TargetName,
    Which,
    choose_target,
    count_objects,
    damaged_records,
    find_journal,
    tell_damage,
)
from napari_sam.commands.journal.replay import make_backend, open_image, report_all, summarize, warn_of_differences
from napari_sam.commands.options.shared import Debug, Device, JsonTable, LabelsOutput
from napari_sam.errors import InputError

if TYPE_CHECKING:
    from napari_sam.journal import JournalSummary
    from napari_sam.journal.objects import JournalEntry

app = typer.Typer(
    no_args_is_help=True, help="List, show, restore and replay the objects that were accepted in the window."
)


@app.command("list")
def list_(as_json: JsonTable = False, debug: Debug = False) -> None:
    """Show all journals: their date, their images, and how many objects there are."""
    from napari_sam.journal import list_journals

    with reported(debug):
        rows = [_summary_row(summary) for summary in list_journals()]
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
    from napari_sam.journal.catalog import read_entries

    with reported(debug):
        chosen = find_journal(journal)
        path = chosen.path
        found, damaged = read_entries(path, chosen.session)
        if as_json:
            rows = [_row(entry) for entry in found]
            about = {"journal": str(path), "session": chosen.session, "damaged": damaged, "objects": rows}
            typer.echo(json.dumps(about, indent=2))
            return
        table = Table(box=None, padding=(0, 2, 0, 0))
        for title in ("No.", "Label", "Image", "Into", "Plane", "Score", "Prompts", "Box (top, left, bottom, right)"):
            table.add_column(title, justify="right" if title in ("No.", "Label", "Score") else "left")
        for entry in found:
            row = _row(entry)
            score = "" if entry.score is None else f"{entry.score:.2f}"
            # What has no prompts of its own was carried here from another plane.
            words = "taken off" if entry.erased else ", ".join(_counted(entry.prompts)) or "carried"
            words = "; ".join(filter(None, (words, _shaped(entry))))
            box = ", ".join(map(str, entry.box))
            names = [escape(row[key]) for key in ("image", "target", "plane")]
            table.add_row(str(entry.number), str(entry.label), *names, score, words, box)
        table_console().print(table)
        typer.echo(f"{chosen.name}, in {path}: {count_objects(found)}.")
        tell_damage(damaged)


@app.command()
def restore(
    output: LabelsOutput,
    journal: Which = None,
    image: ImageName = None,
    target: TargetName = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a labels file that is there.")] = False,
    debug: Debug = False,
) -> None:
    """Make the labels of an image anew from the recorded masks, in their order, less what was undone."""
    from napari_sam.io.outputs import require_output
    from napari_sam.io.stacks import check_output, write_stack_labels
    from napari_sam.journal.notes.files import notes_path, write_notes
    from napari_sam.journal.notes.reading import read_notes
    from napari_sam.journal.restoring import restore as restored

    with reported(debug):
        found = find_journal(journal)
        # Before any work: a slip in the name shows at once.
        require_output(output, [found.path], replace=force, folder=True)
        chosen, damaged = choose_target(found, image, target)
        layer_id, there = chosen[-1].target.layer_id, {entry.label for entry in chosen if not entry.erased}
        notes = read_notes(found.path, layer_id, found.session) if layer_id else {}
        notes, beside = {label: said for label, said in notes.items() if label in there}, notes_path(output)
        if notes:
            require_output(beside, [found.path], replace=force)
        made = restored(chosen, found.path)
        labels = made.labels
        check_output(output, labels)
        write_stack_labels(output, labels.data, labels)
        size = " x ".join(map(str, labels.shape))
        typer.echo(f"{output}: {count_objects(chosen)} of {chosen[0].target.words()}, {size} px, from {found.name}.")
        if notes:
            write_notes(beside, notes)
            typer.echo(f"{beside}: what was said of {len(notes)} of them: classes, checked, unsure.")
        if made.renumbered:
            typer.echo(f"{made.renumbered} objects have another number, because theirs was taken twice.", err=True)
        tell_damage(damaged + made.damaged)


@app.command()
def replay(
    image: Annotated[Path, typer.Argument(help="The image that the objects were accepted on.")],
    journal: Which = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the labels that come of it.")] = None,
    image_name: Annotated[str | None, typer.Option("--image", help="Only objects of the image of this name.")] = None,
    target: TargetName = None,
    model: Annotated[str | None, typer.Option(help="Ask this model. Default: the one that is recorded.")] = None,
    device: Device = "auto",
    allow_different: Annotated[
        bool, typer.Option("--allow-different", help="Succeed also where an answer is another than was recorded.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a labels file that is there.")] = False,
    debug: Debug = False,
) -> None:
    """Ask the model again by the recorded prompts, in their order, and compare with what was recorded.

    Exits with 1 where an answer differs.
    """
    from napari_sam.io.outputs import require_output
    from napari_sam.io.stacks import check_output, write_stack_labels
    from napari_sam.journal.replaying import Replay
    from napari_sam.journal.restoring import as_stack, empty_labels

    with reported(debug):
        found = find_journal(journal)
        if output is not None:
            require_output(output, [found.path, image], replace=force, folder=True)
        chosen, damaged = choose_target(found, image_name, target)
        labels = empty_labels(chosen, found.path)
        stack = as_stack(labels, found.path, chosen)
        if output is not None:
            check_output(output, stack)
        with open_image(image, chosen[-1].image_shape) as data:
            backend = make_backend(chosen, model, device)
            done = report_all(Replay(data, labels, backend, model=model, device=device), chosen)
        tell_damage(damaged)
        warn_of_differences(done)
        if output is not None:
            write_stack_labels(output, labels, stack)
        typer.echo(f"{output or image}: {count_objects(chosen)} from {found.name}, {summarize(done)}.")
        if not allow_different and not all(one.exact for one in done):
            raise typer.Exit(1)


def _summary_row(summary: "JournalSummary") -> dict[str, Any]:
    """Gather what the list says of one journal."""
    row = asdict(summary)
    return {
        "journal": summary.name,
        "file": str(summary.path),
        "time": summary.time or _written(summary),
        **{key: row[key] for key in ("objects", "images", "damaged")},
        "note": summary.problem or (damaged_records(summary.damaged) if summary.damaged else ""),
    }


def _written(summary: "JournalSummary") -> str:
    """Return when a file was written: without objects it has no time of its own, and that is the next best."""
    return datetime.fromtimestamp(summary.path.stat().st_mtime).astimezone().isoformat(timespec="milliseconds")


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
        "shaping": dict(entry.shaping),
        "box": list(entry.box),
        "erased": entry.erased,
    }


def _shaped(entry: "JournalEntry") -> str:
    """Say what became of the mask that the model gave; what cannot be read is left out."""
    from napari_sam.inference.shaping import MaskShaping

    with suppress(InputError):
        return MaskShaping.from_dict(entry.shaping).words()
    return ""


def _counted(prompts: tuple[str, ...]) -> list[str]:
    return [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in Counter(prompts).items()]
