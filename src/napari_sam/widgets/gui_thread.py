"""Brings calls from any thread to the GUI thread, where layers and widgets may be touched."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, Signal  # type: ignore[attr-defined]  # qtpy renames it, which mypy cannot see
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Callable


def is_mouse_held() -> bool:
    """Whether a mouse button is down, anywhere in the application. Safe from any thread: Qt only reads a number."""
    return QApplication.mouseButtons() != Qt.MouseButton.NoButton


class GuiThread(QObject):
    """A letter box of the thread that made it.

    It has no Qt parent, on purpose: whoever may still post holds a reference, so that no thread ever posts to an object
    that Qt has destroyed.
    """

    _posted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._open = True
        self._posted.connect(self._on_posted, Qt.ConnectionType.QueuedConnection)

    def post(self, call: Callable[[], None]) -> None:
        """Run `call` on this object's thread, soon and in order; dropped once the letter box is closed.

        Safe from any thread, and after Qt has gone.

        Parameters
        ----------
        call : callable
            Takes nothing; what it returns is ignored.
        """
        # Checked and posted in one go: after `close` has returned, nothing is posted.
        with self._lock:
            if not self._open:
                return
            try:
                self._posted.emit(call)
            except RuntimeError:  # the application tore Qt down before the last thread ended: nobody is left to tell
                self._open = False

    def close(self) -> None:
        """Drop what is under way, and everything that is posted from now on."""
        with self._lock:
            self._open = False

    def _on_posted(self, call: Callable[[], None]) -> None:
        if self._open:  # closed while the call was under way
            call()
