"""What can be read of a damaged database goes into the new one."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_sam.journal.reading import connected, decode_body
from napari_sam.journal.rows import RecordRow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_sam.journal.database import JournalDatabase


def salvage(damaged: Path, database: JournalDatabase) -> int:
    """Copy the records that can be read, with their numbers and ids.

    Parameters
    ----------
    damaged : Path
        The database that was set aside.
    database : JournalDatabase
        The new one, empty.

    Returns
    -------
    int
        How many were copied.
    """
    found: dict[int, tuple[int, dict[str, Any]]] = {}
    names: dict[int, str] = {}
    pixels: dict[str, str] = {}
    try:
        with connected(damaged) as connection:
            names = dict(_rows(connection, "SELECT id, name FROM sessions"))
            pixels = dict(_rows(connection, "SELECT image_layer, pixels FROM targets WHERE pixels <> ''"))
            # From both ends: a broken page hides what comes after it from who goes through them in order.
            for order in ("ASC", "DESC"):
                rows = _rows(connection, f"SELECT id, session, body, crc FROM records ORDER BY id {order}")
                for number, session, body, crc in rows:
                    if number in found:
                        break
                    if (record := decode_body(body, crc)) is not None:
                        found[number] = session, record
    except sqlite3.Error:
        pass  # then that was all
    by_session: dict[str, list[RecordRow]] = {}
    for number, (session, record) in sorted(found.items()):
        name = names.get(session, f"unknown-{session}")
        row = replace(RecordRow.of_record(record, name, pixels), id=number)
        by_session.setdefault(name, []).append(row)
    for name, copied in by_session.items():
        database.add(name, copied)
    return len(found)


def _rows(connection: sqlite3.Connection, query: str) -> Iterator[Any]:
    """Go through the rows of a query until it fails."""
    try:
        yield from connection.execute(query)
    except sqlite3.DatabaseError:
        return
