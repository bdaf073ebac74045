"""What is downloaded, how it is known to be right, and words for when it cannot be had."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.checkpoints.container import container_problem
from napari_sam.errors import WeightsError
from napari_sam.files import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sam.checkpoints.registry import Algorithm
    from napari_sam.progress import Progress

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})  # a quota that is used up is a full disk to a person
_MOST = 10_000_000_000  # bytes: no checkpoint is larger


def checkpoint_problem(path: Path, progress: Progress) -> str | None:
    """Say what is wrong with a file that should be a checkpoint, by its outer form alone, or return None."""
    problem = container_problem(path, progress)
    return f"the file is not a checkpoint: {problem}" if problem else None


@dataclass(frozen=True, slots=True)
class DownloadSource:
    """A file on the network.

    Parameters
    ----------
    name : str
        What a person calls it; used in messages.
    urls : tuple of str
        Where it is, best first.
    size : int or None
        Bytes, when published.
    checksum : (str, str) or None
        Algorithm ("sha256", "md5" or "xxh128") and lower-case hexadecimal digest, when published.
    most : int
        Bytes that a file of its kind has at most: where no size is published, a server that sends more is not heard
        to the end.
    check : callable
        Takes the whole file and a `Progress`, and says what is wrong with it, or returns None. Asked where no checksum
        is published; by default, whether it has the form of a checkpoint.
    """

    name: str
    urls: tuple[str, ...]
    size: int | None = None
    checksum: tuple[Algorithm, str] | None = None
    most: int = _MOST
    check: Callable[[Path, Progress], str | None] = checkpoint_problem

    @property
    def bound(self) -> int:
        """Bytes after which a file cannot be the right one: its size, or else `most`."""
        return self.most if self.size is None else self.size


def by_hand(source: DownloadSource) -> str:
    """Tell the way that always works: another machine, and a stick."""
    return f"Or fetch {source.urls[0]} on another machine and run `napari-sam models import FILE`."


def disk_error(error: OSError, source: DownloadSource, target: Path) -> WeightsError:
    """Say what the disk's refusal means for a person."""
    folder = target.parent
    elsewhere = "or set NAPARI_SAM_HOME to a folder on another disk."
    if error.errno in _DISK_FULL:
        need = f" {format_bytes(source.size)} are needed." if source.size else ""
        return WeightsError(
            f"There is not enough space in {folder} for {source.name}.{need} Free some space and try again, {elsewhere}"
        )
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return WeightsError(
            f"{folder} cannot be written to. Change its permissions, or set NAPARI_SAM_HOME to a folder that can."
        )
    return WeightsError(f"{source.name} could not be saved in {folder}: {error}. Check the disk, {elsewhere}")
