"""Measures a dock: what is cut, and what moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtWidgets import QAbstractButton, QApplication, QLabel, QScrollArea, QWidget

if TYPE_CHECKING:
    from desk import Desk


def settle_layout() -> None:
    """Let Qt lay everything out: a text that wraps anew asks for its height level by level, an event loop for each."""
    for _ in range(12):
        QApplication.processEvents()


def narrow(desk: Desk, width: int) -> None:
    """Give the dock a width, logical pixels."""
    desk.viewer.window._qt_window.resizeDocks([desk.frame], [width], Qt.Orientation.Horizontal)
    settle_layout()


def cut(desk: Desk) -> list[str]:
    """Name what does not fit.

    Widgets beyond their parent or the viewport, or over one another, and text wider or taller than its widget.
    """
    scroll = desk.dock.findChild(QScrollArea)
    panels = scroll.widget()
    found = []
    if panels.width() > scroll.viewport().width():
        found.append(f"the panels are {panels.width()} px wide, what is seen of them {scroll.viewport().width()} px")
    for widget in panels.findChildren(QWidget):
        if not widget.isVisible():
            continue
        if not widget.parentWidget().rect().contains(widget.geometry()):
            found.append(f"{_name(widget)} {widget.geometry()} lies beyond {_name(widget.parentWidget())}")
        if not panels.rect().contains(QRect(widget.mapTo(panels, QPoint(0, 0)), widget.size())):
            found.append(f"{_name(widget)} lies beyond the panels")
        found += [f"{_name(widget)} covers {_name(other)}" for other in _covered(widget)]
        if isinstance(widget, QLabel | QAbstractButton) and widget.text() and not _fits(widget):
            found.append(f"{widget.text()!r} is cut")
    return found


def places(desk: Desk) -> dict[str, tuple[int, int]]:
    """Return top and height of every panel and its buttons, logical pixels."""
    dock, panels = desk.dock, desk.dock.findChild(QScrollArea).widget()
    named = {
        name: getattr(dock, name) for name in ("source", "status", "prompt", "candidates", "target", "stack", "keys")
    }
    named |= {button.text(): button for button in (*dock.candidates.buttons, *dock.prompt.tools.values())}
    named |= {f"stack {name}": button for name, button in dock.stack.buttons.items()}
    return {name: (widget.mapTo(panels, QPoint(0, 0)).y(), widget.height()) for name, widget in named.items()}


def _covered(widget: QWidget) -> list[QWidget]:
    """Return the widgets beside one, in the same parent and below it in the order of drawing, that it lies over."""
    siblings = [child for child in widget.parentWidget().children() if isinstance(child, QWidget) and child.isVisible()]
    below = siblings[: siblings.index(widget)]
    return [other for other in below if other.geometry().intersects(widget.geometry())]


def _fits(widget: QLabel | QAbstractButton) -> bool:
    if isinstance(widget, QLabel) and widget.wordWrap():
        return widget.heightForWidth(widget.width()) <= widget.height()
    icon = 0 if isinstance(widget, QLabel) or widget.icon().isNull() else widget.iconSize().width() + 4
    room = widget.contentsRect()
    metrics = widget.fontMetrics()
    return metrics.horizontalAdvance(widget.text()) + icon <= room.width() and metrics.height() <= room.height()


def _name(widget: QWidget) -> str:
    text = widget.text() if isinstance(widget, QLabel | QAbstractButton) else ""
    return f"{type(widget).__name__} {text!r}" if text else type(widget).__name__
