"""The border around all readers: only files and folders are opened, and what goes wrong is said in words."""

from __future__ import annotations

import importlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from PIL import Image, UnidentifiedImageError

from napari_sam.errors import InputError, NapariSamError
from napari_sam.files import NotPlainError, absence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Letters of what a library says that are shown.
_LONGEST = 300


def require(module: str, extra: str, what: str) -> Any:
    """Import a library of one of the extras.

    Parameters
    ----------
    module : str
        What to import.
    extra : str
        The extra of this package that installs it.
    what : str
        What it is needed for: "NIfTI files".

    Returns
    -------
    module

    Raises
    ------
    InputError
        If it is not installed; the words name the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f'{what} need {module.partition(".")[0]}, which is not installed: pip install "napari-sam-live[{extra}]".'
        ) from error


def require_file(path: Path) -> None:
    """Refuse what is no regular file, or a link to one: reading a pipe or a device may never end.

    Raises
    ------
    InputError
        If it is something else, or not there.
    """
    if words := absence(path):
        raise InputError(words)


def require_path(path: Path) -> None:
    """Refuse what is neither a regular file nor a folder, nor a link to one.

    Raises
    ------
    InputError
        If it is something else, or not there.
    """
    if not os.path.isdir(path) and (words := absence(path)):
        raise InputError(words.replace("no file", "no file or folder"))


@contextmanager
def reading(path: Path | str, what: str = "") -> Iterator[None]:
    """Turn whatever a library raises over a file into words.

    Parameters
    ----------
    path : Path or str
        The file or folder, or words for it.
    what : str
        The part of it that is read: "plane 12".

    Raises
    ------
    InputError
        Instead of what the block raises.
    """
    part = f"{what[:1].upper()}{what[1:]} of {path}" if what else str(path)
    try:
        yield
    except NapariSamError:
        raise
    # Decoders raise what they like over a damaged file: struct.error, KeyError, ZeroDivisionError, RecursionError, ...
    except Exception as error:
        raise InputError(_in_words(part, error)) from error


def _in_words(part: str, error: Exception) -> str:
    """Say what went wrong over a file, and what to do."""
    # In one line and without its full stop: the library's words become part of a sentence.
    words = " ".join(str(error).split()).rstrip(".")[:_LONGEST] or type(error).__name__
    match error:
        case MemoryError():
            return (
                f"{part} needs more memory than there is. Save the part that you want as a file of its own; if the "
                "image is small, the file is damaged."
            )
        case NotPlainError():
            return f"{part} cannot be used: {words}."
        case UnidentifiedImageError():
            return f"{part} is not an image of a known kind. Convert it to TIFF or PNG."
        case Image.DecompressionBombError():
            return f"{part} cannot be read: {words}. Save an image of that size as TIFF."
        case RecursionError():
            return f"{part} cannot be read: it is nested too deeply. The file may be damaged."
        case KeyError():
            words = f"{words} is missing"
        case _ if "imagecodecs" in words:
            return f'{part} cannot be read: {words}. Install it: pip install "napari-sam-live[tiff]".'
    return f"{part} cannot be read: {words}. The file may be damaged or not whole."
