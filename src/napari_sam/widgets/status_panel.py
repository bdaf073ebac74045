"""The line that says what is going on, and the hint or the progress bar below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QStackedLayout, QVBoxLayout, QWidget

from napari_sam.session.state import SessionState, Status
from napari_sam.widgets.controls import WrappedLabel
from napari_sam.widgets.icons import draw_status
from napari_sam.widgets.progress_row import ProgressRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QPaintEvent

    from napari_sam.session.state import StatusKind

BUSY_MS = 300
"""A wait shorter than this shows nothing: a line that flickers at every click tells nobody anything."""
BAR_MS = 2000
"""A wait longer than this shows the bar with Cancel, even when its length is not known."""

_MARK = 16  # logical pixels
_INSET = 4  # of the mark, so that it stands on the first line of the text beside it
_FRAME_MS = 50


class StatusMark(QWidget):
    """The mark at the head of the line; it turns while work goes on."""

    def __init__(self) -> None:
        super().__init__()
        self._kind: StatusKind = "idle"
        self._turn = 0.0
        self._clock = QTimer(self)
        self._clock.setInterval(_FRAME_MS)
        self._clock.timeout.connect(self._on_clock_timeout)
        self.setFixedSize(_MARK + _INSET, _MARK + _INSET)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    @property
    def kind(self) -> StatusKind:
        """What the mark says now."""
        return self._kind

    def show_kind(self, kind: StatusKind) -> None:
        """Show the mark of a kind of status."""
        self._kind = kind
        self.setAccessibleName(kind)
        if kind == "working":
            self._clock.start()
        else:
            self._clock.stop()
        self.update()

    def _on_clock_timeout(self) -> None:
        self._turn = (self._turn + _FRAME_MS / 1000) % 1
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Paint the mark."""
        painter = QPainter(self)
        painter.translate(_INSET, _INSET)
        draw_status(painter, self._kind, _MARK, self._turn)
        painter.end()


class StatusPanel(QWidget):
    """Draws `SessionState.status` and `SessionState.hint`.

    Parameters
    ----------
    cancel : callable
        Stops the work that goes on.
    """

    def __init__(self, cancel: Callable[[], object]) -> None:
        super().__init__()
        self._status = Status()
        self.mark = StatusMark()
        self.text = WrappedLabel()
        self.hint = WrappedLabel(lines=2)
        self.progress = ProgressRow(cancel)
        self._busy_timer = self._timer(BUSY_MS, self._on_busy_timeout)
        self._bar_timer = self._timer(BAR_MS, self._on_bar_timeout)

        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.mark, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.text, 1)
        # The hint and the bar share one place, so that nothing below moves when work begins or ends.
        self._below = QStackedLayout()
        self._below.addWidget(self.hint)
        self._below.addWidget(self.progress)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addLayout(self._below)

    def draw(self, state: SessionState) -> None:
        """Show the status and the hint of `state`."""
        before, self._status = self._status, state.status
        self.hint.show_text(state.hint)
        if state.status.kind != "working":
            self._busy_timer.stop()
            self._bar_timer.stop()
            self._below.setCurrentWidget(self.hint)
            self._show_line()
            return
        if before.kind != "working":
            self.progress.start()
            self._busy_timer.start()
            self._bar_timer.start()
        elif not self._busy_timer.isActive():
            self._show_line()
        if self._below.currentWidget() is self.progress:
            self._show_bar()

    def _timer(self, milliseconds: int, slot: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.timeout.connect(slot)
        return timer

    def _on_busy_timeout(self) -> None:
        self._show_line()
        if self._status.fraction is not None:
            self._show_bar()

    def _on_bar_timeout(self) -> None:
        self._show_bar()

    def _show_line(self) -> None:
        self.mark.show_kind(self._status.kind)
        self.text.show_text(self._status.text)

    def _show_bar(self) -> None:
        self._below.setCurrentWidget(self.progress)
        self.progress.show_progress(self._status.fraction, cancellable=self._status.cancellable)
