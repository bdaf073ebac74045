"""What is in the journal, without reading the records themselves: sessions, targets, and the objects of an image."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sam.errors import InputError
from napari_sam.journal.database import SUFFIX
from napari_sam.journal.objects import entries
from napari_sam.journal.reading import (
    OF_SESSION,
    JournalRecords,
    journal_files,
    read_lines,
    read_records,
    reading_database,
)

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari_sam.journal.objects import JournalEntry

# Of each object on each plane, only the last that was done to it counts: it may have been taken off again.
_OBJECTS_OF_SESSIONS = """
WITH newest AS (
    SELECT session, target, label, plane, kind, MAX(number) FROM records WHERE undone = 0 AND label IS NOT NULL
    GROUP BY session, target, label, plane)
SELECT session, COUNT(DISTINCT target || '/' || label) FROM newest WHERE kind <> 'erased' GROUP BY session
"""
_IMAGES_OF_SESSIONS = """
SELECT DISTINCT records.session, targets.image FROM records JOIN targets ON targets.id = records.target
WHERE undone = 0
"""
_TARGETS_OF_IMAGE = """
SELECT targets.layer_id, targets.layer, MAX(records.id) AS newest
FROM targets JOIN records ON records.target = targets.id
WHERE targets.shape = :shape AND (
    (targets.pixels = :pixels AND :pixels <> '')
    OR (targets.source = :source AND :source <> '' AND (targets.pixels = '' OR :pixels = '')))
GROUP BY targets.layer_id ORDER BY newest DESC
"""
_OF_LAYER = "records.target IN (SELECT id FROM targets WHERE layer_id = ?)"


@dataclass(frozen=True, slots=True)
class JournalSummary:
    """One session in the journal, or one file of before.

    Attributes
    ----------
    name : str
        What the person names it by.
    path : Path
        The file.
    session : str or None
        The session in a database; None for a file of before.
    time : str
        When it began, ISO 8601; "" where that is not known.
    objects : int or None
        Objects that were accepted and not undone; None where it cannot be read.
    images : tuple of str
        Names of the images.
    damaged : int
        Records that could not be read, where all were read.
    problem : str
        Why it cannot be read; "" when it can.
    """

    name: str
    path: Path
    session: str | None = None
    time: str = ""
    objects: int | None = None
    images: tuple[str, ...] = ()
    damaged: int = 0
    problem: str = ""


def list_journals(folder: str | os.PathLike[str] | None = None) -> list[JournalSummary]:
    """List all sessions in the journal, by default the user's, and the files of releases before it; oldest first."""
    found: list[JournalSummary] = []
    for path in journal_files(folder):
        try:
            found += _list_sessions(path) if path.suffix == SUFFIX else [_describe_file(path)]
        except InputError as error:
            found.append(JournalSummary(path.stem, path, problem=str(error)))
    # Their names begin with the time, in UTC; those of one second are in order already.
    return sorted(found, key=lambda summary: summary.name[:15])


def _list_sessions(path: Path) -> list[JournalSummary]:
    with reading_database(path) as connection:
        objects = dict(connection.execute(_OBJECTS_OF_SESSIONS).fetchall())
        images: dict[int, list[str]] = {}
        for session, image in connection.execute(_IMAGES_OF_SESSIONS):
            images.setdefault(session, []).append(image)
        rows = connection.execute("SELECT id, name, started FROM sessions ORDER BY id").fetchall()
    return [
        JournalSummary(name, path, name, started, objects.get(number, 0), tuple(images.get(number, ())))
        for number, name, started in rows
    ]


def _describe_file(path: Path) -> JournalSummary:
    reading = read_lines(path)
    found, strange = entries(reading.records)
    objects = len({(entry.target, entry.label) for entry in found if not entry.erased})
    images = tuple(dict.fromkeys(entry.target.image for entry in found))
    return JournalSummary(
        path.stem,
        path,
        time=found[0].time if found else "",
        objects=objects,
        images=images,
        damaged=reading.damaged + strange,
    )


