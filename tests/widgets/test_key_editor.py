"""The Keys section: a click on a key, and the next key that is pressed is the action's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from desk import LEFT, Desk
from fitting import cut, narrow
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sam.session.actions import ACTIONS
from napari_sam.widgets.controls.action_button import keys_text

if TYPE_CHECKING:
    from collections.abc import Callable

CTRL, SHIFT, NONE = (
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.NoModifier,
)


@pytest.fixture
def open_keys(open_desk, qtbot) -> Callable[[], Desk]:
    def open_it() -> Desk:
        desk = open_desk()
        desk.dock.keys.expand(animate=False)
        window = desk.viewer.window._qt_window
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow, timeout=60_000)
        QApplication.processEvents()
        return desk

    return open_it


def give_key(desk: Desk, name: str, key: Qt.Key, modifier: Qt.KeyboardModifier = NONE) -> str:
    """Click the key of an action, press another one, and return what the section says."""
    button = desk.dock.keys.buttons[name]
    desk.press_button(button)
    assert button.waiting and button.text() == "Press a key"
    QTest.keyClick(button, key, modifier)
    QApplication.processEvents()
    assert not button.waiting
    return desk.dock.keys.help.text()


def test_every_key_has_a_name_on_the_screen():
    for action in ACTIONS.values():
        for key in action.keys:
            assert keys_text((key,)), key
    assert keys_text(("Ctrl-PageDown", "Shift-Delete")) == "Ctrl+PgDown or Shift+Del"


def test_a_new_key_is_shown_everywhere_and_works(open_keys):
    desk = open_keys()
    said = give_key(desk, "accept", Qt.Key.Key_F8, SHIFT)
    accept = desk.dock.candidates.buttons[0]
    assert said == "Accept has the key Shift+F8 now."
    assert desk.dock.keys.buttons["accept"].text() == "Shift+F8"
    assert accept.toolTip().endswith("Key: Shift+F8")
    assert desk.canvas.native.hasFocus()
    desk.click(LEFT)
    desk.press_key(Qt.Key.Key_Return)
    assert desk.session.target is None
    desk.press_key(Qt.Key.Key_F8, SHIFT)
    assert desk.session.target.data.max() == 1


def test_clashes_are_refused_with_words(open_keys):
    desk = open_keys()
    assert "is the key of Next candidate" in give_key(desk, "accept", Qt.Key.Key_N)
    assert "napari uses" in give_key(desk, "accept", Qt.Key.Key_3)  # a mode of its layers
    assert "is napari's" in give_key(desk, "accept", Qt.Key.Key_O, CTRL)  # its menu: open files
    assert desk.dock.keys.buttons["accept"].text().startswith("Enter")
    assert not desk.session.keys.is_chosen()


def test_escape_leaves_it_and_backspace_resets(open_keys):
    desk = open_keys()
    give_key(desk, "clear", Qt.Key.Key_F6)
    give_key(desk, "clear", Qt.Key.Key_Escape)
    assert desk.session.keys.of("clear") == ("F6",)
    give_key(desk, "clear", Qt.Key.Key_Backspace)
    assert desk.session.keys.of("clear") == ("Shift-C",)
    give_key(desk, "clear", Qt.Key.Key_F6)
    desk.press_button(desk.dock.keys.reset_button)
    assert desk.session.keys.of("clear") == ("Shift-C",)
    assert not desk.dock.keys.reset_button.isEnabled()


def test_it_works_without_a_mouse_and_a_modifier_alone_is_no_key(open_keys):
    desk = open_keys()
    button = desk.dock.keys.buttons["clear"]
    button.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(button, Qt.Key.Key_Space)
    QTest.keyPress(button, Qt.Key.Key_Shift, SHIFT)
    assert button.waiting
    QTest.keyPress(button, Qt.Key.Key_F7, SHIFT)
    assert desk.session.keys.of("clear") == ("Shift-F7",)


def test_who_looks_elsewhere_waits_for_no_key(open_keys):
    desk = open_keys()
    button = desk.dock.keys.buttons["clear"]
    desk.press_button(button)
    desk.canvas.native.setFocus()
    assert not button.waiting and button.text() == "Shift+C"


def test_another_dock_begins_with_them(open_keys):
    desk = open_keys()
    give_key(desk, "accept", Qt.Key.Key_F8)
    desk.viewer.window.remove_dock_widget(desk.dock)
    desk.open_dock()
    desk.settle()
    assert desk.dock.keys.buttons["accept"].text() == "F8"


def test_nothing_is_cut_in_a_narrow_dock(open_keys):
    desk = open_keys()
    give_key(desk, "accept", Qt.Key.Key_N)
    narrow(desk, 300)
    assert cut(desk) == []


def test_the_keys_of_classes_are_one_line_until_one_is_changed(open_keys):
    desk = open_keys()
    keys = desk.dock.keys
    (group,) = keys.groups.values()
    assert group.text() == "Alt+1 … Alt+0"
    assert not keys.buttons["class_3"].isVisible()
    desk.press_button(group)
    assert keys.buttons["class_3"].isVisible()
    assert not group.isVisible()
    give_key(desk, "class_3", Qt.Key.Key_F8, SHIFT)
    assert keys.buttons["class_3"].text() == "Shift+F8"
    desk.press_button(keys.reset_button)
    assert group.isVisible()
    assert not keys.buttons["class_3"].isVisible()
    desk.session.keys.choose("class_0", "Shift-F8")
    assert keys.buttons["class_0"].isVisible()
    assert not group.isVisible()
