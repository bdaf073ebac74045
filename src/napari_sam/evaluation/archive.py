"""A folder or a zip archive with ``images/`` and ``labels/``, read alike."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol, TypeVar

from napari_sam.errors import InputError
from napari_sam.io.formats.archives import open_archive, read_member

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PARTS = ("images", "labels")
"""The two folders that a set of labelled images consists of."""

_JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
_WANTED = "A set of labelled images is a folder or a zip archive with images/ and labels/ in it"

R = TypeVar("R")


class Files(Protocol):
    """Where the files of a set are."""

    @property
    def names(self) -> tuple[str, ...]:
        """What there is, such as ``"images/a.png"``, sorted."""

    def where(self, name: str) -> str:
        """Words for a file, with which a person finds it."""

    def read(self, name: str, reader: Callable[[Path], R]) -> R:
        """Let `reader` read a file."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder on disk.

    Attributes
    ----------
    path : Path
        It holds ``images`` and ``labels``.
    names : tuple of str
        See `Files`.
    """

    path: Path
    names: tuple[str, ...]

    def where(self, name: str) -> str:
        """Words for a file, with which a person finds it."""
        return str(self.path / name)

    def read(self, name: str, reader: Callable[[Path], R]) -> R:
        """Let `reader` read a file."""
        return reader(self.path / name)


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip archive; one file at a time is unpacked.

    Attributes
    ----------
    path : Path
    top : str
        Where in it ``images/`` and ``labels/`` are: "" or a folder with a slash at its end.
    names : tuple of str
        See `Files`, without `top`.
    """

    path: Path
    top: str
    names: tuple[str, ...]

    def where(self, name: str) -> str:
        """Words for a file, with which a person finds it."""
        return f"{self.path}/{self.top}{name}"

    def read(self, name: str, reader: Callable[[Path], R]) -> R:
        """Let `reader` read a file."""
        # A file, because readers take paths.
        with tempfile.TemporaryDirectory(prefix="napari-sam-") as folder:
            # The name inside the archive is never used as a path: it may point anywhere.
            unpacked = Path(folder) / f"file{PurePosixPath(name).suffix}"
            unpacked.write_bytes(self._contents(name))
            try:
                return reader(unpacked)
            except InputError as error:
                # The person knows the archive, not the file beside it that is gone in a moment.
                raise InputError(str(error).replace(str(unpacked), self.where(name))) from error

    def _contents(self, name: str) -> bytes:
        try:
            with open_archive(self.path) as archive:
                return read_member(archive, self.top + name, self.where(name))
        except InputError:
            raise
        # Whatever a damaged archive leads to; RuntimeError: it wants a password.
        except Exception as error:
            raise InputError(f"{self.where(name)} cannot be unpacked: {error}. Unpack the archive by hand.") from error


def open_files(path: Path) -> Files:
    """Find ``images/`` and ``labels/`` in a folder or a zip archive, at its top or in one folder there.

    Raises
    ------
    InputError
        If they are not there, or there more than once.
    """
    if path.is_dir():
        return _open_folder(path)
    if not path.is_file():
        raise InputError(f"There is no file or folder {path}. {_WANTED}.")
    try:
        with open_archive(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and _wanted(name)]
    except Exception as error:  # a damaged directory of files: struct.error, UnicodeDecodeError, OverflowError, ...
        raise InputError(f"{path} cannot be read as a zip archive: {error}. {_WANTED}.") from error
    # Parts may lie in folders within, because many archives have one more folder around everything.
    tops = [{"/".join(n.split("/")[:i]) for n in names for i in _positions(n, part)} for part in PARTS]
    both = tops[0] & tops[1]
    least = min((top.count("/") if top else -1 for top in both), default=0)
    top = _only([t for t in both if (t.count("/") if t else -1) == least], path)
    prefix = f"{top}/" if top else ""
    inside = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return Archive(path, prefix, _of_parts(inside))


def _open_folder(path: Path) -> Folder:
    candidates = [path] if _holds_parts(path) else [child for child in path.iterdir() if _holds_parts(child)]
    base = Path(_only([str(candidate) for candidate in candidates], path))
    found = (file.relative_to(base).as_posix() for part in PARTS for file in (base / part).rglob("*") if file.is_file())
    return Folder(base, _of_parts(name for name in found if _wanted(name)))


def _holds_parts(folder: Path) -> bool:
    return _wanted(folder.name) and all((folder / part).is_dir() for part in PARTS)


def _positions(name: str, part: str) -> Iterator[int]:
    """Depths at which a file's path has a folder called `part`."""
    return (depth for depth, folder in enumerate(name.split("/")[:-1]) if folder == part)


def _only(found: list[str], path: Path) -> str:
    if not found:
        raise InputError(f"{path} has no images/ and labels/. {_WANTED}; an image and its labels share their name.")
    if len(found) > 1:
        raise InputError(f"{path} holds {len(found)} sets: {', '.join(sorted(found))}. Give one of them.")
    return found[0]


def _of_parts(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if name.split("/")[0] in PARTS))


def _wanted(name: str) -> bool:
    """Whether a file is a person's, and not what a system left there."""
    # A folder that was given as ".." is not hidden.
    return not any(part in _JUNK or (part.startswith(".") and part != "..") for part in PurePosixPath(name).parts)
