"""Writes embeddings behind the back of whoever made them, so that no click waits for the disk."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.cache.packed import PackedEmbedding

_log = logging.getLogger(__name__)

MOST_WAITING = 256 << 20
"""Bytes that may wait to be written; what comes on top is not written."""


class Writer:
    """Writes on a thread of its own, which lives only while there is something to write.

    The interpreter does not exit before what waits is written, which is why so little may wait.

    Parameters
    ----------
    write : callable
        Writes one embedding.
    most : int
        Bytes that may wait. A disk that is slower than the model must not fill the memory.
    """

    def __init__(self, write: Callable[[PackedEmbedding], object], most: int = MOST_WAITING) -> None:
        self._write = write
        self._most = most
        self._changed = threading.Condition()
        self._waiting: deque[PackedEmbedding] = deque()
        self._bytes = 0
        self._thread: threading.Thread | None = None

    def submit(self, packed: PackedEmbedding) -> bool:
        """Have an embedding written soon; False if too much waits already."""
        with self._changed:
            # One alone may be larger than all that may wait: else it would never be written.
            if self._waiting and self._bytes + packed.nbytes > self._most:
                return False
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="napari-sam-cache")
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is about to exit
                    return False
                self._thread = thread
            # The thread cannot have looked in vain before this: it needs the same lock.
            self._waiting.append(packed)
            self._bytes += packed.nbytes
            return True

    def flush(self) -> None:
        """Wait until everything is written."""
        with self._changed:
            self._changed.wait_for(lambda: self._thread is None)

    def _run(self) -> None:
        while (packed := self._next()) is not None:
            try:
                self._write(packed)
            except Exception:
                _log.exception("An embedding could not be written to disk")
            with self._changed:
                # Only now, because what is being written is held in memory as well.
                self._bytes -= packed.nbytes

    def _next(self) -> PackedEmbedding | None:
        """Take the next embedding, or end the thread."""
        with self._changed:
            if self._waiting:
                return self._waiting.popleft()
            self._thread = None
            self._changed.notify_all()
            return None
