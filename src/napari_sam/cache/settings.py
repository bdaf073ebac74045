"""Where embeddings are kept on disk, and how many.

The folder of the person's caches, or ``NAPARI_SAM_HOME``, or ``NAPARI_SAM_CACHE``, which also switches the cache off.
How many bytes it may hold is said by ``NAPARI_SAM_CACHE_SIZE``, or by a small file in the folder, so that the dock, a
notebook and the command line agree.
"""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

import platformdirs

from napari_sam.errors import CacheError, InputError
from napari_sam.files import HOME_VARIABLE, home, parse_bytes, read_small, write_whole

_log = logging.getLogger(__name__)

PLACE_VARIABLE = "NAPARI_SAM_CACHE"
SIZE_VARIABLE = "NAPARI_SAM_CACHE_SIZE"

MOST = 10_000_000_000
"""Bytes that are kept at most, unless the person says otherwise."""

_SHARE = 10  # of what could be free on the disk, one part in so many
_OFF = {"off", "0", "no", "false"}
_LIMIT_FILE = "limit.txt"


def folder() -> Path | None:
    """Folder of the embeddings, which may not exist yet; None where the cache on disk is switched off."""
    chosen = os.environ.get(PLACE_VARIABLE, "").strip()
    if chosen.lower() in _OFF:
        return None
    if chosen:
        return Path(chosen).expanduser()
    if os.environ.get(HOME_VARIABLE):
        return home() / "embeddings"
    return platformdirs.user_cache_path("napari-sam-live", appauthor=False) / "embeddings"


def required_folder() -> Path:
    """Folder of the embeddings, for whoever cannot do without.

    Raises
    ------
    CacheError
        If the cache on disk is switched off.
    """
    found = folder()
    if found is None:
        raise CacheError(f"The cache on disk is switched off by {PLACE_VARIABLE}. Unset it, or name a folder there.")
    return found


def chosen_limit(place: Path) -> int | None:
    """Bytes that the person allows in a folder; None where nothing was said."""
    said = os.environ.get(SIZE_VARIABLE, "").strip()
    if not said:
        with suppress(OSError, ValueError):
            said = read_small(place / _LIMIT_FILE, 1000).strip()
    try:
        return parse_bytes(said) if said else None
    except InputError as error:
        _log.warning("The size of the cache of embeddings is left at its default: %s", error)
        return None


def default_limit(place: Path, used: int) -> int:
    """Bytes that a folder which holds `used` bytes may hold, where the person did not say: a share of the disk."""
    there = next(path for path in (place, *place.absolute().parents) if path.exists())
    return min(MOST, (shutil.disk_usage(there).free + used) // _SHARE)


def choose_limit(place: Path, limit: int | None) -> None:
    """Keep, in the folder, how many bytes it may hold; None goes back to the default.

    Raises
    ------
    CacheError
        If the folder cannot be written to.
    """
    try:
        if limit is None:
            (place / _LIMIT_FILE).unlink(missing_ok=True)
        else:
            place.mkdir(parents=True, exist_ok=True)
            write_whole(place / _LIMIT_FILE, f"{limit} bytes\n")
    except OSError as error:
        raise CacheError(
            f"{place} cannot be written to: {error.strerror or error}. Change its permissions, or choose another "
            f"folder by {PLACE_VARIABLE}."
        ) from error
