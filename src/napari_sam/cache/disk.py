"""A folder of embeddings, each in a file named by its key.

Several processes may use one folder at once, without locks: a file gets its name when it is whole, and whoever finds
the folder too full drops what was not used for longest. A process that is killed leaves an unfinished file at most,
which is cleared up later.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.cache import place
from napari_sam.cache.entry import DamagedEntry, largest_size, read_entry, write_entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_sam.packed import PackedEmbedding

_log = logging.getLogger(__name__)

# The folder may be one of the person's own: nothing is touched but files with names as long and odd as ours.
_ENTRY = re.compile(r"[0-9a-f]{40}\.embedding")
_LEFTOVER = re.compile(r"[0-9a-f]{40}\.[0-9a-f]{32}\.unfinished")
_OLD = 3600.0  # seconds after which nobody writes at an unfinished file any more
_LOOK_EVERY = 32  # writes, after which to look what other processes have written
_ROOM = 0.9  # share of the limit that is kept when it is reached, so that not every write has to make room


@dataclass(frozen=True, slots=True)
class Usage:
    """How full a folder is.

    Attributes
    ----------
    count : int
        Embeddings.
    nbytes : int
        Bytes of their files.
    """

    count: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    nbytes: int
    used: int  # time of the last use, in ns since the epoch


class DiskStore:
    """Keeps embeddings in a folder up to a number of bytes; the least recently used one goes first.

    Safe to use from several threads and processes. Nothing that goes wrong with the disk is raised: an entry that is
    damaged is dropped and counts as missing, and when the folder cannot be written to, this is logged once and
    nothing more is written.

    Parameters
    ----------
    folder : Path
        Made by the first write.
    limit : int, optional
        Bytes of files to keep at most; about, because processes look at each other's files now and then only. Default:
        what the person chose for the folder, else `place.MOST` or a tenth of the free disk, whichever is less.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder = folder
        self.problem = ""
        """Why nothing is written any more, in a sentence; "" while all is well."""
        self._limit = limit
        self._lock = threading.Lock()
        # Both guarded by the lock: bytes in the folder, as far as known, and writes until the next look at it.
        self._used = 0
        self._look_in = 0

    @property
    def limit(self) -> int:
        """Bytes that the folder may hold now."""
        return self._limit_for(sum(file.nbytes for file in self._files()))

    def usage(self) -> Usage:
        """Count what is in the folder."""
        sizes = [file.nbytes for file in self._files()]
        return Usage(len(sizes), sum(sizes))

    def __contains__(self, key: str) -> bool:
        return os.path.isfile(self._path(key))

    def get(self, key: str) -> PackedEmbedding | None:
        """Return the embedding of this key and count it as used; None if it is not there, or damaged."""
        path = self._path(key)
        try:
            packed = read_entry(path, key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except DamagedEntry as error:
            _log.warning("The stored embedding %s is damaged (%s). It will be computed again.", path, error)
            with suppress(OSError):
                path.unlink()
            return None
        except OSError as error:
            _log.info("The stored embedding %s cannot be read (%s). It will be computed again.", path, error)
            return None
        with suppress(OSError):  # a folder that others have filled may be read-only
            os.utime(path)
        return packed

    def put(self, packed: PackedEmbedding) -> bool:
        """Write an embedding, and make room for it if need be.

        Returns
        -------
        bool
            Whether it is there now. False if it is larger than all that may be kept, or if there is a `problem`.
        """
        if self.problem:
            return False
        size = largest_size(packed)
        try:
            with self._lock:
                if self._look_in <= 0 or self._used + size > self._limit_for(self._used):
                    self._make_room(size)
                if size > self._limit_for(self._used):
                    return False
                self._look_in -= 1
                self._used += size
            self._write(packed)
        except OSError as error:
            self.problem = f"{self.folder} cannot be written to: {error.strerror or error}."
            _log.warning("%s Embeddings are kept in memory only from now on.", self.problem)
            return False
        return True

    def make_room(self) -> None:
        """Drop what is more than the folder may hold, without waiting for the next write."""
        with self._lock:
            self._make_room(0)

    def clear(self) -> Usage:
        """Delete every embedding, and tell what was there."""
        files = [file for file in self._files() if _drop(file.path)]
        for path in self._named(_LEFTOVER):
            _drop(path)
        with self._lock:
            self._used = self._look_in = 0
        return Usage(len(files), sum(file.nbytes for file in files))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.embedding"

    def _limit_for(self, used: int) -> int:
        if self._limit is not None:
            return self._limit
        chosen = place.chosen_limit(self.folder)
        return place.default_limit(self.folder, used) if chosen is None else chosen

    def _write(self, packed: PackedEmbedding) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f"{packed.key}.{uuid.uuid4().hex}.unfinished"
        path = self._path(packed.key)
        try:
            write_entry(unfinished, packed)
            try:
                os.replace(unfinished, path)
            except PermissionError:
                # Windows refuses while another process reads the entry, which is then the same one.
                if not os.path.isfile(path):
                    raise
        finally:
            _drop(unfinished)

    def _make_room(self, wanted: int) -> None:
        """Look at the folder, clear up after dead writers, and drop entries until `wanted` bytes fit."""
        self._look_in = _LOOK_EVERY
        for path in self._named(_LEFTOVER):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _OLD:
                    path.unlink()
        files = sorted(self._files(), key=lambda file: file.used)
        self._used = sum(file.nbytes for file in files)
        limit = self._limit_for(self._used)
        if self._used + wanted <= limit:
            return
        for file in files:
            if self._used + wanted <= _ROOM * limit:
                break
            if _drop(file.path):
                self._used -= file.nbytes

    def _files(self) -> Iterator[_File]:
        """Go through the embeddings in the folder; those that vanish meanwhile are left out."""
        for path in self._named(_ENTRY):
            with suppress(OSError):
                found = path.stat()
                yield _File(path, found.st_size, found.st_mtime_ns)

    def _named(self, pattern: re.Pattern[str]) -> Iterator[Path]:
        try:
            names = os.listdir(self.folder)
        except OSError:
            return
        yield from (self.folder / name for name in names if pattern.fullmatch(name))


def _drop(path: Path) -> bool:
    """Delete a file if it is there and can be deleted; True if it is gone, whoever deleted it."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # Windows refuses while somebody reads it
        return False
    return True
