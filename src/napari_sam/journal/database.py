"""The database of accepted objects: one SQLite file for all sessions of a person, in write-ahead-logging mode.

Several sessions and processes may write at once: SQLite lets one go after the other, and readers never wait. Each
record carries a checksum of its own, because SQLite has none for what is in the file.

Nothing here opens the file by other means than SQLite: closing such a file would let go of the locks that the
connections of this process hold on it (https://www.sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

import errno
import os
import sqlite3
import weakref
import zlib
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_sam.journal.rows import RecordRow

SUFFIX = ".sqlite"
VERSION = 2
"""Of the database; version 1 were files of JSON lines."""
_APPLICATION = 0x6E536A72
"""Says in the header of the file that this is a journal."""
_BUSY_S = 1.0
"""Seconds to wait while another program writes: longer, and the window would seem stuck."""
_LOG_BYTES = 2**23
"""Bytes of the write-ahead log from which on it is to go into the file, by `checkpoint`."""
_CHECKPOINT_PAGES = 16 * _LOG_BYTES // 4096
"""Pages of the log from which on a commit does that, where nobody called `checkpoint`: a pause of 0.1 s."""

_SCHEMA = """
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, started TEXT NOT NULL, process INTEGER NOT NULL, closed TEXT);
CREATE TABLE targets (
    id INTEGER PRIMARY KEY, image TEXT NOT NULL, source TEXT NOT NULL, pixels TEXT NOT NULL, image_layer TEXT NOT NULL,
    shape TEXT NOT NULL, layer TEXT NOT NULL, layer_id TEXT NOT NULL,
    UNIQUE (layer_id, layer, image_layer, image, shape, pixels));
CREATE INDEX targets_of_image ON targets (pixels, source);
CREATE TABLE records (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, time TEXT NOT NULL,
    target INTEGER, label INTEGER, plane TEXT, undone INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL,
    crc INTEGER NOT NULL);
