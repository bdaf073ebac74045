"""Measures a dock: what is cut, and what moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QScrollArea,
    QStyle,
    QStyleOptionComboBox,
    QWidget,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from desk import Desk


_CONTROLS = (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit)


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
        # The line inside a number is Qt's, which makes it a pixel too wide in some versions; see `cut_words` for it.
        if not widget.isVisible() or isinstance(widget.parentWidget(), QAbstractSpinBox):
            continue
        if not widget.parentWidget().rect().contains(widget.geometry()):
            found.append(f"{_name(widget)} {widget.geometry()} lies beyond {_name(widget.parentWidget())}")
        if not panels.rect().contains(QRect(widget.mapTo(panels, QPoint(0, 0)), widget.size())):
            found.append(f"{_name(widget)} lies beyond the panels")
        found += [f"{_name(widget)} covers {_name(other)}" for other in _covered(widget)]
        if isinstance(widget, QLabel | QAbstractButton) and widget.text() and not _fits(widget):
            found.append(f"{widget.text()!r} is cut")
        if isinstance(widget, _CONTROLS) and not isinstance(widget.parentWidget(), QComboBox):
            # Headings have no border.
            least = min(widget.minimumSizeHint().height(), widget.fontMetrics().height() + 2)
            if widget.height() < least:
                found.append(f"{_name(widget)} is only {widget.height()} px high")
    return found


def cut_words(desk: Desk, names: Collection[QWidget] = (), kinds: type[QWidget] = QWidget) -> list[str]:
    """Name the words in boxes and fields that do not fit into them: all rows of a combo box, as any may be chosen.

    Parameters
    ----------
    desk : Desk
        The window.
    names : collection of QWidget
        Combo boxes that list files, layers or models, of any length: there, only what is shown is looked at.
    kinds : type
        Which widgets to look at.
    """
    found = []
    for widget in desk.dock.findChild(QScrollArea).widget().findChildren(kinds):
        if not widget.isVisible():
            continue
        if isinstance(widget, QComboBox):
            shown = [widget.currentText() or widget.placeholderText()]
            texts = shown if widget in names else [*shown, *map(widget.itemText, range(widget.count()))]
        elif isinstance(widget, QAbstractSpinBox):
            texts = [widget.text()]
        elif isinstance(widget, QLineEdit) and not isinstance(widget.parentWidget(), QAbstractSpinBox):
            texts = [widget.text() or widget.placeholderText()]
        else:
            continue
        advance, room = widget.fontMetrics().horizontalAdvance, _text_room(widget)
        found += [
            f"{text!r} takes {advance(text)} px of {room} in {widget.accessibleName() or _name(widget)!r}"
            for text in dict.fromkeys(texts)
            if advance(text) > room
        ]
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


def _text_room(widget: QWidget) -> int:
    """Return the width that a combo box, a spin box or a line leaves for its text, logical pixels."""
    if isinstance(widget, QComboBox):
        option = QStyleOptionComboBox()
        widget.initStyleOption(option)
        kind, part = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
        return widget.style().subControlRect(kind, option, part, widget).width() - 4
    line = widget.lineEdit() if isinstance(widget, QAbstractSpinBox) else widget
    return line.contentsRect().width() - 4  # Qt keeps 2 on each side


def _name(widget: QWidget) -> str:
    text = widget.text() if isinstance(widget, QLabel | QAbstractButton) else ""
    return f"{type(widget).__name__} {text!r}" if text else type(widget).__name__
