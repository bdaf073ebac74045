"""The part of a file that is already here: bytes, running checksum, and a note of where they came from.

The note lies beside the part, so that a download can be taken up after a cancel, a crash or a power cut.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from napari_sam.checkpoints.checksums import Hasher, new_hasher
from napari_sam.files import clear_way, part_path, read_small, without_links, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sam.checkpoints.download.transport import Head
    from napari_sam.checkpoints.registry import Algorithm

_BLOCK = 1 << 20


def note_path(target: Path) -> Path:
    """Where the note about the part lies."""
    return target.with_name(target.name + ".part.json")


def forget(target: Path) -> None:
    """Delete the part and its note."""
    part_path(target).unlink(missing_ok=True)
    note_path(target).unlink(missing_ok=True)


class Partial:
    """The growing file; use it as a context manager.

    Parameters
    ----------
    target : Path
        What the file is called once it is whole and right.
    algorithm : str or None
        Checksum to keep while bytes pass; None keeps none.
    """

    def __init__(self, target: Path, algorithm: Algorithm | None) -> None:
        self._target = target
        self._algorithm = algorithm
        self._hasher: Hasher | None = None
        self._file: IO[bytes] | None = None
        self.have = 0
        """Bytes that are here."""
        self.resumed = False
        """Whether they came by more than one request: only then can they be a mixture of two files."""
        self.url: str | None = None
        self.validator: str | None = None
        self.total: int | None = None

    def __enter__(self) -> Partial:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        if not self.have:
            forget(self._target)

    def open(self, tick: Callable[[], None]) -> None:
        """Take up what an earlier try left; `tick` is called while its checksum is made again."""
        self._hasher = new_hasher(self._algorithm) if self._algorithm else None
        part = part_path(self._target)
        clear_way(part)
        # In append mode nothing that is here is written over, wherever reading has left the place.
        self._file = open(part, "ab+", opener=without_links)
        self._file.seek(0)
        while block := self._file.read(_BLOCK):
            if self._hasher:
                self._hasher.update(block)
            self.have += len(block)
            tick()
        self.resumed = self.have > 0
        self._read_note()

    def begin(self, url: str, head: Head) -> None:
        """Prepare for the bytes that `head` announces; a start at 0 drops those that are here."""
        if head.start == 0:
            self.restart()
        else:
            self.resumed = True
        self.url, self.validator, self.total = url, head.validator, head.total
        note = {"url": url, "validator": head.validator, "total": head.total}
        # Before the bytes, so that even after a crash it is known where they are from.
        write_whole(note_path(self._target), json.dumps(note))

    def write(self, chunk: bytes) -> None:
        """Append."""
        self._open_file().write(chunk)
        if self._hasher:
            self._hasher.update(chunk)
        self.have += len(chunk)

    def restart(self) -> None:
        """Drop every byte."""
        file = self._open_file()
        file.seek(0)
        file.truncate()
        self._hasher = new_hasher(self._algorithm) if self._algorithm else None
        self.have, self.resumed = 0, False
        self.url = self.validator = self.total = None

    def flush(self) -> None:
        """Bring everything to the disk."""
        file = self._open_file()
        file.flush()
        os.fsync(file.fileno())

    def digest(self) -> str | None:
        """Checksum of the bytes that are here."""
        return self._hasher.hexdigest() if self._hasher else None

    def install(self) -> None:
        """Give the file its name, in one step."""
        # On the disk first: after a power cut, a file of this name must be whole.
        self.flush()
        self._close()
        os.replace(part_path(self._target), self._target)
        note_path(self._target).unlink(missing_ok=True)

    def _open_file(self) -> IO[bytes]:
        assert self._file is not None, "open() comes first"
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read_note(self) -> None:
        """Remember where the bytes came from; a lost or broken note only means that we do not know."""
        with suppress(OSError, ValueError, AttributeError, RecursionError):
            note = json.loads(read_small(note_path(self._target)))
            url, validator, total = note.get("url"), note.get("validator"), note.get("total")
            self.url = url if isinstance(url, str) else None
            self.validator = validator if isinstance(validator, str) else None
            self.total = total if isinstance(total, int) else None
