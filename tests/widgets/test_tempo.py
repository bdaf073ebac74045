"""Tempos in a real window: how many gestures an object takes, and what one press of undo takes back."""

from __future__ import annotations

import numpy as np
from desk import LEFT, RADIUS, RIGHT, SHAPE
from qtpy.QtCore import QEvent, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication


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
    assert desk.session.tempo == "batch"
    assert row.buttons[desk.session.tempo].isChecked()


def masks(desk):
    """The pixels of each object that is written, by label."""
    labels = np.asarray(desk.session.target.data)
    return {int(label): labels == label for label in np.unique(labels) if label}


def disc_at(centre):
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= RADIUS**2


def test_in_turbo_each_click_is_an_object(open_desk):
    desk = open_desk()
    desk.press_key(Qt.Key.Key_Y)
    desk.click(LEFT)
    desk.click(RIGHT)
    assert {label: tuple(mask[at] for at in (LEFT, RIGHT)) for label, mask in masks(desk).items()} == {
        1: (True, False),
        2: (False, True),
    }
    assert all(np.array_equal(masks(desk)[i + 1], disc_at(at)) for i, at in enumerate((LEFT, RIGHT)))
    assert not len(desk.session.points.data) and not desk.preview().any()
    assert "SAM points" == desk.viewer.layers.selection.active.name


def test_clicks_faster_than_the_encoder_are_all_written(open_desk, engine):
    engine.free.clear()
    desk = open_desk(settle=False)
    desk.press_key(Qt.Key.Key_Y, settle=False)
    assert desk.session.tempo == "turbo"
    desk.click(RIGHT, settle=False)
    desk.click(LEFT, settle=False)
    assert desk.session.state.waiting == 2
    engine.free.set()
    desk.settle()
    assert masks(desk)[1][RIGHT] and masks(desk)[2][LEFT]


def test_a_box_drawn_to_its_end_is_an_object(open_desk):
    desk = open_desk()
    desk.press_key(Qt.Key.Key_Y)
    desk.press_key(Qt.Key.Key_W)
    for centre in (LEFT, RIGHT):
        desk.drag((centre[0] - 23, centre[1] - 23), (centre[0] + 23, centre[1] + 23))
    assert [tuple(mask[at] for at in (LEFT, RIGHT)) for mask in masks(desk).values()] == [(True, False), (False, True)]
    assert not len(desk.session.shapes.data)
    # A click where a box is to be drawn is none, and writes nothing.
    desk.click((60, 80))
    assert len(masks(desk)) == 2 and not len(desk.session.shapes.data)


def test_one_press_takes_back_object_and_click_and_another_brings_both(open_desk):
    desk = open_desk()
    desk.press_key(Qt.Key.Key_Y)
    desk.click(LEFT)
    desk.click(RIGHT)
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert list(masks(desk)) == [1] and not len(desk.session.points.data)
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert list(masks(desk)) == [1, 2] and not len(desk.session.points.data)
    desk.click((10, 80))  # black: its mask is empty
    assert list(masks(desk)) == [1, 2] and "Undo brings the prompt back" in desk.session.state.status.text
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert len(desk.session.points.data) == 1 and list(masks(desk)) == [1, 2]


def test_a_background_point_goes_before_the_click_that_writes(open_desk):
    desk = open_desk()
    desk.press_key(Qt.Key.Key_Y)
    desk.press_key(Qt.Key.Key_X)
    desk.click(RIGHT)
    assert desk.session.target is None and len(desk.session.points.data) == 1
    desk.press_key(Qt.Key.Key_X)
    desk.click(LEFT)
    assert np.array_equal(masks(desk)[1], disc_at(LEFT)) and not len(desk.session.points.data)


# -- level ----------------------------------------------------------------------------------------


def area(desk, label):
    return int((np.asarray(desk.session.target.data) == label).sum())


def test_the_level_that_is_accepted_is_shown_first_and_named(open_desk):
    desk = open_desk()
    level = desk.dock.candidates.level
    desk.click(LEFT)
    assert level.currentText() == "Level: best score"
    desk.press_key(Qt.Key.Key_N)  # the largest of the three
    desk.press_key(Qt.Key.Key_Return)
    assert level.currentText() == "Level: whole"
    desk.click(RIGHT)
    assert desk.dock.candidates.cards[1].isChecked() and desk.preview().sum() == area(desk, 1)
    # The card of the best score leads back.
    desk.press_button(desk.dock.candidates.cards[0])
    desk.press_key(Qt.Key.Key_Return)
    assert level.currentText() == "Level: best score"


def test_the_level_is_chosen_by_its_name_and_turbo_writes_it(open_desk):
    desk = open_desk()
    desk.press_key(Qt.Key.Key_Y)
    level = desk.dock.candidates.level
    level.activated.emit(level.findText("Level: subpart"))
    desk.click(LEFT)
    level.activated.emit(level.findText("Level: best score"))
    desk.click(RIGHT)
    assert area(desk, 1) < area(desk, 2) == disc_at(RIGHT).sum()


# -- hover ----------------------------------------------------------------------------------------


def hover(desk, position):
    """Move the mouse over a data pixel of the image, and wait until what follows from it is drawn."""
    world = desk.session.image.data_to_world(position)

    def is_there() -> bool:
        # A window that has just changed its mind about what is under the cursor loses a move.
        QTest.mouseMove(desk.canvas.native, desk.pixel(position))
        QApplication.processEvents()
        return bool(np.abs(np.subtract(desk.viewer.cursor.position[-2:], world)).max() <= 2)

    desk.qtbot.waitUntil(is_there, timeout=60_000)
    desk.qtbot.waitUntil(lambda: not desk.session._worker.busy("hover"), timeout=60_000)
    QApplication.processEvents()


def test_the_mask_under_the_cursor_is_shown_and_goes_with_it(open_desk):
    desk = open_desk()
    hover(desk, (60, 80))
    assert desk.session._components.preview.layer is None
    desk.press_button(desk.dock.prompt.hover)
    assert desk.session.hover and desk.dock.prompt.hover.isChecked()
    encoded = desk.engine.embedded
    hover(desk, LEFT)
    assert np.array_equal(desk.preview(), disc_at(LEFT)) and desk.session.target is None
    hover(desk, RIGHT)
    assert np.array_equal(desk.preview(), disc_at(RIGHT))
    QApplication.sendEvent(desk.canvas.native, QEvent(QEvent.Type.Leave))
    QApplication.processEvents()
    assert not desk.preview().any()
    assert desk.session._worker.busy() is False and encoded > 0 and len(desk.engine.loaded) == 1


def test_a_click_and_then_the_object_itself_take_its_place(open_desk):
    desk = open_desk()
    desk.click((60, 80))
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    desk.press_key(Qt.Key.Key_H)
    assert desk.session.hover
    hover(desk, RIGHT)
    assert desk.preview()[RIGHT]
    desk.click(LEFT)
    hover(desk, RIGHT)
    assert np.array_equal(desk.preview(), disc_at(LEFT)) and desk.session.state.candidates
    desk.press_key(Qt.Key.Key_H)
    assert not desk.session.hover and desk.preview()[LEFT]