CREATE INDEX records_of_target ON records (target, undone, label, plane, kind);
CREATE INDEX records_of_session ON records (session, number, target, undone, label, plane, kind, time);
"""


def checksum(body: str) -> int:
    """Return the checksum of the body of a record."""
    return zlib.crc32(body.encode())


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether an error says that the file is damaged, or no database at all."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def as_os_error(error: sqlite3.Error, path: Path) -> OSError:
    """Say what an error of SQLite comes to, as the operating system would."""
    known = {
        sqlite3.SQLITE_FULL: (errno.ENOSPC, "disk full"),
        sqlite3.SQLITE_READONLY: (errno.EROFS, "the journal is read-only"),
        sqlite3.SQLITE_BUSY: (errno.EBUSY, "another program is writing to the journal"),
        sqlite3.SQLITE_CANTOPEN: (errno.EACCES, "the journal cannot be opened"),
        sqlite3.SQLITE_PERM: (errno.EACCES, "the journal cannot be opened"),
        sqlite3.SQLITE_IOERR: (errno.EIO, "the disk failed"),
        sqlite3.SQLITE_CORRUPT: (errno.EIO, "the journal is damaged"),
        sqlite3.SQLITE_NOTADB: (errno.EIO, "the journal is damaged"),
    }
    number, words = known.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, (errno.EIO, str(error)))
    return OSError(number, words, str(path))


class JournalDatabase:
    """A connection that writes; any thread may use it, one at a time.

    Parameters
    ----------
    path : Path
        The file; made if it is not there. Its folder is.

    Raises
    ------
    sqlite3.Error
        If it cannot be opened or is damaged.
    OSError
        If it is of a newer version, or of another program.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        # Python warns of connections that nobody closed.
        self.close = weakref.finalize(self, self._connection.close)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise
        self._file = file_identity(path)
        self._sessions: dict[str, int] = {}
        self._targets: dict[tuple[str, ...], int] = {}

    @property
    def is_there(self) -> bool:
        """Whether the path still names the file that was opened: somebody may have deleted it."""
        return self._file is not None and file_identity(self.path) == self._file

    def add(self, session: str, rows: Sequence[RecordRow]) -> None:
        """Write records in one transaction; all of them, or none.

        They outlive the process from then on, and a power failure from the next `sync` on.

        Parameters
        ----------
        session : str
            Name of the session.
        rows : sequence of RecordRow
            The records.
        """
        try:
            with self._transaction() as execute:
                number = self._session(execute, session)
                for row in rows:
                    self._add(execute, session, number, row)
        except BaseException:
            # What was learned of rows that are not there any more.
            self._sessions.clear()
            self._targets.clear()
            raise

    def note_pixels(self, image_layer: str, pixels: str) -> None:
        """Say what the pixels of an image are, in the targets that were noted before it was known."""
        with self._transaction() as execute:
            execute(
                "UPDATE OR IGNORE targets SET pixels = ? WHERE image_layer = ? AND pixels = ''", (pixels, image_layer)
            )
        self._targets.clear()

    def end_session(self, session: str) -> None:
        """Note that a session came to its end."""
        with self._transaction() as execute:
            execute("UPDATE sessions SET closed = ? WHERE name = ?", (datetime.now(UTC).isoformat(), session))

    def sync(self) -> None:
        """Wait until all that was written is on the disk; safe on any thread.

        Raises
        ------
        OSError
            If it cannot be brought there.
        """
        # The log alone: what is in the database already was brought there before it was taken out of the log. Locks of
        # SQLite are on the other files, so that opening this one is safe.
        with suppress(FileNotFoundError), self._log.open("r+b") as stream:
            os.fsync(stream.fileno())

    @property
    def _log(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    @property
    def is_log_long(self) -> bool:
        """Whether `checkpoint` should be called soon."""
        try:
            return self._log.stat().st_size > _LOG_BYTES
        except OSError:
            return False

    def checkpoint(self) -> None:
        """Bring the log into the file, which takes some ten milliseconds; on any thread, beside one that writes.

        Raises
        ------
        sqlite3.Error
            If that fails; the log stays.
        """
        # A connection of its own, so that the one that writes need not wait.
        with closing(sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    # -- within a transaction ---------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            yield execute
            execute("COMMIT")
        except BaseException:
            # After some errors SQLite has rolled back by itself.
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise

    def _prepare(self) -> None:
        """Make the tables, in a new file, and set how it is written."""
        execute = self._connection.execute
        # Where a disk offers no shared memory, such as some network drives, SQLite keeps to its older way.
        [(mode,)] = execute("PRAGMA journal_mode = WAL").fetchall()
        # In WAL mode, NORMAL writes to the log and waits for nothing, and `sync` does what FULL does at every commit.
        execute(f"PRAGMA synchronous = {'NORMAL' if mode == 'wal' else 'FULL'}")
        execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        if execute("PRAGMA user_version").fetchone()[0] == 0:
            with self._transaction():
                # Another process may have been first.
                if execute("PRAGMA user_version").fetchone()[0] == 0:
                    for statement in _SCHEMA.split(";")[:-1]:
                        execute(statement)
                    execute(f"PRAGMA application_id = {_APPLICATION}")
                    execute(f"PRAGMA user_version = {VERSION}")
        if problem := version_problem(self._connection):
            raise OSError(errno.EINVAL, problem, str(self.path))

    def _session(self, execute: Any, name: str) -> int:
        if name not in self._sessions:
            started = datetime.now(UTC).isoformat(timespec="milliseconds")
            execute(
                "INSERT OR IGNORE INTO sessions (name, started, process) VALUES (?, ?, ?)",
                (name, started, os.getpid()),
            )
            [(self._sessions[name],)] = execute("SELECT id FROM sessions WHERE name = ?", (name,)).fetchall()
        return self._sessions[name]

    def _target(self, execute: Any, row: RecordRow) -> int | None:
        if (key := row.target) is None:
            return None
        if key not in self._targets:
            columns = "image, source, pixels, image_layer, shape, layer, layer_id"
            execute(f"INSERT OR IGNORE INTO targets ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", key)
            found = execute(f"SELECT id FROM targets WHERE ({columns}) = (?, ?, ?, ?, ?, ?, ?)", key).fetchall()
            # The same layer may be known under another source: a file that was moved.
            self._targets[key] = found[0][0] if found else self._same_target(execute, key)
        return self._targets[key]

    @staticmethod
    def _same_target(execute: Any, key: tuple[str, ...]) -> int:
        image, _source, pixels, image_layer, shape, layer, layer_id = key
        [(found,)] = execute(
            "SELECT id FROM targets WHERE (layer_id, layer, image_layer, image, shape, pixels) = (?, ?, ?, ?, ?, ?)",
            (layer_id, layer, image_layer, image, shape, pixels),
        ).fetchall()
        return int(found)

    def _add(self, execute: Any, session: str, number: int, row: RecordRow) -> None:
        execute(
            "INSERT INTO records (id, session, number, kind, time, target, label, plane, body, crc)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.id,
                number,
                row.number,
                row.kind,
                row.time,
                self._target(execute, row),
                row.label,
                row.plane,
                row.body,
                checksum(row.body),
            ),
        )
        # Of the records themselves nothing is ever changed; this is for counting without reading them.
        for other in row.of:
            execute(
                "UPDATE records SET undone = ? WHERE session = ? AND number = ?",
                (int(row.kind == "withdrawn"), number, other),
            )


def version_problem(connection: sqlite3.Connection) -> str:
    """Say why a database is none that this release reads or writes; "" when it is one."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION:
        return "this is not a journal of accepted objects"
    return f"the journal is of version {version}; update napari-sam-live" if version > VERSION else ""


def file_identity(path: Path) -> tuple[int, int] | None:
    """Tell which file a path names; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
