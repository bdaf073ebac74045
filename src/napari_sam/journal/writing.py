"""Adding to the journal, also on a disk that is full for a while."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam.files import home
from napari_sam.journal.database import SUFFIX, JournalDatabase, as_os_error, file_identity, is_damage
from napari_sam.journal.rows import RecordRow
from napari_sam.journal.salvage import salvage

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_WAITING = 64_000_000  # characters of records that wait in memory for a disk to be writable again


class Journal:
    """Adds the records of one session to the person's journal, which is made with the first one.

    What cannot be written waits in memory, and goes before the next record. A journal that turns out to be damaged is
    set aside under another name, and a new one begins with what can be read of it.

    Parameters
    ----------
    folder : path-like, optional
        Where the journal is; by default "journal" in the user's folder of this plugin.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = Path(folder) if folder is not None else home() / "journal"
        # Two of one process may begin within one second.
        self.session = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}-{secrets.token_hex(2)}"
        """Name of the session, which the journal finds its records by."""
        self.path: Path | None = None
        """The file; None until there is something in it."""
        self.trouble: OSError | None = None
        """Why records wait that should be on the disk; None when all of them are there."""
        self.set_aside: Path | None = None
        """Where a damaged journal is now that was found; None when none was."""
        self.count = 0
        """How many records there are, in the file or waiting for it."""
        self._waiting: deque[RecordRow] = deque()
        self._pixels: dict[str, str] = {}
        self._database: JournalDatabase | None = None
        # `sync` may be called on another thread than the rest.
        self._lock = threading.RLock()

    def add(self, kind: str, *, on_disk: bool = True, **fields: Any) -> int:
        """Add a record, and return its number; `trouble` tells whether it is in the file.

        Parameters
        ----------
        kind : str
            What happened.
        on_disk : bool
            Wait until it is on the disk. Without that it outlives this process, but not a power failure; `sync` makes
            up for it, on any thread.
        **fields
            What is to be kept of it; anything that JSON can hold.
        """
        record = {"number": self.count, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), "kind": kind}
        self._waiting.append(RecordRow.of_record(record | fields, self.session, self._pixels))
        self.count += 1
        self.write_waiting(on_disk=on_disk)
        return self.count - 1

    def write_waiting(self, *, on_disk: bool = True) -> None:
        """Try again to write what waits; `trouble` tells whether it went well."""
        if not self._waiting:
            return
        self.trouble = self._attempt(lambda database: database.add(self.session, self._waiting))
        if self.trouble is None:
            self._waiting.clear()
            if on_disk:
                try:
                    self.sync()
                except OSError as error:
                    self.trouble = error
        # The oldest go first; what was accepted last stays, however large it is.
        while len(self._waiting) > 1 and sum(len(row.body) for row in self._waiting) > _MOST_WAITING:
            self._waiting.popleft()

    def note_pixels(self, image_layer: str, pixels: str) -> None:
        """Say what the pixels of an image are: by that it is known again when it is opened another time.

        Parameters
        ----------
        image_layer : str
            Id of its layer, as it stands in "identity" of the records.
        pixels : str
            Digest of its pixels.
        """
        before = self._pixels.get(image_layer)
        self._pixels[image_layer] = pixels
        # Other pixels in the same layer are another image; what was noted before is about the old one.
        if self.count and before is None:
            self._attempt(lambda database: database.note_pixels(image_layer, pixels))

    def sync(self) -> None:
        """Wait until all records in the file are on the disk; safe on any thread.

        Raises
        ------
        OSError
            If they cannot be brought there.
        """
        if (database := self._database) is not None:
            database.sync()

    @property
    def is_untidy(self) -> bool:
        """Whether `tidy` should be called soon."""
        return self._database is not None and self._database.is_log_long

    def tidy(self) -> None:
        """Put what was written in order, which takes some ten milliseconds; safe on any thread, and never needed."""
        if (database := self._database) is not None:
            with suppress(sqlite3.Error):
                database.checkpoint()

    def close(self) -> None:
        """Try a last time to write what waits, and let go of the file; a later record opens it again."""
        self.write_waiting()
        if self.count and self.trouble is None:
            self._attempt(lambda database: database.end_session(self.session))
        self._let_go()

    def _attempt(self, act: Callable[[JournalDatabase], None]) -> OSError | None:
        """Do something with the database; return why it could not be done."""
        with self._lock:
            trouble: OSError | None = None
            # Once more, with a new file, where the old one is damaged.
            for _ in range(2):
                tried = file_identity(self.database)
                try:
                    act(self._open())
                    return None
                except sqlite3.Error as error:
                    self._let_go()
                    trouble = as_os_error(error, self.database)
                    if not is_damage(error):
                        return trouble
                    try:
                        self._begin_anew(tried)
                    except OSError as failed:
                        return failed
                except OSError as error:
                    return error
            return trouble

    def _begin_anew(self, damaged: tuple[int, int] | None) -> None:
        """Set a damaged database aside, and take over what can be read of it.

        Raises
        ------
        OSError
            If that cannot be done.
        """
        if (aside := set_aside(self.database, damaged)) is not None:
            self.set_aside = aside
            with suppress(sqlite3.Error):  # the copy is there, whatever becomes of this
                salvage(aside, self._open())

    @property
    def database(self) -> Path:
        """Where the journal is, or would be."""
        return self._folder / f"journal{SUFFIX}"

    def _open(self) -> JournalDatabase:
        """Return the database, opened anew if somebody deleted it while the session runs."""
        if self._database is not None and not self._database.is_there:
            self._let_go()
        if self._database is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._database = JournalDatabase(self.database)
            self.path = self.database
        return self._database

    def _let_go(self) -> None:
        if self._database is not None:
            # A disk that fails may fail at this, too; what is in the log stays there.
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None


def set_aside(path: Path, damaged: tuple[int, int] | None) -> Path | None:
    """Give a damaged database, with its log, another name; None where another process was first.

    Parameters
    ----------
    path : Path
        Where it is.
    damaged : (int, int) or None
        What `file_identity` said of the file that turned out to be damaged.

    Raises
    ------
    OSError
        If that cannot be done.
    """
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    target = path.with_name(f"damaged-{stamp}{SUFFIX}")
    if file_identity(path) != damaged:
        return None
    try:
        path.rename(target)
    except FileNotFoundError:
        return None
    # The log belongs to this file; beside a new one it would be taken for that one's.
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    return target
