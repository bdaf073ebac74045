"""A folder of embeddings, each in a file named by its key.

Several processes may use one folder at once, without locks: a file gets its name when it is whole, and whoever finds
the folder too full drops what was not used for longest. A process that is killed leaves an unfinished file at most,
which the next writer clears up.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import re
import secrets
import stat
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.cache import settings
from napari_sam.cache.file_format import LARGEST, DamagedEntry, largest_size, read_entry, write_entry
from napari_sam.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_sam.cache.packed import PackedEmbedding

_log = logging.getLogger(__name__)

# The folder may be one of the person's own: nothing is touched but files with names as long and odd as ours.
_ENTRY = re.compile(r"[0-9a-f]{40}\.embedding")
# Of an unfinished file: the key, then the machine and the process that write it, and chance.
_LEFTOVER = re.compile(r"[0-9a-f]{40}\.([0-9a-f]{8})([0-9a-f]{8})[0-9a-f]{16}\.unfinished")
_MACHINE = hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()
_PATIENCE = 300.0  # seconds without a byte, after which whoever began a file is taken for dead
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
        Bytes of their files, the unfinished ones included.
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
        return self._limit_for(self.usage().nbytes)

    def usage(self) -> Usage:
        """Count what is in the folder."""
        sizes = [file.nbytes for file in self._files(_ENTRY)]
        return Usage(len(sizes), sum(sizes) + sum(file.nbytes for file in self._files(_LEFTOVER)))

    def __contains__(self, key: str) -> bool:
        # Not whether it can be read: that would take reading it, and `get` answers None for a damaged one anyway.
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
        if size > LARGEST:
            return False
        try:
            with self._lock:
                # The sum is this process's own count, so a look at the folder now and then brings in what others wrote.
                if self._look_in <= 0 or self._used + size > self._limit_for(self._used):
                    self._make_room(size)
                if size > self._limit_for(self._used):
                    return False
                self._look_in -= 1
                # Counted before it is written: several threads may be on their way at once.
                self._used += size
            return self._write(packed)
        except OSError as error:
            # A full or a read-only disk fails at every write: one warning for all of them.
            self.problem = f"{self.folder} cannot be written to: {error.strerror or error}."
            _log.warning("%s Embeddings are kept in memory only from now on.", self.problem)
            return False

    def make_room(self) -> None:
        """Drop what is more than the folder may hold, without waiting for the next write."""
        with self._lock:
            self._make_room(0)

    def clear(self) -> Usage:
        """Delete every embedding, and tell what was there."""
        files, unfinished = ([file for file in self._files(kind) if _drop(file.path)] for kind in (_ENTRY, _LEFTOVER))
        with self._lock:
            self._used = self._look_in = 0
        return Usage(len(files), sum(file.nbytes for file in (*files, *unfinished)))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.embedding"

    def _limit_for(self, used: int) -> int:
        if self._limit is not None:
            return self._limit
        chosen = settings.chosen_limit(self.folder)
        return settings.default_limit(self.folder, used) if chosen is None else chosen

    def _write(self, packed: PackedEmbedding) -> bool:
        """Write an embedding; False if it could not get its name for a reason that concerns it alone."""
        self.folder.mkdir(parents=True, exist_ok=True)
        writer = f"{_MACHINE}{os.getpid():08x}{secrets.token_hex(8)}"
        unfinished = self.folder / f"{packed.key}.{writer}.unfinished"
        path = self._path(packed.key)
        try:
            with replacing(path, unfinished):
                write_entry(unfinished, packed)
        except FileNotFoundError:  # somebody took the writer for dead, or has deleted the folder
            return False
        except (PermissionError, IsADirectoryError):
            # Windows refuses while another process reads the entry, which is then the same one.
            if os.path.isfile(path):
                return True
            if not os.path.isdir(path):
                raise
            _log.info("%s is a folder: that embedding is not kept on disk.", path)
            return False
        return True

    def _make_room(self, wanted: int) -> None:
        """Look at the folder, clear up after dead writers, and drop entries until `wanted` bytes fit."""
        self._look_in = _LOOK_EVERY
        # What another process is writing takes room as well.
        unfinished = [file for file in self._files(_LEFTOVER) if not (_is_abandoned(file) and _drop(file.path))]
        files = sorted(self._files(_ENTRY), key=lambda file: file.used)
        self._used = sum(file.nbytes for file in (*files, *unfinished))
        limit = self._limit_for(self._used)
        if self._used + wanted <= limit:
            return
        for file in files:
            if self._used + wanted <= _ROOM * limit:
                break
            # One that cannot be deleted, because it is being read, goes on taking room.
            if _drop(file.path):
                self._used -= file.nbytes

    def _files(self, pattern: re.Pattern[str]) -> Iterator[_File]:
        """Go through the files of such names in the folder; those that vanish meanwhile, and folders, are left out."""
        try:
            # The folder is made by the first write, and may be deleted at any time.
            names = os.listdir(self.folder)
        except OSError:
            return
        for path in (self.folder / name for name in names if pattern.fullmatch(name)):
            with suppress(OSError):
                # Of the name itself: a link is not followed out of the folder.
                found = path.lstat()
                if not stat.S_ISDIR(found.st_mode):
                    yield _File(path, found.st_size, found.st_mtime_ns)


def _is_abandoned(file: _File) -> bool:
    """Whether nobody writes at an unfinished file any more: its process is gone, or silent for long.

    To be wrong does little harm: what a living process writes is then not kept.
    """
    writer = _LEFTOVER.fullmatch(file.path.name)
    if writer and writer[1] == _MACHINE and os.name == "posix" and not _is_running(int(writer[2], 16)):
        return True
    # Either way, because clocks of machines that share a folder differ.
    return abs(time.time() - file.used / 1e9) > _PATIENCE


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # asks only; on Windows it would end the process
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it runs for another user
        return True
    return True


def _drop(path: Path) -> bool:
    """Delete a file if it is there and can be deleted; True if it is gone, whoever deleted it."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # Windows refuses while somebody reads it
        return False
    return True
