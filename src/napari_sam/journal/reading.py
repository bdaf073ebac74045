"""Reading journals, past what is damaged in them: the database of all sessions, and files of JSON lines of before."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam.errors import InputError
from napari_sam.files import home
from napari_sam.journal.database import SUFFIX, as_os_error, checksum, is_damage, version_problem
from napari_sam.journal.lines import FORMAT, VERSION, decode_line, is_checked

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

_log = logging.getLogger(__name__)

_BUSY_S = 5.0
_COLUMNS = "records.id, sessions.name, records.body, records.crc"
OF_SESSION = "records.session = (SELECT id FROM sessions WHERE name = ?) ORDER BY records.number"
"""Condition for the records of a session, by its name."""
_FROM = "records JOIN sessions ON sessions.id = records.session"


@dataclass(frozen=True, slots=True)
class JournalRecords:
    """What a journal holds.

    Attributes
    ----------
    records : tuple of dict
        Oldest first. Those of a database say under "id" which they are of all, and under "session" whose.
    damaged : int
        Records that could not be read.
    """

    records: tuple[dict[str, Any], ...]
    damaged: int


def journal_files(folder: str | os.PathLike[str] | None = None) -> list[Path]:
    """List the journals of a folder, by default the user's: files of before the database, oldest first, and that.

    What was set aside as damaged is not among them: what could be read of it is in the database.
    """
    place = Path(folder) if folder is not None else home() / "journal"
    # Names begin with the time, in UTC.
    old = sorted(path for path in place.glob("*.jsonl") if path.is_file())
    database = place / f"journal{SUFFIX}"
    return [*old, database] if database.is_file() else old


def read_journal(path: str | os.PathLike[str], session: str | None = None) -> list[dict[str, Any]]:
    """Read the records of a journal, oldest first; damaged ones are left out, with a warning in the log.

    The arguments and errors are those of `read_lines`.
    """
    found = read_lines(path, session)
    if found.damaged:
        _log.warning("%s: %d damaged records were left out", path, found.damaged)
    return list(found.records)


def read_lines(path: str | os.PathLike[str], session: str | None = None) -> JournalRecords:
    """Read a journal past damaged records, and count them.

    Parameters
    ----------
    path : path-like
        The database, or a file of JSON lines of a release before it.
    session : str, optional
        Only the records of this session; by default all.

    Raises
    ------
    InputError
        If the file cannot be read, is not a journal, or is of a newer version.
    """
    where = Path(path)
    if where.suffix != SUFFIX:
        return _read_file(where)
    with reading_database(where) as connection:
        if session is None:
            return read_records(connection, "1 ORDER BY records.id", ())
        return read_records(connection, OF_SESSION, (session,))


@contextmanager
def reading_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading; nothing in it, and nobody who writes to it, is disturbed.

    Raises
    ------
    InputError
        If it cannot be read, is not a journal, or is of a newer version.
    """
    if not path.is_file():
        raise InputError(f"There is no journal {path}. `napari-sam journal list` shows those that there are.")
    try:
        with connected(path) as connection:
            if problem := version_problem(connection):
                raise InputError(f"{path}: {problem}.")
            yield connection
    except sqlite3.Error as error:
        if is_damage(error):
            raise InputError(f"{path} is damaged, and nothing in it can be read.") from error
        raise InputError(f"{path} cannot be read: {as_os_error(error, path).strerror}.") from error


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading, whatever is in it."""
    try:
        connection = _open(path)
    except sqlite3.OperationalError:
        # On a disk that is read-only, SQLite cannot join in the log of another process. A copy has one of its own.
        with tempfile.TemporaryDirectory(prefix="napari-sam-journal-") as folder:
            for suffix in ("", "-wal"):
                if (part := path.with_name(path.name + suffix)).is_file():
                    shutil.copyfile(part, Path(folder) / part.name)
            with closing(_open(Path(folder) / path.name)) as copied:
                yield copied
        return
    with closing(connection):
        yield connection


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA user_version").fetchone()
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def read_records(connection: sqlite3.Connection, condition: str, values: Sequence[Any]) -> JournalRecords:
    """Read records that a condition of SQL, with its order, chooses; past what is damaged.

    Raises
    ------
    sqlite3.Error
        If nothing at all can be read.
    """
    records: list[dict[str, Any]] = []
    damaged = 0
    rows = connection.execute(f"SELECT {_COLUMNS} FROM {_FROM} WHERE {condition}", values)
    while True:
        try:
            row = rows.fetchone()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            # Where a page of the file is broken, what comes after it cannot be told from it.
            damaged += 1
            break
        if row is None:
            break
        number, session, body, crc = row
        record = decode_body(body, crc)
        if record is None or not isinstance(session, str):
            damaged += 1
        else:
            records.append({**record, "id": number, "session": session})
    return JournalRecords(tuple(records), damaged)


def decode_body(body: Any, crc: Any) -> dict[str, Any] | None:
    """Read the body of a record; None where it is not what was written."""
    if not isinstance(body, str) or checksum(body) != crc:
        return None
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and _is_record(record) else None


def _read_file(path: Path) -> JournalRecords:
    """Read a file of JSON lines."""
    try:
        if not path.is_file():
            raise InputError(f"There is no journal {path}. `napari-sam journal list` shows those that there are.")
        # Bytes, not text: a damaged letter must cost its line, and not the file.
        lines = [line for line in path.read_bytes().split(b"\n") if line]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    sound = [is_checked(line) for line in lines]
    # Journals of the first releases have no checksums; JSON alone tells there.
    read = [decode_line(line) if good or not any(sound) else None for line, good in zip(lines, sound, strict=True)]
    headers = [line for line in read if line is not None and "format" in line]
    records = tuple(line for line in read if line is not None and _is_record(line))
    if any(header["format"] != FORMAT for header in headers) or not (headers or records):
        raise InputError(f"{path} is not a journal of accepted objects.")
    if newer := [header.get("version") for header in headers if header.get("version") != VERSION]:
        raise InputError(f"{path} is of version {str(newer[0])[:20]}; update napari-sam-live to read it.")
    return JournalRecords(records, len(lines) - len(records) - len(headers))


def _is_record(line: dict[str, Any]) -> bool:
    return isinstance(line.get("number"), int) and isinstance(line.get("kind"), str) and "format" not in line
