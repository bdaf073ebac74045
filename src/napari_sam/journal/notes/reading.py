"""What the person said of objects, besides drawing them: their class, and whether they were checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sam.journal.catalog import layer_records
from napari_sam.journal.reading import reading_database

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Notes = dict[int, dict[str, str]]
"""Of each id what each of `COLUMNS` says of it, where it says anything."""

COLUMNS = ("class", "reviewed")
"""What is noted; named as the columns of the features of a labels layer."""


def read_notes(path: Path, layer_id: str, session: str | None = None) -> Notes:
    """Read what was noted of the objects of a labels layer, also of those that are gone.

    Parameters
    ----------
    path : Path
        The database.
    layer_id : str
        Id of the labels layer.
    session : str, optional
        The last session that counts; by default all do.

    Raises
    ------
    InputError
        As `napari_sam.journal.read_lines`.
    """
    with reading_database(path) as connection:
        return collect_notes(layer_records(connection, layer_id, session).records)


def collect_notes(records: Iterable[Mapping[str, Any]]) -> Notes:
    """Gather what records say of objects; the last word counts.

    Parameters
    ----------
    records : iterable of mapping
        Of one labels layer, oldest first. What was undone is in them once more, with what it was before.
    """
    notes: Notes = {}
    for record in records:
        if record["kind"] == "noted":
            column, values = str(record.get("column")), record.get("values")
            for label, value in values.items() if isinstance(values, dict) and column in COLUMNS else ():
                if label.isdecimal() and isinstance(value, str):
                    notes.setdefault(int(label), {})[column] = value
        elif record["kind"] == "accepted" and isinstance(label := record.get("label"), int):
            asked = record.get("asked")
            if isinstance(asked, dict) and not asked.get("replaces", True):
                # A new object: what was said of another one with this id was about that.
                notes.pop(label, None)
            if isinstance(kind := record.get("class"), str):
                notes.setdefault(label, {})["class"] = kind
    kept = {label: {column: value for column, value in said.items() if value} for label, said in notes.items()}
    return {label: said for label, said in kept.items() if said}
