"""Teach in a real window, by mouse and keys, with a program in the place of the learning."""

from __future__ import annotations

import json

import numpy as np
from desk import LEFT, LEFT_BUTTON, RIGHT
from fitting import cut, cut_words, narrow, settle_layout
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from fake_finetune import STEP, behave


def label_three(desk):
    """Accept two objects, and paint a third one."""
    for place in (LEFT, RIGHT):
        desk.click(place)
        desk.press_key(Qt.Key.Key_Return)
    desk.session.target.data_setitem((np.array([3, 3, 4, 4]), np.array([5, 6, 5, 6])), 9)


def teach_desk(open_desk):
    """Open a window with three objects, and the Teach section open."""
    desk = open_desk()
    label_three(desk)
    panel = desk.dock.teach
    behave(desk.dock.teaching, "better")
    fold = panel.toggleButton()
    QTest.mouseClick(fold, LEFT_BUTTON, pos=fold.rect().center())
    until(desk, lambda: panel.start.isEnabled())
    return desk


def until(desk, true):
    desk.qtbot.waitUntil(true, timeout=60_000)
    QApplication.processEvents()


def stage(desk):
    return desk.dock.teaching.state.stage


def press(desk, button):
    """Click a button that is seen."""
    assert button.isVisible()
    assert button.isEnabled()
    QTest.mouseClick(button, LEFT_BUTTON, pos=button.rect().center())
    QApplication.processEvents()


def test_teach_and_use_it(open_desk, home):
    desk = teach_desk(open_desk)
    panel = desk.dock.teach
    assert panel.source.text() == "3 objects on 1 plane of discs."
    assert panel.name.text() == "discs"
    assert panel.minutes.value() == 10
    assert not panel.progress.isVisible()
    press(desk, panel.start)
    until(desk, lambda: stage(desk) == "done")
    given = json.loads((home / "teaching" / "discs" / "about.json").read_text())["arguments"]
    assert given[given.index("--minutes") + 1] == "10"
    assert panel.words.text().startswith("Better on images that it has not seen")
    assert panel.table.isVisible()
    assert not panel.keep.isEnabled()
    assert desk.session.model == "bundled"
    press(desk, panel.use)
    desk.settle()
    assert desk.session.model == "discs"
    assert desk.engine.loaded[-1][0] == "discs"
    assert not panel.use.isEnabled()


def test_its_key_unfolds_the_section_and_teaches(open_desk, home):
    desk = open_desk()
    panel = desk.dock.teach
    desk.press_key(Qt.Key.Key_T, Qt.KeyboardModifier.ShiftModifier)
    assert not panel.isExpanded()  # nothing is labelled
    label_three(desk)
    behave(desk.dock.teaching, "hangs")
    desk.press_key(Qt.Key.Key_T, Qt.KeyboardModifier.ShiftModifier)
    until(desk, lambda: panel.words.text() == STEP)
    assert panel.isExpanded() and stage(desk) == "running"
    started = (home / "teaching" / "discs" / "about.json").read_text()
    desk.press_key(Qt.Key.Key_T, Qt.KeyboardModifier.ShiftModifier)  # goes on as it did
    assert stage(desk) == "running" and (home / "teaching" / "discs" / "about.json").read_text() == started
    press(desk, panel.progress.cancel_button)
    until(desk, lambda: stage(desk) == "stopped")


def test_while_it_learns_the_window_is_free_and_cancel_stops_it(open_desk):
    desk = teach_desk(open_desk)
    panel = desk.dock.teach
    behave(desk.dock.teaching, "hangs")
    press(desk, panel.start)
    until(desk, lambda: panel.words.text() == STEP)
    assert panel.progress.bar.format().startswith("50 %")
    assert not panel.start.isEnabled()
    assert not panel.name.isEnabled()
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    desk.click(RIGHT)
    assert desk.session.state.candidates
    press(desk, panel.progress.cancel_button)
    until(desk, lambda: stage(desk) == "stopped")
    assert "Go on" in panel.words.text()
    assert not panel.progress.isVisible()
    press(desk, panel.go_on)
    until(desk, lambda: stage(desk) == "done")
    assert not panel.go_on.isEnabled()


