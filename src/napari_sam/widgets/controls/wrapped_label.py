"""A text of several lines that keeps its room, so that the panels below it stay put."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRect, QSize, Qt, QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QLabel, QMenu, QSizePolicy

if TYPE_CHECKING:
    from qtpy.QtCore import QPoint
    from qtpy.QtGui import QResizeEvent

NARROW = 250
"""Width below which the panels of the dock keep more lines for their texts, logical pixels."""
_ENDLESS = 1 << 15  # a width at which nothing wraps, logical pixels


class WrappedLabel(QLabel):
    """Text that wraps, even a path with no space in it, and that a right click copies.

    Parameters
    ----------
    lines, narrow_lines : int
        Lines for which room is kept, so that the panels below stay put when a text comes or goes; in a narrow dock, by
        default as many.
    """

    def __init__(self, lines: int = 1, narrow_lines: int | None = None) -> None:
        super().__init__(" ")
        # A label that never had a text has no height for it, either.
        self.setText("")
        self._lines = lines
        self._narrow_lines = narrow_lines or lines
        self._text = ""
        self._asking = QTimer(self)  # ends with the label
        self._asking.setSingleShot(True)
        self._asking.timeout.connect(self.updateGeometry)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._on_menu_requested)
        self.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_text(self, text: str) -> None:
        """Show `text`; its long words get invisible places to break at."""
        if text != self._text:
            self._text = text
            self.setText(_breakable(text))
            self.setToolTip(text)
            self.updateGeometry()

    def heightForWidth(self, width: int) -> int:
        """Return the height of the text at this width, of at least the lines kept, logical pixels."""
        return max(super().heightForWidth(width), self._kept(width))

    def minimumSizeHint(self) -> QSize:
        """Return no width at all, and the height of the lines kept."""
        return QSize(0, self._kept(self.width()))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Ask for the room that is kept at the new width: layouts remember what was asked for before."""
        super().resizeEvent(event)
        if event is not None and event.size().width() != event.oldSize().width():
            self._asking.start()  # not now: a layout that is at work does not hear of it

    def _kept(self, width: int) -> int:
        return self.height_of(self._lines if width >= NARROW else self._narrow_lines)

    def height_of(self, lines: int) -> int:
        """Return the height of a number of lines with the padding of the style sheet, logical pixels."""
        self.ensurePolished()  # before it is shown, a label has neither napari's font nor its padding
        # Asked of the label, whose answer has the padding in it; the font knows nothing of that.
        one = super().heightForWidth(_ENDLESS)
        return one + self._text_height(lines) - self._text_height(1)

    def _text_height(self, lines: int) -> int:
        """Measure lines as Qt lays them out, which need not be a multiple of the font's line spacing."""
        text = "\n".join("x" * lines)
        return self.fontMetrics().boundingRect(QRect(0, 0, _ENDLESS, _ENDLESS), 0, text).height() if lines else 0

    def menu(self) -> QMenu:
        """Return a context menu that copies the text."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Copy message", self._on_copy_triggered)
        return menu

    def _on_menu_requested(self, position: QPoint) -> None:
        self.menu().popup(self.mapToGlobal(position))

    def _on_copy_triggered(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self._text)  # without the places to break at


def _breakable(text: str, longest: int = 24) -> str:
    """Put zero-width spaces after the separators of words longer than `longest` characters."""
    words = text.split(" ")
    return " ".join("".join(c + "\u200b" * (c in "/\\_-.") for c in w) if len(w) > longest else w for w in words)
