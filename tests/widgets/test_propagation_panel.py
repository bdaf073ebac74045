"""The Stack section in a real window: an object is clicked, carried, looked over and corrected by mouse and keys."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from desk import LEFT_BUTTON, Desk
from qtpy.QtCore import QEvent, QPoint, Qt
from qtpy.QtGui import QHelpEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QToolTip

from fake_propagation import CENTRE, SHAPE, FakePropagation, ball, volume
from napari_sam.session.state import StackAxis, StackState, StripPlane
from napari_sam.widgets.controls.score_strip import ScoreStrip

WHOLE = list(range(2, 11))


@pytest.fixture
def carry(monkeypatch):
    fake = FakePropagation()
    monkeypatch.setattr("napari_sam.session.propagation.runner.propagate", fake)
    return fake


@pytest.fixture
def open_stack(make_napari_viewer, qtbot, engine, carry):
    """Return a function that opens a window with a volume, on its middle plane, and the Stack section open."""

    def open_it(axis_labels=("z", "y", "x")):
        viewer = make_napari_viewer(show=True)
        viewer.window._qt_window.resize(1200, 1000)
        viewer.add_image(volume(), name="cells", contrast_limits=(0, 255), scale=(2, 1, 1), axis_labels=axis_labels)
        viewer.dims.set_current_step(0, CENTRE[0])
        viewer.reset_view()
        desk = Desk(viewer, qtbot, engine)
        desk.settle()
        desk.dock.stack.expand(animate=False)
        QApplication.processEvents()
        return desk

    return open_it


def planes(desk):
    return sorted(set(np.nonzero(np.asarray(desk.session.target.data))[0]))


def strip_point(desk, place):
    strip = desk.dock.stack.strip
    return QPoint(round(strip.middle_of(place)), strip.height() // 2)


def test_click_propagate_review_correct_and_undo(open_stack, carry):
    """One walk through an object, because a window takes seconds to open."""
    desk = open_stack()
    panel, session = desk.dock.stack, desk.session
    buttons, strip = panel.buttons, panel.strip
    assert "Click an object first" in panel.words.text() and not buttons["propagate"].isEnabled()
    assert panel.axis.currentText() == "z" and (panel.first.value(), panel.last.value()) == (0, 11)

    desk.click(CENTRE)
    assert buttons["propagate"].isEnabled()
    wrong = np.zeros(SHAPE[1:], bool)
    wrong[4:9, 4:9] = True
    carry.scores, carry.masks = {9: 0.2, 10: 0.4}, {9: wrong, 10: wrong}
    desk.press_key(Qt.Key.Key_G)
    assert planes(desk) == [*WHOLE[:-2], 9, 10] and not session.state.stack.running
    assert "2 weak" in panel.words.text() and buttons["next_weak_plane"].isEnabled()
    assert "score 0.20, weak" in strip.words(9) and "shown by you" in strip.words(6)
    assert "2 are weak" in strip.accessibleDescription()

    # The strip: a click and the arrow keys go to a plane.
    QTest.mouseClick(strip, LEFT_BUTTON, pos=strip_point(desk, 3))
    assert desk.viewer.dims.current_step[0] == 3
    strip.setFocus()
    QTest.keyClick(strip, Qt.Key.Key_Right)
    QTest.keyClick(strip, Qt.Key.Key_Right)
    assert desk.viewer.dims.current_step[0] == 5
    QTest.keyClick(strip, Qt.Key.Key_End)
    assert desk.viewer.dims.current_step[0] == 10
    QTest.keyClick(strip, Qt.Key.Key_Home)
    assert desk.viewer.dims.current_step[0] == 2 and session.state.stack.place == 2
    desk.canvas.native.setFocus()

    # The first weak plane is corrected, and carried on from there.
    desk.press_button(buttons["next_weak_plane"])
    assert desk.viewer.dims.current_step[0] == 9
    assert panel.same.isChecked() and panel.same.text() == "Same object: 1" and session.state.next_id == 1
    carry.scores, carry.masks = {}, {}
    desk.click((9, *CENTRE[1:]))
    desk.press_key(Qt.Key.Key_Return)
    assert not panel.same.isChecked() and not np.asarray(session.target.data)[9, 4:9, 4:9].any()
    desk.press_button(buttons["propagate"])
    for place in (9, 10):
        np.testing.assert_array_equal(np.asarray(session.target.data)[place] == 1, ball()[place])
    assert not buttons["next_weak_plane"].isEnabled()

    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)  # the last run
    assert np.asarray(session.target.data)[10, 4:9, 4:9].all()
    desk.viewer.layers.selection.active = session.target
    for _ in range(2):  # napari's own: the correction, then the first run as a whole
        desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not np.asarray(session.target.data).any()


def test_clicking_a_carried_object_on_another_plane_corrects_it(open_stack, carry, tmp_path):
    desk = open_stack()
    part = ball()[9] & (np.arange(SHAPE[2]) < 24)  # the run missed half of it
    carry.masks = {9: part, 10: np.zeros_like(part)}
    desk.click(CENTRE)
    desk.press_key(Qt.Key.Key_G)
    desk.viewer.dims.set_current_step(0, 9)
    desk.settle()
    desk.click((9, 20, 21))
    assert desk.dock.status.hint.text().startswith("Enter writes object 1 again")
    assert desk.dock.stack.same.isChecked() and desk.dock.target.next_id.text() == "Same id: 1"
    desk.dock.grab().save(str(tmp_path / "dock.png"))
    desk.press_key(Qt.Key.Key_Return)
    labels = np.asarray(desk.session.target.data)
    np.testing.assert_array_equal(labels[9] == 1, ball()[9])
    assert labels.max() == 1
    desk.viewer.dims.set_current_step(0, 0)
    desk.settle()
    desk.click((0, 2, 2))
    assert not desk.dock.stack.same.isChecked() and desk.dock.target.next_id.text() == "Next id: 2"


def test_the_range_the_axis_and_copying(open_stack, carry):
    desk = open_stack()
    panel = desk.dock.stack
    panel.first.setValue(4)
    panel.last.setValue(8)
    assert (desk.session.state.stack.start, desk.session.state.stack.stop) == (4, 9)
    assert (panel.first.maximum(), panel.last.minimum()) == (8, 4)
    desk.click(CENTRE)
    desk.press_button(panel.buttons["propagate"])
    assert planes(desk) == [4, 5, 6, 7, 8]
    desk.press_button(desk.dock.candidates.buttons[3])  # Undo
    desk.press_key(Qt.Key.Key_K)
    assert desk.viewer.dims.current_step[0] == 7 and desk.session.state.candidates and planes(desk) == [6]
    desk.press_key(Qt.Key.Key_K, Qt.KeyboardModifier.ShiftModifier)
    assert desk.viewer.dims.current_step[0] == 6 and planes(desk) == [6, 7]
    desk.viewer.dims.order = (1, 0, 2)
    desk.settle()
    assert panel.axis.currentText() == "y" and panel.last.value() == SHAPE[1] - 1


def test_an_axis_has_the_name_of_its_slider(open_stack):
    desk = open_stack(axis_labels=None)
    label = desk.viewer.window._qt_viewer.dims.slider_widgets[0].axis_label
    assert label.text() == "-3"
    assert desk.dock.stack.axis.currentText() == "axis -3" and "plane axis -3 = 6" in desk.dock.status.text.text()
    desk.canvas.native.setFocus()
    label.setFocus()
    label.selectAll()
    QTest.keyClicks(label, "depth")
    QTest.keyClick(label, Qt.Key.Key_Return)
    desk.settle()
    assert desk.dock.stack.axis.currentText() == "depth" and "plane depth = 6" in desk.dock.status.text.text()


def test_a_prompt_that_was_left_on_a_plane_of_other_axes_does_not_join(open_stack, carry):
    desk = open_stack()
    session, panel = desk.session, desk.dock.stack
    desk.click(CENTRE)
    desk.press_key(Qt.Key.Key_G)
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert len(session.points.data) == 1
    desk.press_key(Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)  # napari's: roll the axes
    assert set(desk.viewer.dims.displayed) == {0, 1} and panel.axis.currentText() == "x"
    desk.viewer.reset_view()
    desk.viewer.dims.set_current_step(2, 28)
    desk.settle()
    desk.click((6, 18, 28))
    assert "Shown on" not in panel.words.text()
    desk.press_key(Qt.Key.Key_G)
    assert [one.index for one in carry.calls[-1]["annotated"]] == [28]
    assert len(session.points.data) == 1  # it is left alone


def test_planes_that_join_are_named_and_all_are_cleared_by_button_and_key(open_stack):
    desk = open_stack()
    session, panel = desk.session, desk.dock.stack
    clear, clear_all, undo = desk.dock.candidates.buttons[1:4]
    assert (clear.text(), clear_all.text()) == ("Clear", "Clear all") and not clear_all.isEnabled()
    for place in (3, 9, 6):
        desk.viewer.dims.set_current_step(0, place)
        desk.settle()
        desk.click((place, *CENTRE[1:]))
    assert panel.words.text().startswith("Shown on z = 3, 6 and 9.")
    assert "Shown on z = 3, 6 and 9." in desk.dock.status.hint.text()
    desk.press_button(clear)
    assert "Prompts on 2 other planes stay. Clear all" in desk.dock.status.text.text()
    assert not clear.isEnabled() and clear_all.isEnabled()
    desk.press_button(clear_all)
    assert not len(session.points.data) and not clear_all.isEnabled()
    desk.press_button(undo)
    assert len(session.points.data) == 2
    for key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
        desk.press_key(key, Qt.KeyboardModifier.ShiftModifier)
        assert not len(session.points.data)
        desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        assert len(session.points.data) == 2


def test_after_a_jump_to_a_weak_plane_undo_goes_back_to_the_prompts(open_stack, carry):
    desk = open_stack()
    sliders = desk.viewer.window._qt_viewer.dims.slider_widgets
    carry.scores = {9: 0.2}
    desk.click(CENTRE)
    desk.press_key(Qt.Key.Key_G)
    desk.press_key(Qt.Key.Key_J)
    assert sliders[0].slider.value() == 9
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert sliders[0].slider.value() == CENTRE[0]
    assert desk.preview().any() and "Shown on" not in desk.dock.stack.words.text()
    desk.viewer.dims.set_current_step(0, 1)  # a plane without anything of the run
    desk.settle()
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert sliders[0].slider.value() == CENTRE[0] and planes(desk) == WHOLE


@pytest.fixture
def hold(carry):
    """Hold runs back before plane 9, until it is set."""
    free = threading.Event()
    carry.before = lambda index: free.wait(60) if index == 9 else None
    yield free
    free.set()


def test_cancel_while_it_runs(open_stack, hold, qtbot):
    desk = open_stack()
    panel = desk.dock.stack
    desk.click(CENTRE)
    QTest.mouseClick(panel.buttons["propagate"], LEFT_BUTTON)
    qtbot.waitUntil(lambda: 8 in desk.session.stack.scores, timeout=60_000)
    written = planes(desk)
    assert panel.buttons["cancel"].isEnabled() and not panel.buttons["propagate"].isEnabled()
    QTest.mouseClick(panel.buttons["cancel"], LEFT_BUTTON)
    hold.set()
    desk.settle()
    assert planes(desk) == written and "one undo takes all back" in panel.words.text()
    assert panel.buttons["propagate"].isEnabled() and not panel.buttons["cancel"].isEnabled()


def test_a_run_that_was_cancelled_goes_on(open_stack, hold, carry, qtbot):
    desk = open_stack()
    panel = desk.dock.stack
    desk.click(CENTRE)
    QTest.keyClick(desk.canvas.native, Qt.Key.Key_G)
    qtbot.waitUntil(lambda: 8 in desk.session.stack.scores, timeout=60_000)
    QTest.keyClick(desk.canvas.native, Qt.Key.Key_Escape)
    hold.set()
    desk.settle()
    done, asked = set(planes(desk)), []
    assert 9 not in done and "Propagate goes on from there" in panel.words.text()
    carry.before = asked.append
    desk.press_key(Qt.Key.Key_G)
    assert planes(desk) == WHOLE and not done & set(asked)
    assert "carried to 8 planes" in panel.words.text()


def test_closing_the_dock_while_it_runs(open_stack, hold, qtbot):
    desk = open_stack()
    desk.click(CENTRE)
    QTest.mouseClick(desk.dock.stack.buttons["propagate"], LEFT_BUTTON)
    qtbot.waitUntil(lambda: 8 in desk.session.stack.scores, timeout=60_000)
    target, before = desk.session.target, planes(desk)
    threading.Timer(0.1, hold.set).start()
    desk.viewer.window.remove_dock_widget(desk.dock)
    assert sorted(set(np.nonzero(np.asarray(target.data))[0])) == before


def test_an_image_of_one_plane_has_no_stack(open_desk):
    desk = open_desk()
    panel = desk.dock.stack
    assert not panel.isExpanded() and not panel.strip.isVisible()  # nor does the Tab key find it
    panel.expand(animate=False)
    assert panel.strip.isVisible()
    panel.collapse(animate=False)
    assert not panel.strip.isVisible()
    panel.expand(animate=False)
    assert "one plane" in panel.words.text()
    assert not panel.axis.isEnabled() and not panel.strip.isEnabled() and not panel.same.isEnabled()
    assert not any(button.isEnabled() for button in panel.buttons.values())


def test_the_section_is_narrow(open_stack):
    desk = open_stack()
    assert desk.dock.stack.minimumSizeHint().width() <= 284  # in a dock of 300 px
    assert desk.dock.minimumSizeHint().width() <= 300


# -- the strip by itself --------------------------------------------------------------------------


@pytest.fixture
def strip(qtbot):
    gone = []
    strip = ScoreStrip(gone.append)
    strip.gone = gone
    qtbot.addWidget(strip)
    strip.resize(202, strip.sizeHint().height())
    strip.show()
    return strip


def state(size=20, place=4, **options):
    axis = StackAxis(0, "z", size)
    return StackState(axes=(axis,), axis=axis, place=place, start=0, stop=size, **options)


def colours(strip, x, top, bottom):
    image = strip.grab().toImage()
    scale = image.width() / strip.width()
    return {image.pixelColor(round(x * scale), round(y * scale)).name() for y in range(top, bottom)}


def test_bars_are_as_high_as_their_scores_and_weak_ones_differ_in_shape_too(strip):
    strip.draw(state(planes=(StripPlane(2, 0.9, False, False), StripPlane(9, 0.2, True, False))))
    bars = range(12, 41)
    good, weak = strip.middle_of(2), strip.middle_of(9)
    assert "#009e73" in colours(strip, good, 16, 40) and "#d55e00" not in colours(strip, good, 0, 48)
    assert "#d55e00" not in colours(strip, weak, bars.start, 28) and "#d55e00" in colours(strip, weak, 34, 40)
    assert "#d55e00" in colours(strip, weak, 2, 9)  # the triangle above it
    strip.draw(state(planes=(StripPlane(2, 1.0, False, True),), marks=(15,)))
    assert "#f0e442" in colours(strip, good, 2, 9)  # the diamond
    assert "#e69f00" in colours(strip, strip.middle_of(15), 3, 9)  # the cross


def test_a_long_stack_shows_its_weak_planes_all_the_same(strip):
    planes = tuple(StripPlane(i, 0.9, False, False) for i in range(5000) if i != 2500)
    strip.draw(state(size=5000, planes=(*planes, StripPlane(2500, 0.1, True, False))))
    assert "#d55e00" in colours(strip, strip.middle_of(2500), 2, 9)


def test_tooltip_and_borders(strip, monkeypatch):
    shown = []
    monkeypatch.setattr(QToolTip, "showText", lambda _at, text, *_: shown.append(text))
    strip.draw(state(planes=(StripPlane(2, 0.873, False, False),), marks=(7,)))
    for place in (2, 3, 7):
        at = QPoint(round(strip.middle_of(place)), 20)
        QApplication.sendEvent(strip, QHelpEvent(QEvent.Type.ToolTip, at, strip.mapToGlobal(at)))
    assert shown == ["z = 2: score 0.87", "z = 3: not part of the object", "z = 7: stop mark"]
    assert (strip.place_at(-5), strip.place_at(1e6)) == (0, 19)
    assert [strip.place_at(strip.middle_of(i)) for i in range(20)] == list(range(20))
    QTest.mouseClick(strip, LEFT_BUTTON, pos=QPoint(round(strip.middle_of(4)), 20))
    assert strip.gone == []  # it is there already
    strip.draw(StackState())
    QTest.mouseClick(strip, LEFT_BUTTON, pos=QPoint(20, 20))
    assert strip.gone == []
