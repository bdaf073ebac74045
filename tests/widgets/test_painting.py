"""Brush and eraser, drawn with a real mouse on a real canvas."""

from __future__ import annotations

import numpy as np
from desk import LEFT, RADIUS
from qtpy.QtCore import Qt
from test_gestures import region

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def test_paint_flip_erase_undo_stroke_by_stroke_and_accept(open_desk):
    """One walk, because a window takes seconds to open."""
    desk = open_desk()
    session = desk.session
    desk.click(LEFT)
    disc = desk.preview()
    np.testing.assert_array_equal(disc, region(LEFT))

    desk.press_button(desk.dock.prompt.tools["brush"])
    assert session.state.tool == "brush" and desk.viewer.layers.selection.active is session.preview
    beside = (LEFT[0], LEFT[1] + RADIUS + 4)
    desk.stroke([beside, (beside[0] + 10, beside[1] + 4), (beside[0] + 20, beside[1])])
    painted = desk.preview()
    assert painted[beside] and painted[disc].all() and painted.sum() > disc.sum() + 100

    desk.press_key(Qt.Key.Key_X)
    assert session.state.tool == "eraser" and desk.dock.prompt.tools["eraser"].isChecked()
    desk.stroke([LEFT, (LEFT[0] - 6, LEFT[1] - 4)])
    erased = desk.preview()
    assert not erased[LEFT] and erased[beside] and (painted & ~erased).any() and not (erased & ~painted).any()
    assert session.state.candidates[0].area == erased.sum()

    # A click goes on from there, and changes nothing of what is painted.
    desk.press_key(Qt.Key.Key_Q)
    desk.click((LEFT[0], LEFT[1] + 8))
    assert not desk.preview()[LEFT] and desk.preview()[beside]
    desk.press_key(Qt.Key.Key_B)
    for expected in (erased, painted, disc):
        desk.press_key(Qt.Key.Key_Z, CONTROL)
        np.testing.assert_array_equal(desk.preview(), expected)
    for expected in (painted, erased):
        desk.press_key(Qt.Key.Key_Z, CONTROL | SHIFT)
        np.testing.assert_array_equal(desk.preview(), expected)
    desk.press_key(Qt.Key.Key_Return)
    np.testing.assert_array_equal(np.asarray(session.target.data) == 1, erased)
    assert session.state.tool == "brush" and not desk.preview().any()

    # From nothing: an object that the model never saw.
    desk.stroke([(100, 80), (100, 100)])
    assert session.state.candidates[0].area == desk.preview().sum() > 100
    desk.press_key(Qt.Key.Key_Escape)
    assert session.state.tool == "positive" and not session.preview.editable
