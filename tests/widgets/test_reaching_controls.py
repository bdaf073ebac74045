"""Who has no mouse reaches every control of the dock, sees where the keyboard is, and hears what a control is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from desk import LEFT, Desk, discs
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QScrollBar,
    QTableView,
    QWidget,
)

from napari_sam.widgets.controls.collapsible import CollapsibleSection
from napari_sam.widgets.keyboard import FocusRing

if TYPE_CHECKING:
    from collections.abc import Callable

CONTROLS = (QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit)


def controls(dock: QWidget) -> list[QWidget]:
    """Everything in the dock that a person may act on; the parts of a combo or a spin box are not for themselves."""
    return [
        widget
        for widget in dock.findChildren(QWidget)
        if isinstance(widget, CONTROLS)
        and not isinstance(widget, QScrollBar)
        and not isinstance(widget.parentWidget(), QAbstractSpinBox | QTableView)  # a table's corner is not shown
        and not any(type(parent).__name__ == "QComboBoxPrivateContainer" for parent in parents(widget))
    ]


def parents(widget: QWidget) -> list[QWidget]:
    found = []
    while (widget := widget.parentWidget()) is not None:
        found.append(widget)
    return found


@pytest.fixture
def open_all(make_napari_viewer, qtbot, engine) -> Callable[[], Desk]:
    """Return a function that opens a window with a stack, and unfolds every section of the dock."""

    def open_it() -> Desk:
        viewer = make_napari_viewer(show=True)
        viewer.window._qt_window.resize(1200, 900)
        viewer.add_image(np.stack([discs()] * 5), name="stack", axis_labels=("z", "y", "x"))
        desk = Desk(viewer, qtbot, engine)
        desk.settle()
        for section in desk.dock.findChildren(CollapsibleSection):
            section.expand(animate=False)
        viewer.window._qt_window.activateWindow()
        qtbot.waitUntil(viewer.window._qt_window.isActiveWindow, timeout=60_000)
        desk.canvas.native.setFocus()
        desk.settle()
        return desk

    return open_it


def test_every_control_says_what_it_is_and_does(open_all):
    desk = open_all()
    desk.click(LEFT)
    found = controls(desk.dock)
    assert len(found) > 40
    # Screen readers take the words on a button for its name; a sign, such as "+", says nothing.
    spoken = {w: w.accessibleName() or (w.text() if isinstance(w, QAbstractButton) else "") for w in found}
    nameless = [widget for widget, name in spoken.items() if not any(letter.isalpha() for letter in name)]
    assert nameless == []
    assert [widget for widget in found if not widget.toolTip()] == []


def test_every_control_is_reached_by_tab_and_framed(open_all):
    desk = open_all()
    desk.click(LEFT)
    ring = desk.dock.findChild(FocusRing)
    expected = {widget for widget in controls(desk.dock) if widget.isVisible() and widget.isEnabled()}
    first = desk.dock.source.image
    first.setFocus(Qt.FocusReason.TabFocusReason)
    reached: set[QWidget] = set()
    for _ in range(200):
        focused = QApplication.focusWidget()
        if not desk.dock.isAncestorOf(focused) or focused in reached:
            break
        reached.add(focused)
        assert ring.isVisible() and ring.size().width() > focused.width()
        QTest.keyClick(focused, Qt.Key.Key_Tab)
        QApplication.processEvents()
    assert expected - reached == set()
    desk.canvas.native.setFocus()
    assert ring.isHidden()


@pytest.mark.parametrize("key", [Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_space_and_enter_press_the_focused_button_once(open_all, key):
    desk = open_all()
    desk.click(LEFT)
    clear = next(button for button in desk.dock.candidates.buttons if button.text() == "Clear")
    pressed = []
    clear.clicked.connect(pressed.append)
    clear.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyPress(clear, key)
    for _ in range(3):
        focused = QApplication.focusWidget()
        QApplication.sendEvent(focused, QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier, "", True))
    QTest.keyRelease(QApplication.focusWidget(), key)
    desk.settle()
    assert len(pressed) == 1
    assert not desk.session.state.candidates and desk.session.target is None


def test_a_held_enter_presses_a_button_that_stays_once(open_all):
    desk = open_all()
    button, pressed = desk.dock.target.new_button, []
    button.clicked.connect(pressed.append)
    button.setFocus(Qt.FocusReason.TabFocusReason)
    for repeat in (False, True, True):
        event = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Return, Qt.KeyboardModifier.NoModifier, "", repeat)
        QApplication.sendEvent(button, event)
    assert len(pressed) == 1 and button.hasFocus()


def test_a_button_that_is_greyed_out_leaves_the_keyboard_to_the_canvas(open_all):
    """Qt would go on to the next one: the Space that accepted would clear."""
    desk = open_all()
    desk.click(LEFT)
    accept = next(button for button in desk.dock.candidates.buttons if button.text() == "Accept")
    accept.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(accept, Qt.Key.Key_Space)
    desk.settle()
    assert desk.session.target.data.max() == 1 and not accept.isEnabled()
    assert desk.canvas.native.hasFocus()


def test_escape_gives_the_keyboard_back(open_all):
    desk = open_all()
    for widget in controls(desk.dock):
        if widget.isVisible() and widget.isEnabled():
            widget.setFocus(Qt.FocusReason.TabFocusReason)
            QTest.keyClick(widget, Qt.Key.Key_Escape)
            assert desk.canvas.native.hasFocus(), widget
