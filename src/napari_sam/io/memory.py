"""Sizes are compared with the memory that is free before anything of that size is made."""

from __future__ import annotations

import os
from pathlib import Path

from napari_sam.errors import InputError

# Of free memory; what is read is copied at least once on its way to the model.
_SHARE = 0.5
# Where the system does not say what is free.
_UNKNOWN = 8 * 2**30


def free_memory() -> int:
    """Count the bytes of memory that are free, or that the system would free."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        # Not what is free, which leaves out what the system holds to be quick, and gives back when asked.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN


def largest_read() -> int:
    """Give the bytes that one read may take: half of the memory that is free."""
    return int(free_memory() * _SHARE)


def require_room(path: object, size: int, what: str = "") -> None:
    """Refuse what does not fit into memory, before it is made.

    Parameters
    ----------
    path : path-like or str
        Named in the error.
    size : int
        In bytes.
    what : str
        The part that is read: "plane 12". Default: the whole.

    Raises
    ------
    InputError
        If it is over half of the memory that is free.
    """
    if size > (most := largest_read()):
        part = f"{what[:1].upper()}{what[1:]} of {path}" if what else str(path)
        raise InputError(
            f"{part} needs {_amount(size)} of memory, and one read may take {_amount(most)}, half of what is free. "
            "Save the part that you want as a file of its own; if the image is smaller than that, the file is damaged."
        )


def _amount(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB" if size < 2**60 else f"{size:.0e} bytes"