def test_a_window_that_is_closed_ends_the_process(open_desk):
    desk = teach_desk(open_desk)
    panel = desk.dock.teach
    behave(desk.dock.teaching, "hangs")
    press(desk, panel.start)
    until(desk, lambda: panel.words.text() == STEP)
    process = desk.dock.teaching._job._process
    desk.viewer.close()
    process._process.wait(60)  # threads and widgets that stay fail the test


def test_a_model_that_is_not_better_is_kept_by_a_button(open_desk):
    desk = teach_desk(open_desk)
    panel = desk.dock.teach
    behave(desk.dock.teaching, "worse")
    press(desk, panel.start)
    until(desk, lambda: stage(desk) == "done")
    assert not panel.use.isEnabled()
    press(desk, panel.keep)
    until(desk, lambda: stage(desk) == "done" and panel.use.isEnabled())
    assert not panel.keep.isEnabled()


def test_pictures_have_a_window_that_escape_closes(open_desk, home):
    desk = teach_desk(open_desk)
    panel = desk.dock.teach
    press(desk, panel.start)
    until(desk, lambda: stage(desk) == "done")
    assert not panel.show_pictures.isEnabled()
    folder = home / "teaching" / "discs"
    for number in (1, 2):
        picture = QImage(60, 20, QImage.Format.Format_RGB32)
        picture.fill(Qt.GlobalColor.white)
        assert picture.save(str(folder / f"before-after-{number}.png"))
    (folder / "before-after-3.png").write_bytes(b"damaged")
    panel._on_teaching_changed(desk.dock.teaching.state)
    press(desk, panel.show_pictures)
    assert len(panel.pictures.labels) == 2
    layers = list(desk.viewer.layers)
    QTest.keyClick(panel.pictures, Qt.Key.Key_Escape)
    QApplication.processEvents()
    assert panel.pictures is None
    assert list(desk.viewer.layers) == layers
    press(desk, panel.show_pictures)  # what is open goes with the dock


def test_a_name_that_is_taken_is_told_while_it_is_typed(open_desk):
    desk = teach_desk(open_desk)
    panel = desk.dock.teach
    window = desk.viewer.window._qt_window
    window.activateWindow()
    until(desk, window.isActiveWindow)
    panel.name.setFocus(Qt.FocusReason.TabFocusReason)
    panel.name.selectAll()
    QTest.keyClicks(panel.name, "bundled")
    assert panel.problem.isVisible()
    assert "already" in panel.problem.text()
    assert not panel.start.isEnabled()
    QTest.keyClicks(panel.name, "-2")
    assert not panel.problem.isVisible()
    assert panel.start.isEnabled()
    QTest.keyClick(panel.name, Qt.Key.Key_Return)
    until(desk, desk.canvas.native.hasFocus)
    # It stays when another image is opened.
    desk.viewer.add_image(np.zeros((20, 20), np.uint8), name="other")
    desk.settle()
    assert panel.name.text() == "bundled-2"


def test_nothing_is_cut_at_any_stage(open_desk):
    desk = teach_desk(open_desk)
    panel = desk.dock.teach
    names = {desk.dock.source.image, desk.dock.source.model.combo, desk.dock.source.device, desk.dock.target.combo}
    behave(desk.dock.teaching, "hangs")
    for wanted, button in (("running", panel.start), ("stopped", panel.progress.cancel_button), ("done", panel.go_on)):
        press(desk, button)
        until(desk, lambda wanted=wanted: stage(desk) == wanted)
        for width in (300, 220):
            narrow(desk, width)
            settle_layout()
            assert cut(desk) == [], f"{wanted} at {width} px"
            assert cut_words(desk, names, kinds=type(panel.minutes)) == []


def test_what_came_of_it_is_brought_into_view(open_desk):
    desk = teach_desk(open_desk)
    panel = desk.dock.teach
    desk.viewer.window._qt_window.resize(1200, 700)
    press(desk, panel.start)
    until(desk, lambda: stage(desk) == "done")
    settle_layout()
    view = desk.dock._scroll.viewport()
    until(desk, lambda: view.rect().contains(panel.use.mapTo(view, panel.use.rect().center())))
