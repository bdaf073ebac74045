"""Headers that name other files: those are looked at before a library opens them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_sam.errors import InputError
from napari_sam.files import open_plain
from napari_sam.io.reading import require_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Headers are texts at the beginning of a file; longer ones are those of lists of thousands of files.
_LONGEST = 2**20
_KEY = re.compile(r"\s*(?:elementdatafile\s*=|data ?file\s*:)\s*(.*)", re.IGNORECASE)
_NUMBERED = re.compile(r"%[0-9]*[du]")


def require_own_files(path: Path) -> None:
    """Refuse a MetaImage or NRRD header that names files elsewhere, or what is no file.

    Parameters
    ----------
    path : Path
        The header.

    Raises
    ------
    InputError
        If a file that it names lies outside its folder, or is a pipe or a device.
    """
    require_beside(path, _named(_lines(path)))


def require_beside(path: Path, names: Iterable[str]) -> None:
    """Refuse files that a header names, where they are not files in its folder or in one within.

    Parameters
    ----------
    path : Path
        The header.
    names : iterable of str
        "%03d" stands for every number.

    Raises
    ------
    InputError
        See `require_own_files`. That files are missing is left to the reader to say.
    """
    folder = path.parent.resolve()
    for name in names:
        if _NUMBERED.search(name):
            # What glob would read as a pattern may stand for any letter: headers know no such patterns.
            pattern = re.sub(r"[\[?]", "?", _NUMBERED.sub("*", name))
            # glob refuses patterns that begin at the root.
            found = [] if name.startswith(("/", "\\")) else list(path.parent.glob(pattern))
        else:
            found = [path.parent / name]
        for file in found or [path.parent / name]:
            if not file.resolve().is_relative_to(folder):
                raise InputError(
                    f"{path} keeps its pixels in {name}, outside its folder. Put the two into one folder, and the name "
                    "alone into the header."
                )
            if file.exists():
                require_file(file)


def _lines(path: Path) -> list[str]:
    with open_plain(path) as file:
        # Every byte is a letter of latin-1, so that nothing fails before it was looked at.
        return file.read(_LONGEST).decode("latin-1").splitlines()


def _named(lines: list[str]) -> list[str]:
    """List the files that hold the pixels; none where they follow the header."""
    for number, line in enumerate(lines):
        if not line.strip():  # NRRD: the end of the header
            return []
        if match := _KEY.fullmatch(line):
            value = match[1].strip()
            words = value.split()
            if not words or words[0].upper() == "LOCAL":
                return []
            if words[0].upper() == "LIST":
                return [name.strip() for name in lines[number + 1 :] if name.strip()]
            # Behind a pattern, MetaImage writes the first and the last number, and the step.
            return [words[0] if _NUMBERED.search(words[0]) else value]
    return []
