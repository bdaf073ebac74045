"""Zip archives: what a file in them says of its size is checked, and no more than that is unpacked."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from zipfile import ZipFile

from napari_sam.errors import InputError, NapariSamError
from napari_sam.files import open_plain
from napari_sam.io.memory import require_room
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_sam.progress import Progress

_BLOCK = 1 << 20


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


def archive_problem(path: Path, progress: Progress = no_progress) -> str | None:
    """Say what is wrong with a zip archive, by the check sums that its files carry, or return None.

    Parameters
    ----------
    path : Path
    progress : Progress
        Called after every mebibyte that is unpacked, and after every file; may raise `Cancelled`.
    """
    try:
        with open_archive(path) as archive:
            members = archive.infolist()
            for done, member in enumerate(members, 1):
                with archive.open(member) as file:
                    # To the end: the check sum of a file is compared with its last byte only.
                    while file.read(_BLOCK):
                        progress((done - 1) / len(members))
                progress(done / len(members))
    except NapariSamError:  # a cancel
        raise
    except Exception as error:  # BadZipFile, zlib.error, NotImplementedError, RuntimeError: whoever forges one chooses
        return f"the file is no zip archive, or is cut or damaged ({error})"
    return None
