"""Files in places where others may put something: only plain files are opened, and links are never written through."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path


_NOT_LINKS = getattr(os, "O_NOFOLLOW", 0)  # Windows has neither flag, and no pipes or devices in folders
_NOT_WAITING = getattr(os, "O_NONBLOCK", 0)


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
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{path} holds more than {most} bytes")
    return data.decode("utf-8")


def write_whole(path: Path, text: str) -> None:
    """Write a text file in one step; a link of that name is replaced, not written through."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def clear_way(path: Path) -> None:
    """Delete a link, pipe or device at a path that is about to be written; a plain file of this name alone stays."""
    with suppress(FileNotFoundError):
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            path.unlink()


def without_links(name: str, flags: int) -> int:
    """Open as `open` does, but never through a link: its `opener`."""
    return os.open(name, flags | _NOT_LINKS, 0o666)


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
