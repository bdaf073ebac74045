"""A number to type in that is as narrow as its digits, and leaves the keyboard to the canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QSizePolicy, QSpinBox

from napari_sam.widgets.controls.narrow import line_height
from napari_sam.widgets.keyboard import focus_canvas

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent, QMouseEvent, QResizeEvent, QWheelEvent

_STYLE = "QSpinBox { min-width: 0px; }"  # napari's asks for more than a narrow dock has
# Not by `setButtonSymbols`: with napari's style, some versions of Qt leave no room for the number then.
_BARE = (
    "QSpinBox { padding: 1px 4px; } QSpinBox::up-button, QSpinBox::down-button { width: 0px; border: none; }"
    "QSpinBox::up-arrow, QSpinBox::down-arrow { width: 0px; height: 0px; image: none; }"
)
_DIGITS, _BUTTONS = 46, 40  # widths of a number and of the buttons beside it, logical pixels


class NumberBox(QSpinBox):
    """A whole number. It has the keyboard while somebody types in it, and gives it back to the canvas.

    Parameters
    ----------
    name, help : str
        What it is, and its tooltip.
    """

    def __init__(self, name: str, help: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setToolTip(help)
        self.setKeyboardTracking(False)  # a number counts when it is typed to its end
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setStyleSheet(_STYLE)

    def show_range(self, value: int, low: int, high: int) -> None:
        """Show a number, and which others can be chosen; nothing is signalled to the outside."""
        self.blockSignals(True)
        self.setRange(low, high)
        self.setValue(value)
        self.blockSignals(False)

    def sizeHint(self) -> QSize:
        """Return room for some digits and the two buttons."""
        return QSize(_DIGITS + _BUTTONS, line_height(self))

    def minimumSizeHint(self) -> QSize:
        """Return room for the digits."""
        return QSize(_DIGITS, line_height(self))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Show the two buttons where there is room for them beside the digits."""
        super().resizeEvent(event)
        style = _STYLE if self.width() >= self.sizeHint().width() else _STYLE + _BARE
        if style != self.styleSheet():
            self.setStyleSheet(style)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Take the number with Enter, or go back to the last one with Escape; either is the end of typing."""
        if event is None:
            return
        if event.key() == Qt.Key.Key_Escape and (field := self.lineEdit()) is not None:
            field.setText(self.textFromValue(self.value()))
        else:
            super().keyPressEvent(event)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape):
            event.accept()  # or the window would have the canvas accept the mask
            focus_canvas(self)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Give the keyboard back after a click on one of the two buttons; the number itself is a widget of its own."""
        super().mouseReleaseEvent(event)
        focus_canvas(self)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the wheel to the scroll area."""
        if event is not None:
            event.ignore()
