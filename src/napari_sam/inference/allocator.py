"""Hands memory that is free, but that the C library holds, back to the system."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def _trim() -> Callable[[int], int] | None:
    """Find glibc's `malloc_trim`; None where there is none, as on macOS, on Windows and with musl."""
    if sys.platform != "linux":
        return None
    try:
        # None stands for the process itself, and so for the C library that everything in it allocates from.
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    found: Callable[[int], int] = trim
    return found


def give_back() -> bool:
    """Hand free memory back, where the C library can; takes some ten milliseconds, and is safe on any thread.

    glibc gives every thread heaps of its own and keeps what is freed in them. A model frees hundreds of megabytes with
    every plane, and every thread that encodes one would leave as much behind.

    Returns
    -------
    bool
        Whether anything was handed back.
    """
    trim = _trim()
    return trim is not None and bool(trim(0))  # 0: keep nothing of what is free at the top
