"""Tempos in a real window: how many gestures an object takes, and what one press of undo takes back."""

from __future__ import annotations

from qtpy.QtCore import Qt


def test_the_tempo_is_chosen_by_button_and_by_key(open_desk):
    desk = open_desk()
    row = desk.dock.prompt.tempo
    down = [[name for name, button in row.buttons.items() if button.isChecked()]]
    desk.press_button(row.buttons["turbo"])
    down.append([name for name, button in row.buttons.items() if button.isChecked()])
    # The button that is down already stays so.
    desk.press_button(row.buttons["turbo"])
    assert desk.session.tempo == "turbo"
    assert down == [["careful"], ["turbo"]]
    desk.click((10, 10))
    desk.press_key(Qt.Key.Key_Y)
    assert desk.session.tempo == next(iter(row.buttons))
    assert row.buttons[desk.session.tempo].isChecked()
