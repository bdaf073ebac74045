"""Whether a file is what it should be: checksums, and the outer form of a checkpoint.

Nothing here loads a tensor or unpickles anything.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from typing import TYPE_CHECKING, Protocol

import xxhash

from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_sam.model.registry import Algorithm
    from napari_sam.progress import Progress

_BLOCK = 1 << 20
_PAGE_STARTS = (b"<!doctype", b"<html", b"<head", b"<?xml")


class Hasher(Protocol):
    """What hashlib and xxhash have in common."""

    def update(self, data: bytes, /) -> None:
        """Take in the next bytes."""

    def hexdigest(self) -> str:
        """Return the digest of what was taken in, in lower-case hexadecimal."""


def new_hasher(algorithm: Algorithm) -> Hasher:
    """Start a checksum. The xxh128 of Y. Collet guards against accidents, not against an attacker."""
    match algorithm:
        case "sha256":
            return hashlib.sha256()
        case "md5":
            return hashlib.md5(usedforsecurity=False)
        case "xxh128":
            return xxhash.xxh3_128()


def file_digests(path: Path, algorithms: Iterable[Algorithm], progress: Progress = no_progress) -> dict[Algorithm, str]:
    """Read a file once and return its checksums.

    Parameters
    ----------
    path : Path
        The file.
    algorithms : iterable of {"sha256", "md5", "xxh128"}
        Which checksums to make.
    progress : Progress
        Called after every mebibyte; may raise `Cancelled`.

    Returns
    -------
    dict of str to str
        Lower-case hexadecimal digests, by algorithm.
    """
    hashers = {algorithm: new_hasher(algorithm) for algorithm in algorithms}
    total = max(path.stat().st_size, 1)
    done = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            for hasher in hashers.values():
                hasher.update(block)
            done += len(block)
            progress(min(done / total, 1.0))
    return {algorithm: hasher.hexdigest() for algorithm, hasher in hashers.items()}


def is_web_page(start: bytes) -> bool:
    """Whether a file that starts with these bytes is HTML or XML: a login page, a proxy's notice, an error."""
    return start[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGE_STARTS)


def container_problem(path: Path) -> str | None:
    """Say what is wrong with the outer form of a checkpoint, or return None.

    A file of `torch.save` is a zip archive, whose members carry CRC-32 sums that are all checked; safetensors states
    its own length; the format that torch wrote before version 1.6 can only be told from other kinds of files.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(64)
    if is_web_page(start):
        return "it is a web page, not a checkpoint"
    if start.startswith(b"PK"):
        return _zip_problem(path)
    if start.startswith(b"\x80"):
        return None  # a bare pickle stream: torch's format before 1.6, or a file that the loader will refuse
    header = int.from_bytes(start[:8], "little")
    if size > 8 and 1 < header <= size - 8 and start[8:9] == b"{":
        return _safetensors_problem(path, header, size)
    return "it is neither a torch nor a safetensors checkpoint"


def _zip_problem(path: Path) -> str | None:
    """Check the sums of a zip archive; a cut one has no central directory."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
        return f"the archive is cut or damaged ({error})"
    return f"its part {bad} is damaged" if bad else None


def _safetensors_problem(path: Path, header: int, size: int) -> str | None:
    """Compare the length that the header of a safetensors file implies with the file's own."""
    with path.open("rb") as file:
        file.seek(8)
        try:
            tensors = json.loads(file.read(header))
            ends = [entry["data_offsets"][1] for key, entry in tensors.items() if key != "__metadata__"]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return "its safetensors header cannot be read"
    expected = 8 + header + max(ends, default=0)
    return None if expected == size else f"it holds {size} bytes instead of {expected}: it is cut or damaged"
