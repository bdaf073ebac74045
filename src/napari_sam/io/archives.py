"""Zip archives: what a file in them says of its size is checked, and no more than that is unpacked."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from zipfile import ZipFile

from napari_sam.errors import InputError
from napari_sam.files import open_plain
from napari_sam.io.memory import require_room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def open_archive(path: Path) -> Iterator[ZipFile]:
    """Open a zip archive that is a regular file.

    Raises
    ------
    OSError, zipfile.BadZipFile
        If it is not there, is something else, or is damaged.
    """
    with open_plain(path) as file, ZipFile(file) as archive:
        yield archive


def read_member(archive: ZipFile, name: str, where: str) -> bytes:
    """Unpack one file of an archive into memory.

    Parameters
    ----------
    archive : zipfile.ZipFile
    name : str
    where : str
        Words for the file.

    Raises
    ------
    InputError
        If it does not fit into memory, or holds more than it says.
    KeyError
        If there is none.
    """
    size = archive.getinfo(name).file_size
    require_room(where, size)
    with archive.open(name) as member:
        # A count bounds what is unpacked at a time; one byte more, as the sum is checked at the end of the file.
        contents = member.read(size + 1)
    if len(contents) != size:
        raise InputError(f"{where} holds another number of bytes than the archive says. Pack the archive anew.")
    return contents
