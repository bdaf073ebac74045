"""The outer form of a checkpoint: what kind of file it is, and whether it is whole. Nothing is loaded or unpickled."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import contextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from napari_sam.errors import NapariSamError
from napari_sam.files import open_plain, printable
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_sam.progress import Progress

_BLOCK = 1 << 20
_LARGEST = 16_000_000_000  # bytes: three times the largest SAM, which is one in training
_LARGEST_HEADER = 1 << 23  # bytes: of a header of safetensors, or the directory of an archive; a SAM has 100 kB
_PAGE_STARTS = (b"<!doctype", b"<html", b"<head", b"<?xml")


class Form(Enum):
    """Kinds of files that hold weights."""

    ARCHIVE = auto()
    """What `torch.save` writes: a zip archive."""
    PICKLE = auto()
    """What it wrote before PyTorch 1.6: bare pickles, then the numbers."""
    SAFETENSORS = auto()


class FormError(Exception):
    """A file has not the form of a checkpoint; the message says why, in words that follow a colon."""


def is_web_page(start: bytes) -> bool:
    """Whether a file that starts with these bytes is HTML or XML: a login page, a proxy's notice, an error."""
    return start[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGE_STARTS)


def outer_form(path: Path) -> Form:
    """Tell what kind of checkpoint a file is, by its start and its list of parts: in milliseconds, however large it is.

    Raises
    ------
    FormError
        If it is none, or is cut, or its parts are not what such files have.
    OSError
        If it cannot be read.
    """
    size = path.stat().st_size
    with open_plain(path) as file:
        # Enough for every mark below, also of a page that begins with spaces.
        start = file.read(64)
    if not start:
        raise FormError("it is empty")
    if size > _LARGEST:
        raise FormError("it is larger than any model")
    if is_web_page(start):
        raise FormError("it is a web page, not a checkpoint")
    if start.startswith(b"PK"):
        _check_archive(path, size)
        return Form.ARCHIVE
    # safetensors begins with the length of its header, which is JSON. It may begin with the byte that pickles do.
    header = int.from_bytes(start[:8], "little")
    if size > 8 and 1 < header <= size - 8 and start[8:9] == b"{":
        _check_safetensors(path, header, size)
        return Form.SAFETENSORS
    if start.startswith(b"\x80"):
        return Form.PICKLE
    raise FormError("it is neither a torch nor a safetensors checkpoint")


def container_problem(path: Path, progress: Progress = no_progress) -> str | None:
    """Say what is wrong with the outer form of a checkpoint, or return None.

    The CRC-32 sums that the parts of an archive carry are all checked; safetensors states its own length; the format
    that torch wrote before version 1.6 can only be told from other kinds of files.

    Parameters
    ----------
    path : Path
        The file.
    progress : Progress
        Called after every mebibyte of an archive; may raise `Cancelled`.
    """
    try:
        if outer_form(path) is Form.ARCHIVE:
            _check_sums(path, progress)
    except FormError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
    return None


def pickle_of(path: Path) -> bytes:
    """Read the pickle of an archive that `outer_form` has seen.

    Raises
    ------
    FormError
        If it is larger than the description of any model, or damaged.
    """
    with _opened(path) as archive:
        (part,) = _pickles(archive.infolist())
        if part.file_size > _LARGEST_HEADER:
            raise FormError("its description is larger than that of any model")
        return archive.read(part)


class _FrugalFile(io.BufferedReader):
    """Refuses to read a directory that would fill the memory: a zip archive itself says how long it is."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _LARGEST_HEADER:
            raise FormError("its list of parts is longer than that of any model")
        return super().read(size)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive; whatever the reader of archives trips over is damage."""
    try:
        with _FrugalFile(open_plain(path).detach()) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except (FormError, NapariSamError):  # of the latter, a cancel
        raise
    except Exception as error:  # whoever forges an archive chooses which
        raise FormError("the archive is cut or damaged") from error


def _check_archive(path: Path, size: int) -> None:
    """Look at the list of parts. PyTorch never compresses, so parts are not larger than the file, one by one or all."""
    with _opened(path) as archive:
        parts = archive.infolist()
    names = {part.filename.lower() for part in parts}  # PyTorch's reader does not tell upper from lower case
    # A program has a data.pkl as well, so this comes first.
    if any(name.endswith("/constants.pkl") for name in names):
        raise FormError("it is a TorchScript program, not weights by name")
    if len(_pickles(parts)) != 1:
        raise FormError("it is an archive, but not a checkpoint; if one is inside it, unpack it")
    if any(part.compress_type != zipfile.ZIP_STORED or part.flag_bits & 1 for part in parts):
        raise FormError("its parts are compressed or encrypted, which those of a checkpoint never are")
    if len(names) != len(parts) or sum(part.file_size for part in parts) > size:
        raise FormError("the archive is damaged: its parts overlap")


def _pickles(parts: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    return [part for part in parts if part.filename.lower().endswith("/data.pkl")]


def _check_sums(path: Path, progress: Progress) -> None:
    with _opened(path) as archive:
        parts = archive.infolist()
        # Parts may all be empty.
        total, done = max(sum(part.file_size for part in parts), 1), 0
        for part in parts:
            try:
                with archive.open(part) as file:
                    while block := file.read(_BLOCK):
                        done += len(block)
                        progress(min(done / total, 1.0))
            except zipfile.BadZipFile as error:
                raise FormError(f"its part {printable(part.filename)} is damaged") from error


def _check_safetensors(path: Path, header: int, size: int) -> None:
    """Compare the length that the header of a safetensors file implies with the file's own."""
    if header > _LARGEST_HEADER:
        raise FormError("its safetensors header is longer than that of any model")
    with open_plain(path) as file:
        file.seek(8)
        text = file.read(header)
    try:
        # Python's reader would take the last of two equal names in silence.
        tensors = json.loads(text, object_pairs_hook=_without_doubles)
        ends = [int(entry["data_offsets"][1]) for key, entry in tensors.items() if key != "__metadata__"]
    except Exception as error:  # whoever forges a header chooses which
        raise FormError("its safetensors header cannot be read") from error
    expected = 8 + header + max(ends, default=0)
    if expected != size:
        raise FormError(f"it holds {size} bytes instead of {printable(str(expected))}: it is cut or damaged")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that is there twice: readers do not agree on which of them counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found
