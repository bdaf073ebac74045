"""Who has the keyboard: the canvas, except while a person chooses or types in the dock.

A combo box that kept it after a choice would take the arrow keys of the next gesture for another choice, and the keys
of the tools would do nothing. Who has no mouse goes through the dock by the Tab key: Enter presses what Space presses,
Escape gives the keyboard back, and a frame shows where one is.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QPainter, QPalette, QPen
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QAbstractButton, QApplication, QMainWindow, QWidget

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent, QPaintEvent

_FOLLOWED = (QEvent.Type.Move, QEvent.Type.Resize, QEvent.Type.Hide, QEvent.Type.Show, QEvent.Type.LayoutRequest)


def focus_canvas(widget: QWidget) -> None:
    """Let the canvas of the window that a widget belongs to have the keyboard, also from a dock that floats.

    Parameters
    ----------
    widget : QWidget
        Where the keyboard was needed until now. Outside of napari's window it only loses it.
    """
    window = widget.parentWidget()
    while window is not None and not isinstance(window, QMainWindow):
        window = window.parentWidget()
    middle = None if window is None else window.centralWidget()
    canvas = None if middle is None else middle.findChild(QOpenGLWidget)
    if window is None or canvas is None:
        widget.clearFocus()
        return
    # A dock that floats is a window of its own, and the keyboard is that of the active window.
    if not canvas.isActiveWindow():
        window.activateWindow()
    canvas.setFocus()


def press_focused(dock: QWidget, event: QKeyEvent) -> bool:
    """Handle a key that the focused control of a dock does not use itself; tell whether it meant anything.

    Enter would else reach napari, and accept an object while the person presses some button; Qt presses it by Space
    alone. A key that is held presses once.
    """
    focused = QApplication.focusWidget()
    if focused is None or focused is dock or not dock.isAncestorOf(focused):
        return False
    if event.key() == Qt.Key.Key_Escape:
        focus_canvas(focused)
        return True
    if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and isinstance(focused, QAbstractButton):
        if not event.isAutoRepeat():
            focused.click()
        return True
    return False


def leaves_dead_control(dock: QWidget) -> bool:
    """Give the keyboard to the canvas where the focused control is greyed out or gone; tell whether it was.

    Qt would go to the next control, and the key that accepted would then clear.
    """
    focused = QApplication.focusWidget()
    if focused is None or not dock.isAncestorOf(focused) or (focused.isEnabled() and focused.isVisible()):
        return False
    focus_canvas(focused)
    return True


class FocusRing(QWidget):
    """A frame around the control that has the keyboard; napari's themes draw none.

    Parameters
    ----------
    area : QWidget
        What holds the controls.
    """

    def __init__(self, area: QWidget) -> None:
        super().__init__(area)
        self._control: QWidget | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hide()
        if isinstance(application := QApplication.instance(), QApplication):
            application.focusChanged.connect(self._on_focus_changed)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow the control where the layout puts it."""
        if watched is self._control and event is not None and event.type() in _FOLLOWED:
            self._follow()
        return super().eventFilter(watched, event)

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Draw the frame, in the colour of the text."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self.palette().color(QPalette.ColorRole.WindowText), 1.5))
        painter.drawRoundedRect(self.rect().toRectF().adjusted(1, 1, -1, -1), 3, 3)

    def _on_focus_changed(self, _before: QWidget | None, control: QWidget | None) -> None:
        if self._control is not None:
            with suppress(RuntimeError):  # Qt has deleted it
                self._control.removeEventFilter(self)
        area = self.parentWidget()
        inside = area is not None and control is not None and area.isAncestorOf(control)
        self._control = control if inside else None
        if self._control is not None:
            self._control.installEventFilter(self)
        self._follow()

    def _follow(self) -> None:
        area, control = self.parentWidget(), self._control
        if area is not None and control is not None and control.isVisible():
            place = control.rect().translated(control.mapTo(area, control.rect().topLeft()))
            self.setGeometry(place.adjusted(-2, -2, 2, 2))
            self.raise_()
            self.show()
        else:
            self.hide()
