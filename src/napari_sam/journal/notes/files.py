"""Notes of objects in a file beside their labels."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from napari_sam.files import write_whole
from napari_sam.journal.notes.reading import COLUMNS

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam.journal.notes.reading import Notes


def notes_path(labels: Path) -> Path:
    """Return where the notes of the objects of a labels file are: "labels.csv" beside "labels.tif"."""
    name = labels.name.removesuffix(".gz")
    return labels.with_name(name.rpartition(".")[0] or name).with_suffix(".csv")


def write_notes(path: Path, notes: Notes) -> None:
    """Write notes as text with commas, a line for each object.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("id", *COLUMNS))
    writer.writerows([label, *(said.get(column, "") for column in COLUMNS)] for label, said in sorted(notes.items()))
    write_whole(path, file.getvalue())
