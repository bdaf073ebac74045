"""Files of the person's, and in places where others may put something.

Only plain files are opened, links are never written through, and what is written takes its name when it is whole.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

HOME_VARIABLE = "NAPARI_SAM_HOME"

_SIZE = re.compile(r"\s*(\d{1,15}(?:\.\d{1,15})?)\s*(bytes|[kMGT]B)?\s*", re.IGNORECASE)
_UNITS = {"bytes": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_NOT_LINKS = getattr(os, "O_NOFOLLOW", 0)  # Windows has neither flag, and no pipes or devices in folders
_NOT_WAITING = getattr(os, "O_NONBLOCK", 0)


def home() -> Path:
    """Folder of everything that this plugin keeps for the person; it may not exist yet."""
    chosen = os.environ.get(HOME_VARIABLE)
    # Without an author, whose folder would be one more on Windows.
    return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("napari-sam-live", appauthor=False)


def format_bytes(count: int) -> str:
    """Write a number of bytes as a person says it, in powers of ten: 375_042_383 is ``375 MB``."""
    if count < 1_000:
        return f"{count} bytes"
    for unit, scale in (("kB", 1e3), ("MB", 1e6)):
        # From 999.5 on, three digits would be rounded to 1000 of the unit.
        if count < 999.5 * scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count / 1e9:.2f} GB"


def size_on_disk(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 where there is neither."""
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


def parse_bytes(text: str) -> int:
    """Read a number of bytes, such as "500 MB" or "20GB", in powers of ten.

    Raises
    ------
    InputError
        If it is none.
    """
    match = _SIZE.fullmatch(text)
    if match is None or not (match[2] or float(match[1]) == 0):  # a number alone is a slip: 5 bytes hold nothing
        raise InputError(f"{text!r} is not a size. Write a number with a unit, such as 500MB or 20GB.")
    return int(float(match[1]) * _UNITS[(match[2] or "bytes").lower()])


class NotPlainError(OSError):
    """What lies at a path is a folder, a pipe or a device; the message says which."""


def absence(path: Path) -> str | None:
    """Say in a sentence why there is no plain file at a path, or return None: links are followed."""
    try:
        _require_plain(path.stat().st_mode)
    except NotPlainError as error:
        return f"{path} cannot be used: {error}."
    except PermissionError:
        return f"{path} may not be read by you."
    except (OSError, ValueError):  # the latter for names that no file can have
        return f"There is no file {path}."
    return None


def open_plain(path: Path) -> BufferedReader:
    """Open a regular file, or a link to one, for reading.

    Raises
    ------
    NotPlainError
        If it is something else: reading a pipe or a device may wait for ever, or never end.
    OSError
        If there is nothing, or it cannot be read.
    """
    _require_plain(path.stat().st_mode)
    # What lies there may have been exchanged since; opening a pipe must not wait for its writer.
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | _NOT_WAITING))
    try:
        _require_plain(os.fstat(file.fileno()).st_mode)
    except NotPlainError:
        file.close()
        raise
    return file


def read_small(path: Path, most: int = 1 << 16) -> str:
    """Read a plain text file of `most` bytes at most.

    Raises
    ------
    OSError
        If there is none, or it cannot be read.
    ValueError
        If it is longer, or no text.
    """
    with open_plain(path) as file:
        # One byte more than allowed tells that a file is too long, without reading it all.
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{path} holds more than {most} bytes")
    return data.decode("utf-8")


def part_path(path: Path) -> Path:
    """Name the place of a file that is not whole yet, where the next attempt finds it and goes on, or clears it up."""
    return path.with_name(path.name + ".part")


@contextmanager
def replacing(path: Path, temporary: Path | None = None) -> Iterator[Path]:
    """Give a place to write to; when the block ends well, what it wrote takes the place of `path`.

    A crash leaves what was there. A link of that name is replaced, not written through.

    Parameters
    ----------
    path : Path
        A file; or a folder, where the block makes one.
    temporary : Path, optional
        The place to write to, in the same folder; what lies there is deleted first. Default: named after the process.

    Yields
    ------
    Path
        Nothing is there.

    Raises
    ------
    OSError
        If what was written cannot take its name.
    """
    place = temporary or path.with_name(f"{path.name}.{os.getpid()}.tmp")
    _discard(place)  # of a process that was killed; or a link, put there by somebody else
    try:
        yield place
        if place.is_dir() and path.is_dir():
            _replace_folder(place, path)
        else:
            os.replace(place, path)
    finally:
        _discard(place)


def _replace_folder(new: Path, path: Path) -> None:
    """Put a folder in the place of another, which no system does in one step: aside first, and back if need be."""
    # A name that nothing has: no folder can be moved onto one that holds something.
    aside = new.with_name(f".{os.getpid()}-{secrets.token_hex(3)}.old")
    os.replace(path, aside)
    try:
        os.replace(new, path)
    except OSError:
        os.replace(aside, path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _discard(path: Path) -> None:
    # A link to a folder is deleted, never followed.
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file in one step; a link of that name is replaced, not written through."""
    # "x" refuses what somebody may have put there in the meantime.
    with replacing(path) as temporary, temporary.open("x", encoding="utf-8") as file:
        file.write(text)


def clear_way(path: Path) -> None:
    """Delete a link, pipe or device at a path that is about to be written; a plain file of this name alone stays."""
    with suppress(FileNotFoundError):
        found = path.lstat()
        # A file of two names is somebody else's, too.
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            path.unlink()


def without_links(name: str, flags: int) -> int:
    """Open as `open` does, but never through a link: its `opener`."""
    return os.open(name, flags | _NOT_LINKS, 0o666)  # less the umask, as `open` has it


def _require_plain(mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    for is_kind, kind in ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket")):
        if is_kind(mode):
            raise NotPlainError(f"it is {kind}, not a file")
    raise NotPlainError("it is a device, not a file")


def printable(text: str, most: int = 60) -> str:
    """Return the start of a text out of a file, with nothing in it that a terminal would obey."""
    shown = "".join(character if character.isprintable() else "?" for character in text[:most])
    return shown + ("..." if len(text) > most else "")
