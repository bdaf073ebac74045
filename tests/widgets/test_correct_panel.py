"""Objects that exist, changed with mouse and keys in a real window."""

from __future__ import annotations

import numpy as np
from desk import LEFT, RIGHT
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from test_gestures import region

ALT = Qt.KeyboardModifier.AltModifier
CONTROL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def rough() -> np.ndarray:
    """What another tool made of the two discs: the left one is cut in half, the right one has a bite."""
    labels = np.where(region(LEFT), 5, 0)
    labels[:, LEFT[1] :] = 0
    labels[region(RIGHT)] = 8
    labels[RIGHT[0] - 5 : RIGHT[0] + 5, RIGHT[1] + 5 :] = 0
    return labels


def open_labels(open_desk):
    """Open a window with the labels of the other tool; no fixture, as that would keep the window alive."""
    desk = open_desk()
    desk.labels = desk.viewer.add_labels(rough(), name="other tool")
    desk.session.use_tool("positive")
    desk.canvas.native.setFocus()
    desk.settle()
    return desk


def test_pick_correct_accept_and_undo_by_keys(open_desk):
    desk = open_labels(open_desk)
    session, before = desk.session, desk.labels.data.copy()
    desk.press_key(Qt.Key.Key_E)
    assert session.state.objects.tool == "pick" and desk.dock.correct.buttons["pick_object"].isChecked()
    assert "Click the object to correct" in desk.dock.status.hint.text()
    desk.click((LEFT[0], LEFT[1] - 8))
    np.testing.assert_array_equal(desk.preview(), before == 5)
    assert session.target is desk.labels and "Object 5 picked" in desk.dock.status.text.text()
    desk.click((LEFT[0], LEFT[1] + 8))  # what is missing
    np.testing.assert_array_equal(desk.preview(), region(LEFT))
    desk.press_key(Qt.Key.Key_Return)
    np.testing.assert_array_equal(desk.labels.data == 5, region(LEFT))
    np.testing.assert_array_equal(desk.labels.data == 8, before == 8)
    desk.press_key(Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(desk.labels.data, before)


def test_escape_leaves_it_as_it_was(open_desk):
    desk = open_labels(open_desk)
    before = desk.labels.data.copy()
    desk.press_button(desk.dock.correct.buttons["pick_object"])
    desk.click((RIGHT[0], RIGHT[1] - 8))
    desk.click(LEFT)
    desk.press_key(Qt.Key.Key_Escape)
    assert desk.session.state.objects.label is None and not desk.preview().any()
    np.testing.assert_array_equal(desk.labels.data, before)


def test_the_object_under_the_mouse_is_deleted_by_a_key(open_desk):
    desk = open_labels(open_desk)
    before = desk.labels.data.copy()
    QTest.mouseMove(desk.canvas.native, desk.pixel((RIGHT[0], RIGHT[1] - 8)))
    desk.settle()
    desk.press_key(Qt.Key.Key_D)
    np.testing.assert_array_equal(desk.labels.data, np.where(before == 8, 0, before))
    desk.press_key(Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(desk.labels.data, before)
    desk.press_key(Qt.Key.Key_D, ALT)
    np.testing.assert_array_equal(desk.labels.data, np.where(before == 8, 0, before))


def test_merge_by_clicks_and_enter(open_desk):
    desk = open_labels(open_desk)
    before = desk.labels.data.copy()
    desk.press_key(Qt.Key.Key_M, SHIFT)
    desk.click((LEFT[0], LEFT[1] - 8))
    desk.click((RIGHT[0], RIGHT[1] - 8))
    assert "merges objects 5, 8 into 5" in desk.dock.status.hint.text()
    desk.press_key(Qt.Key.Key_Return)
    np.testing.assert_array_equal(desk.labels.data, np.where(before > 0, 5, 0))
    desk.viewer.layers.selection.active = desk.labels
    desk.press_key(Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(desk.labels.data, before)


def test_split_by_two_clicks_and_enter(open_desk):
    desk = open_labels(open_desk)
    both = region(LEFT, RIGHT)
    both[LEFT[0] - 2 : LEFT[0] + 3, LEFT[1] : RIGHT[1]] = True
    desk.labels.data = np.where(both, 3, 0)
    desk.press_key(Qt.Key.Key_S, SHIFT)
    desk.click((LEFT[0] - 6, LEFT[1] - 5))
    desk.click((RIGHT[0] + 4, RIGHT[1] + 6))
    desk.press_key(Qt.Key.Key_Return)
    np.testing.assert_array_equal(desk.labels.data > 0, both)
    assert set(np.unique(desk.labels.data)) == {0, 3, 4}
    for centre in (LEFT, RIGHT):
        disc = desk.labels.data[region(centre)]
        assert np.bincount(disc).max() > 0.9 * len(disc)
    assert desk.labels.data[LEFT] != desk.labels.data[RIGHT]


def test_where_napari_has_the_letter_for_itself_another_key_works(open_desk):
    desk = open_labels(open_desk)
    desk.session.use_tool("box")  # E draws ellipses there
    desk.press_key(Qt.Key.Key_E)
    assert desk.session.state.objects.tool is None and desk.session.shapes.mode == "add_ellipse"
    desk.press_key(Qt.Key.Key_E, SHIFT)
    assert desk.session.state.objects.tool == "pick"
    desk.viewer.layers.selection.active = desk.labels
    desk.press_key(Qt.Key.Key_E)
    assert desk.labels.mode == "erase"
