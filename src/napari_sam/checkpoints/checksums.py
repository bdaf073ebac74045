"""Whether a file is what it should be: checksums."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

import xxhash

from napari_sam.files import open_plain
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_sam.checkpoints.registry import Algorithm
    from napari_sam.progress import Progress

_BLOCK = 1 << 20


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
    with open_plain(path) as file:
        while block := file.read(_BLOCK):
            for hasher in hashers.values():
                hasher.update(block)
            done += len(block)
            progress(min(done / total, 1.0))
    return {algorithm: hasher.hexdigest() for algorithm, hasher in hashers.items()}
