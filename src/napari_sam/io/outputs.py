"""Where results may be written: never over what they are made from, and over nothing else unless the person says so."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def require_output(
    path: Path,
    inputs: Iterable[Path] = (),
    *,
    replace: bool = False,
    folder: bool = False,
    hint: str = "or use --force to replace it",
) -> None:
    """Refuse a place for a result, before the work.

    Parameters
    ----------
    path : Path
        Where the result goes: a file, or a folder where its format is one.
    inputs : iterable of Path
        What the result is made from; none of it is ever written over, under whatever name.
    replace : bool
        Whether the person agrees that what is there is replaced.
    folder : bool
        Whether the result may be a folder.
    hint : str
        How to agree, as the end of a sentence.

    Raises
    ------
    InputError
        If there is no such folder, the place is an input, is neither a regular file nor a folder, or is taken.
    """
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent}. Make it, or choose another output.")
    require_replaceable(path)
    if path.is_dir() and not folder:
        raise InputError(f"{path} is a folder. Choose another output.")
    for one in inputs:
        if same_place(path, one):
            raise InputError(f"{path} is the input {one} itself, which is never written to. Choose another output.")
    if os.path.lexists(path) and not replace:
        raise InputError(f"{path} exists. Choose another output, {hint}.")


def require_replaceable(path: Path) -> None:
    """Refuse to put a result in the place of a device, a pipe, a link to a folder or to nothing.

    Raises
    ------
    InputError
        If something is there that is neither a regular file, nor a link to one, nor a folder.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        # stat follows links: what it does not find may be a link to nothing.
        if path.is_symlink():
            raise InputError(f"{path} is a link to nothing. Delete it, or choose another output.") from None
        return
    except OSError as error:
        raise InputError(f"{path} cannot be written: {reason(error)}. {remedy(error)}") from error
    if not (stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and not path.is_symlink())):
        raise InputError(f"{path} is not a regular file. Choose another output.")


def same_place(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to one file: through links, hard links, ``..`` or another case of the name."""
    with suppress(OSError):
        return os.path.samefile(one, other)
    # One of them is not there. Names that differ in case alone may be one file, too.
    return str(one.resolve()).casefold() == str(other.resolve()).casefold()


def reason(error: OSError) -> str:
    """Say in words why a file could not be written."""
    return str(error.strerror or error)


def remedy(error: OSError) -> str:
    """Say what to do about a file that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Make room on the disk, or choose another folder."
    if error.errno == errno.ENAMETOOLONG:
        return "Choose a shorter name."
    return "Choose another folder."