def read_entries(path: Path, session: str | None = None) -> tuple[list[JournalEntry], int]:
    """Read the objects of a session, or of a file of before, and count what could not be read.

    Raises
    ------
    InputError
        As `napari_sam.journal.read_lines`.
    """
    if path.suffix != SUFFIX:
        reading = read_lines(path)
    else:
        with reading_database(path) as connection:
            condition, values = (OF_SESSION, (session,)) if session is not None else ("1 ORDER BY records.id", ())
            reading = _expanded(connection, read_records(connection, condition, values))
    found, strange = entries(reading.records)
    return found, reading.damaged + strange


def read_layer(path: Path, layer_id: str, session: str | None = None) -> tuple[list[JournalEntry], int]:
    """Read all that was written into one labels layer, by whichever session, and count what could not be read.

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
        reading = layer_records(connection, layer_id, session)
    found, strange = entries(reading.records)
    return [entry for entry in found if entry.id >= 0], reading.damaged + strange


def layer_records(connection: sqlite3.Connection, layer_id: str, session: str | None = None) -> JournalRecords:
    """Read the records of a labels layer, with those that it went on from; see `read_layer`."""
    last = "" if session is None else " AND records.session <= (SELECT id FROM sessions WHERE name = ?)"
    condition = (
        f"({_OF_LAYER} OR (records.kind IN ('withdrawn', 'restored') AND records.session IN"
        f" (SELECT session FROM records WHERE {_OF_LAYER}))){last} ORDER BY records.id"
    )
    values = (layer_id, layer_id) if session is None else (layer_id, layer_id, session)
    return _expanded(connection, read_records(connection, condition, values))


def _expanded(connection: sqlite3.Connection, reading: JournalRecords) -> JournalRecords:
    """Give the records that say "continued" those that they go on from."""
    records, damaged = [], reading.damaged
    for record in reading.records:
        if record["kind"] == "continued":
            carried: list[dict[str, Any]] = []
            for first, last in record.get("records", ()):
                part = read_records(connection, "records.id BETWEEN ? AND ? ORDER BY records.id", (first, last))
                damaged += part.damaged
                carried += part.records
            wanted = {key: record[key] for key in ("image", "target", "identity", "shape") if key in record}
            records.append({**record, "entries": [{**one, **wanted} for one in carried]})
        else:
            records.append(record)
    return JournalRecords(tuple(records), damaged)


def id_ranges(ids: Iterable[int]) -> list[list[int]]:
    """Write ids of records, in ascending order, as ranges from a first to a last."""
    ranges: list[list[int]] = []
    for number in ids:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges


@dataclass(frozen=True, slots=True)
class KnownTarget:
    """A labels layer of an image that the journal knows.

    Attributes
    ----------
    path : Path
        The database.
    layer_id, layer : str
        Id and name of the layer.
    time : str
        When the last was written into it, ISO 8601, UTC.
    session : str
        Name of the session that did.
    process : int or None
        The process of that session, while it is not closed.
    """

    path: Path
    layer_id: str
    layer: str
    time: str
    session: str
    process: int | None


def find_targets(path: Path, pixels: str, source: str, shape: Sequence[int]) -> list[KnownTarget]:
    """Find the labels layers of an image, that with the newest entry first.

    Parameters
    ----------
    path : Path
        The database.
    pixels : str
        Digest of the image's pixels; "" where it is not known.
    source : str
        Its file; "" where it has none. It counts only where the pixels of one of the two are not known.
    shape : sequence of int
        Its shape.

    Raises
    ------
    InputError
        As `napari_sam.journal.read_lines`.
    """
    with reading_database(path) as connection:
        rows = connection.execute(
            _TARGETS_OF_IMAGE, {"shape": json.dumps(list(shape)), "pixels": pixels, "source": source}
        ).fetchall()
        found = []
        for layer_id, layer, newest in rows:
            time, session, process, closed = connection.execute(
                "SELECT records.time, sessions.name, sessions.process, sessions.closed FROM records"
                " JOIN sessions ON sessions.id = records.session WHERE records.id = ?",
                (newest,),
            ).fetchone()
            found.append(KnownTarget(path, layer_id, layer, time, session, None if closed else process))
    return found


@dataclass(frozen=True, slots=True)
class LayerContents:
    """What a labels layer held in the end, without its masks.

    Attributes
    ----------
    objects : int
        How many objects.
    ids : tuple of int
        The records that made it what it was, oldest first, by their ids in the database.
    newest : tuple of JournalEntry
        Some of the objects, those that were written last.
    """

    objects: int
    ids: tuple[int, ...]
    newest: tuple[JournalEntry, ...]


def summarize_layer(path: Path, layer_id: str, newest: int = 32) -> LayerContents:
    """Count the objects of a labels layer, and read those that were written last.

    Parameters
    ----------
    path : Path
        The database.
    layer_id : str
        Id of the layer.
    newest : int
        How many to read.

    Raises
    ------
    InputError
        As `napari_sam.journal.read_lines`.
    """
    with reading_database(path) as connection:
        rows = _live_rows(connection, layer_id)
        # Of each object on each plane, only the last that was done to it counts.
        last = {(label, plane): (number, kind) for number, kind, label, plane in rows}
        there = {label: number for (label, _plane), (number, kind) in last.items() if kind != "erased"}
        wanted = sorted(there.values())[-newest:]
        marks = ",".join("?" * len(wanted))
        reading = read_records(connection, f"records.id IN ({marks}) ORDER BY records.id", wanted)
    return LayerContents(len(there), tuple(row[0] for row in rows), tuple(entries(reading.records)[0]))


def _live_rows(connection: sqlite3.Connection, layer_id: str) -> list[tuple[int, str, int, str]]:
    """Read id, kind, label and plane of the records that count for a layer, and of those that it went on from."""
    columns = "SELECT id, kind, label, plane FROM records"
    found: list[tuple[int, str, int, str]] = []
    for number, kind, label, plane, body in connection.execute(
        f"SELECT id, kind, label, plane, CASE kind WHEN 'continued' THEN body END FROM records"
        f" WHERE undone = 0 AND {_OF_LAYER} ORDER BY id",
        (layer_id,),
    ):
        if kind != "continued":
            found.append((number, kind, label, plane))
            continue
        for first, last in json.loads(body).get("records", ()):
            carried = connection.execute(f"{columns} WHERE id BETWEEN ? AND ? ORDER BY id", (first, last))
            found += [(row[0], row[1], row[2], row[3]) for row in carried]
    return [row for row in found if row[2] is not None]


def find_prompts(path: Path, layer_id: str, label: int, plane: Sequence[int | None]) -> JournalEntry | None:
    """Find the last entry of an object on a plane; None where the journal knows none.

    Parameters
    ----------
    path : Path
        The database.
    layer_id : str
        Id of the labels layer.
    label : int
        Id of the object in it.
    plane : sequence of (int or None)
        For each axis the index of the plane; None for the two of the plane.

    Raises
    ------
    InputError
        As `napari_sam.journal.read_lines`.
    """
    index = json.dumps(list(plane))
    with reading_database(path) as connection:
        here = connection.execute(
            f"SELECT id FROM records WHERE undone = 0 AND label = ? AND plane = ? AND {_OF_LAYER} ORDER BY id DESC"
            " LIMIT 1",
            (label, index, layer_id),
        ).fetchone()
        number = here[0] if here is not None else None
        if (
            number is None
            and connection.execute(
                f"SELECT 1 FROM records WHERE undone = 0 AND kind = 'continued' AND {_OF_LAYER} LIMIT 1", (layer_id,)
            ).fetchone()
        ):
            carried = [row[0] for row in _live_rows(connection, layer_id) if row[2:] == (label, index)]
            number = carried[-1] if carried else None
        if number is None:
            return None
        found, _strange = entries(read_records(connection, "records.id = ?", (number,)).records)
    return found[0] if found and not found[0].erased else None
