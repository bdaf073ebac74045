"""Shows long work in napari's own activity area as well, where a person looks who has hidden the dock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils import cancelable_progress
from qtpy.QtCore import QObject, QTimer

from napari_sam.session.state import Status

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_MS = 2000
"""Shorter work does not appear in the activity area."""

_REDRAW_MS = 200
_STEPS = 100


class _ProgressEntry(cancelable_progress):  # type: ignore[misc]  # tqdm, its base, has no types
    """A progress bar of napari's whose Cancel button acts at once; napari's own waits for the next iteration."""

    def cancel(self) -> None:
        super().cancel()
        if self.cancel_callback is not None:
            self.cancel_callback()


class ActivityEntry(QObject):
    """Mirrors a status into napari's activity area.

    napari pumps Qt's event loop inside each update of that area. Therefore the entry is only ever touched from this
    object's own timer, never from within a change of what it shows, and every step expects that the work
    has ended meanwhile.

    Parameters
    ----------
    cancel : callable
        Stops the work that goes on.
    """

    def __init__(self, cancel: Callable[[], object]) -> None:
        super().__init__()
        self._cancel = cancel
        # An update that waits for napari's pumping finds that there is nothing more to do.
        self._status = Status()
        self._entry: Any = None
        self._busy = False
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._on_timer_timeout)

    def show(self, status: Status) -> None:
        """Take note of what goes on; the activity area follows a little later."""
        before, self._status = self._status, status
        if status.kind == "working" and before.kind != "working":
            self._timer.start(LONG_MS)
        elif status.kind != "working":
            # Soon, but not within this change: ending the entry pumps events.
            self._timer.start(0) if self._entry is not None else self._timer.stop()

    def close(self) -> None:
        """Remove the entry, and make no other."""
        self._timer.stop()
        self._status = Status()
        self._end()

    def _on_timer_timeout(self) -> None:
        if self._busy:  # napari's pumping brought us here again
            return
        self._busy = True
        try:
            self._update()
        finally:
            self._busy = False

    def _update(self) -> None:
        status = self._status
        if status.kind != "working":
            self._timer.stop()
            self._end()
            return
        # The first time came later, as short work is not shown.
        self._timer.setInterval(_REDRAW_MS)
        if self._entry is None:
            self._entry = _ProgressEntry(desc=status.text, total=_STEPS, cancel_callback=self._cancel)
        entry = self._entry
        # tqdm puts a colon after what it is given.
        if entry.desc.removesuffix(": ") != status.text:
            entry.set_description(status.text)
        # The words above made napari pump: the entry may have ended.
        if status.fraction is not None and self._entry is entry:
            entry.update(round(_STEPS * status.fraction) - entry.n)
        if self._status.kind != "working":  # it ended while napari pumped
            self._end()

    def _end(self) -> None:
        # Out of reach first: closing it pumps events, which may lead here again.
        entry, self._entry = self._entry, None
        if entry is not None:
            entry.cancel_callback = None
            entry.close()
