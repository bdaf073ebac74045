"""A line to type in, whose Enter and Escape are its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal  # type: ignore[attr-defined]  # qtpy renames it, which mypy cannot see
from qtpy.QtWidgets import QLineEdit, QSizePolicy

from napari_sam.widgets.controls.narrow import line_height

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent


class TypedLine(QLineEdit):
    """A line to type in. Enter and Escape are its own: the window would have the canvas act on them.

    Parameters
    ----------
    placeholder, help : str
        What it says while it is empty, and its tooltip.
    """

    entered = Signal()
    """Enter was pressed."""
    left = Signal()
    """Escape was pressed."""

    def __init__(self, placeholder: str, help: str) -> None:
        super().__init__()
        self.setPlaceholderText(placeholder)
        self.setToolTip(help)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Return room for some words."""
        return QSize(160, line_height(self))

    def minimumSizeHint(self) -> QSize:
        """Return room for a word."""
        return QSize(80, line_height(self))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Take what is typed with Enter, or leave with Escape."""
        if event is None:
            return
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            event.accept()
            self.entered.emit()
        elif event.key() == Qt.Key.Key_Escape:
            event.accept()
            self.left.emit()
        else:
            super().keyPressEvent(event)
