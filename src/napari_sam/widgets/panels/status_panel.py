"""The line that says what is going on, and the hint or the progress bar below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from napari_sam.session.state import SessionState, Status
from napari_sam.widgets.controls.icons import draw_status
from napari_sam.widgets.controls.progress_row import ProgressRow
from napari_sam.widgets.controls.wrapped_label import NARROW, WrappedLabel

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QPaintEvent, QResizeEvent

    from napari_sam.session.state import StatusKind

BUSY_MS = 300
"""A wait shorter than this shows nothing: a line that flickers at every click tells nobody anything."""
BAR_MS = 2000
"""A wait longer than this shows the bar with Cancel, even when its length is not known."""

_LINES, _NARROW_LINES = 4, 6
"""Lines kept for text and hint together, in a dock of the usual width and in a narrow one."""
_TOP, _BETWEEN = 4, 2  # logical pixels

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
        self._hint = ""
        self.mark = StatusMark()
        self.text = WrappedLabel()
        self.hint = WrappedLabel()
        self.progress = ProgressRow(cancel)
        self._busy_timer = self._timer(BUSY_MS, self._on_busy_timeout)
        self._bar_timer = self._timer(BAR_MS, self._on_bar_timeout)

        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.mark, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.text, 1)
        self.progress.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, _TOP, 0, 0)
        layout.setSpacing(_BETWEEN)
        layout.addLayout(line)
        # The hint and the bar take turns, in a room that is kept: nothing below moves when work begins or ends.
        layout.addWidget(self.hint)
        layout.addWidget(self.progress)
        layout.addStretch(1)

    def minimumSizeHint(self) -> QSize:
        """Return the height of the lines that are kept, so that the panels below stay put when texts change."""
        lines = _LINES if self.width() >= NARROW else _NARROW_LINES
        texts = self.text.height_of(lines) + self.hint.height_of(0)
        return QSize(0, texts + _TOP + _BETWEEN)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep more lines where they are short."""
        super().resizeEvent(event)
        self._fit()

    def draw(self, state: SessionState) -> None:
        """Show the status and the hint of `state`."""
        before, self._status = self._status, state.status
        self._hint = state.hint
        if state.status.kind != "working":
            self._busy_timer.stop()
            self._bar_timer.stop()
            self.progress.hide()
            self._show_line()
            return
        if before.kind != "working":
            self.progress.start()
            self._busy_timer.start()
            self._bar_timer.start()
        elif not self._busy_timer.isActive():
            self._show_line()
        # Not `isVisible`, which is false for all that is in a dock that is hidden.
        if not self.progress.isHidden():
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
        self._fit()

    def _fit(self) -> None:
        """Show the hint, except where a message that needs the person leaves no room for it."""
        self.setMinimumHeight(self.minimumSizeHint().height())
        self.hint.show_text(self._hint)
        needed = self.text.heightForWidth(self.text.width()) + self.hint.heightForWidth(self.width()) + _TOP + _BETWEEN
        urgent = self._status.kind in ("attention", "failed")
        self.hint.setHidden(not self.progress.isHidden() or (urgent and needed > self.minimumHeight()))

    def _show_bar(self) -> None:
        self.hint.hide()
        self.progress.show()
        self.progress.show_progress(self._status.fraction, cancellable=self._status.cancellable)
