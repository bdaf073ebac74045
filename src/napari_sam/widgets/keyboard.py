"""Who has the keyboard: the canvas, except while a person chooses or types in the dock.

A combo box that kept it after a choice would take the arrow keys of the next gesture for another choice, and the keys
of the tools would do nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QMainWindow

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget


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
