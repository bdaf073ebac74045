"""What readers of files share: libraries that are optional, and errors in words."""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_sam.errors import InputError, NapariSamError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


@contextmanager
def reading(path: Path, what: str = "") -> Iterator[None]:
    """Turn whatever a library raises over a file into words.

    Parameters
    ----------
    path : Path
        The file or folder.
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
    except (NapariSamError, MemoryError):
        raise
    # Decoders raise what they like over a damaged file: struct.error, zlib.error, KeyError, IndexError, ...
    except Exception as error:
        words = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        if isinstance(error, KeyError):
            words = f"{words} is missing"
        if "imagecodecs" in words:
            raise InputError(
                f'{part} cannot be read: {words}. Install it: pip install "napari-sam-live[tiff]".'
            ) from error
        raise InputError(f"{part} cannot be read: {words}. The file may be damaged or not whole.") from error
