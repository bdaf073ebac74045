"""Stacks that tasks read: each thread keeps its last one open, because the next task mostly reads the same one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from napari_sam.io.stacks import open_stack

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam.io.stacks import ImageStack

_lock = threading.Lock()
_open: dict[int, ImageStack] = {}
"""By the number of the thread: what one thread reads, no other one closes."""


def opened(path: Path) -> ImageStack:
    """Return an open stack; it stays open until the same thread asks for another one.

    Raises
    ------
    InputError
        As `napari_sam.io.stacks.open_stack`.
    """
    thread = threading.get_ident()
    with _lock:
        last = _open.get(thread)
    if last is not None and last.path == path:
        return last
    stack = open_stack(path)
    with _lock:
        _open[thread] = stack
    if last is not None:
        last.close()
    return stack


def close_stacks() -> None:
    """Close the stacks of all threads; none of them is reading any more."""
    with _lock:
        for stack in _open.values():
            stack.close()
        _open.clear()
