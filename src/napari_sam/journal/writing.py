"""Adding to a journal, also on a disk that is full for a while."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam.files import home
from napari_sam.journal.lines import FORMAT, VERSION, encode_line

if TYPE_CHECKING:
    from io import FileIO

_MOST_WAITING = 64_000_000  # bytes of lines that wait in memory for a disk to be writable again
_BLOCK = 65536


class Journal:
    """Adds records to a file of its own; the file is made with the first one.

    What cannot be written waits in memory, and goes before the next record.

    Parameters
    ----------
    folder : path-like, optional
        Where the file goes; by default "journal" in the user's folder of this plugin.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = Path(folder) if folder is not None else home() / "journal"
        self.path: Path | None = None
        """The file; None until there is something in it."""
        self.trouble: OSError | None = None
        """Why records wait that should be in the file; None when all of them are."""
        self._count = 0
        self._waiting: deque[bytes] = deque()

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
        record = {"number": self._count, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), "kind": kind}
        self._waiting.append(encode_line(record | fields))
        self._count += 1
        self.write_waiting(on_disk=on_disk)
        return self._count - 1

    def write_waiting(self, *, on_disk: bool = True) -> None:
        """Try again to write what waits; `trouble` tells whether it went well."""
        if not self._waiting:
            return
        try:
            with self._open() as file:
                _append(file, b"".join(self._waiting), on_disk=on_disk)
        except OSError as error:
            self.trouble = error
            # The oldest go first; what was accepted last stays, however large it is.
            while len(self._waiting) > 1 and sum(map(len, self._waiting)) > _MOST_WAITING:
                self._waiting.popleft()
        else:
            self.trouble = None
            self._waiting.clear()

    def sync(self) -> None:
        """Wait until all records in the file are on the disk; safe on any thread.

        Raises
        ------
        OSError
            If they cannot be brought there.
        """
        if self.path is not None:
            # Opened for writing, because Windows brings no other files to the disk.
            with self.path.open("r+b") as stream:
                os.fsync(stream.fileno())

    def _open(self) -> FileIO:
        """Open the file for reading and writing, unbuffered: what failed must not be written later, on closing."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self.path is not None:
            with suppress(FileNotFoundError):
                return self.path.open("r+b", buffering=0)
            return self.path.open("x+b", buffering=0)  # somebody deleted it while the session runs
        stem = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
        # Two of one process may begin within one second.
        for number in range(10_000):
            path = self._folder / f"{stem}-{number}.jsonl"
            try:
                file = path.open("x+b", buffering=0)
            except FileExistsError:
                continue
            self.path = path
            return file
        raise FileExistsError(f"{self._folder} is full of journals of this second")


def _append(file: FileIO, data: bytes, *, on_disk: bool) -> None:
    """Add lines after the last whole one; all of them, or none."""
    end = _end_of_lines(file)
    if end == 0:
        data = encode_line({"format": FORMAT, "version": VERSION}) + data
    try:
        # What an attempt that failed left of a line goes first.
        file.truncate(end)
        file.seek(end)
        left = memoryview(data)
        # An unbuffered file may take less than it is given, and says how much.
        while left:
            left = left[file.write(left) :]
        if on_disk:
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):  # else the next record cuts it back
            file.truncate(end)
        raise


def _end_of_lines(file: FileIO) -> int:
    """Find where the last whole line ends, in bytes."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        block = file.read(end - start)
        if (found := block.rfind(b"\n")) >= 0:
            return start + found + 1
        end = start
    return 0
