"""Which journal, and which of its labels layers, a command is about."""

from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from napari_sam.journal import JournalSummary
    from napari_sam.journal.objects import JournalEntry

Which = Annotated[
    str | None,
    typer.Argument(metavar="[JOURNAL]", help="A name of `napari-sam journal list`, or a file. Default: the newest."),
]
ImageName = Annotated[str | None, typer.Option("--image", help="Only objects of the image of this name.")]
TargetName = Annotated[
    str | None, typer.Option("--target", help="Only objects that were written into this labels layer.")
]


def find_journal(name: str | None) -> "JournalSummary":
    """Find a journal by its name or its file; the newest with objects where nothing is said."""
    from pathlib import Path

    from napari_sam.journal import JournalSummary, list_journals

    there = list_journals()
    if name is None:
        if not there:
            raise InputError("There are no journals yet. One begins with the first object accepted in the window.")
        # They come oldest first; one in which all was undone is not what anybody is after.
        return next((one for one in reversed(there) if one.objects), there[-1])
    if (
        named := next((one for one in there if name in (one.name, str(one.path)) or name == one.path.name), None)
    ) is None:
        return JournalSummary(Path(name).stem, Path(name))
    # The file of all sessions stands for all of them.
    return named if named.name == name or named.session is None else JournalSummary(named.path.stem, named.path)


def choose_target(journal: "JournalSummary", image: str | None, target: str | None) -> "tuple[list[JournalEntry], int]":
    """Read the objects of one labels layer, and count what could not be read; refuse to mix several layers.

    A layer that was worked on in several sessions is read as a whole, up to the session that is asked for.
    """
    from napari_sam.journal.catalog import read_entries, read_layer

    found, damaged = read_entries(journal.path, journal.session)
    chosen = [entry for entry in found if image in (None, entry.target.image) and target in (None, entry.target.layer)]
    if not chosen:
        raise InputError(
            f"{journal.name} holds no such object. `napari-sam journal show {journal.name}` lists those that it holds."
        )
    if len(targets := list(dict.fromkeys(entry.target for entry in chosen))) > 1:
        names = ", ".join(dict.fromkeys(one.words() for one in targets))
        if len({(one.image, one.layer, one.layer_id) for one in targets}) == 1:
            raise InputError(f"{targets[0].words()} changed its shape, so its labels cannot be made anew as one image.")
        if len({(one.image, one.layer) for one in targets}) > 1:
            raise InputError(
                f"{journal.name} holds objects of several labels layers: {names}. Choose by --image and --target."
            )
        # Layers of one name, one after the other: the newest is what the person saw last.
        chosen = [entry for entry in chosen if entry.target == targets[-1]]
    if layer_id := chosen[-1].target.layer_id:
        return read_layer(journal.path, layer_id, journal.session)
    return chosen, damaged


def count_objects(found: "list[JournalEntry]") -> str:
    """Count objects; one that was carried through a stack has an entry for each plane."""
    count = len({(entry.target, entry.label) for entry in found if not entry.erased})
    planes = "" if count == len(found) else f" in {len(found)} entries"
    return f"{count} object{'' if count == 1 else 's'}{planes}"


def tell_damage(damaged: int) -> None:
    """Say how many records were left out."""
    if damaged:
        typer.echo(f"{damaged_records(damaged)} {'was' if damaged == 1 else 'were'} left out.", err=True)


def damaged_records(count: int) -> str:
    """Count damaged records in words."""
    return "1 damaged record" if count == 1 else f"{count} damaged records"
