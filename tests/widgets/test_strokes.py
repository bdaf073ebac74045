"""Scribbles, lassos and ellipses, drawn with a real mouse on a real canvas."""

from __future__ import annotations

import numpy as np
import pytest
from desk import LEFT, RADIUS, RIGHT
from fitting import narrow, settle_layout
from qtpy.QtCore import Qt
from test_gestures import PLACEMENTS, region

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def ring(centre, radius, count=12):
    """Places around a centre, back to the first."""
    angles = np.linspace(0, 2 * np.pi, count + 1)
    return [(centre[0] + radius * np.sin(angle), centre[1] + radius * np.cos(angle)) for angle in angles]


def polarity(desk):
    return list(desk.session.shapes.features["polarity"])


@pytest.mark.parametrize("placement", PLACEMENTS.values(), ids=PLACEMENTS)
def test_scribble_flip_lasso_undo_redo_and_accept_wherever_the_image_lies(open_desk, placement):
    """One walk, because a window takes seconds to open."""
    desk = open_desk(**placement)
    session = desk.session

    desk.press_key(Qt.Key.Key_F)
    assert session.state.tool == "scribble" and desk.dock.prompt.tools["scribble"].isChecked()
    desk.stroke([(LEFT[0], LEFT[1] - 12), LEFT, (LEFT[0] + 8, LEFT[1] + 10)])
    np.testing.assert_array_equal(desk.preview(), region(LEFT))
    assert len(session.state.candidates) == 1  # a line means one object
    [path] = session.shapes.data
    at = session.image.world_to_data(session.shapes.data_to_world(path[0]))
    assert np.abs(at - (LEFT[0], LEFT[1] - 12)).max() < 1.5

    # On over both, and then what is on the right taken back by a line of the other kind.
    desk.stroke([(RIGHT[0], RIGHT[1] - 10), (RIGHT[0], RIGHT[1] + 10)])
    np.testing.assert_array_equal(desk.preview(), region(LEFT, RIGHT))
    desk.press_key(Qt.Key.Key_X)
    assert session.state.tool == "scribble" and not session.state.positive
    desk.stroke([(RIGHT[0] - 8, RIGHT[1]), (RIGHT[0] + 8, RIGHT[1])])
    np.testing.assert_array_equal(desk.preview(), region(LEFT))
    assert polarity(desk) == ["positive", "positive", "negative"]
    colours = {tuple(np.round(colour, 2)) for colour in session.shapes.edge_color}
    assert len(colours) == 2

    desk.press_key(Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(desk.preview(), region(LEFT, RIGHT))
    desk.press_key(Qt.Key.Key_Z, CONTROL | SHIFT)
    np.testing.assert_array_equal(desk.preview(), region(LEFT))
    assert polarity(desk) == ["positive", "positive", "negative"]

    desk.press_key(Qt.Key.Key_Return)
    np.testing.assert_array_equal(np.asarray(session.target.data) == 1, region(LEFT))
    assert len(session.shapes.data) == 0 and session.state.positive

    desk.press_key(Qt.Key.Key_F, SHIFT)
    assert session.state.tool == "lasso"
    desk.stroke(ring(RIGHT, RADIUS + 8))
    assert [str(kind) for kind in session.shapes.shape_type] == ["polygon"]
    np.testing.assert_array_equal(desk.preview(), region(RIGHT))
    [area] = session._components.live.reading.prompts.areas
    assert area.mask.sum() == pytest.approx(np.pi * (RADIUS + 8) ** 2, rel=0.1)


# -- things that do not depend on where the image lies --------------------------------------------


def test_what_a_background_lasso_surrounds_is_cut_off(open_desk):
    desk = open_desk()
    desk.click(LEFT)
    desk.press_button(desk.dock.prompt.tools["lasso"])
    desk.press_key(Qt.Key.Key_X)
    # Its middle lies beside the disc: what is cut off is what lies within.
    desk.stroke(ring((LEFT[0], LEFT[1] + 26), 11))
    assert polarity(desk) == ["negative"]
    mask = desk.preview()
    assert not mask[LEFT[0], LEFT[1] + RADIUS - 2] and mask[LEFT[0], LEFT[1] - RADIUS + 2]
    assert 0.85 < mask.sum() / region(LEFT).sum() < 0.99


def test_nothing_is_asked_before_a_stroke_is_drawn_to_its_end(open_desk, engine):
    desk = open_desk()
    desk.press_key(Qt.Key.Key_F, SHIFT)
    embedded = engine.embedded
    desk.click((20, 20))  # a lasso may be drawn by click, move and click, too
    assert desk.session._components.live.reading.empty
    desk.session.next_candidate()  # as after every command, the prompts are read
    assert engine.embedded == embedded and desk.session._components.live.reading.empty
    assert not desk.session.state.can_undo
    desk.press_key(Qt.Key.Key_Escape)
    assert len(desk.session.shapes.data) == 0
    # napari leaves the row of what was begun: the next stroke must not get it.
    assert len(desk.session.shapes.features) == 0
    desk.press_key(Qt.Key.Key_X)
    desk.stroke(ring(LEFT, RADIUS + 8))
    assert polarity(desk) == ["negative"]


def test_an_ellipse_of_napari_s_own_tool_counts_by_its_area(open_desk):
    desk = open_desk()
    desk.press_button(desk.dock.prompt.tools["lasso"])
    desk.press_key(Qt.Key.Key_E)  # napari's key for ellipses
    assert str(desk.session.shapes.mode) == "add_ellipse" and desk.session.state.tool == "lasso"
    desk.drag((LEFT[0] - 26, LEFT[1] - 24), (LEFT[0] + 26, LEFT[1] + 24))
    np.testing.assert_array_equal(desk.preview(), region(LEFT))
    [area] = desk.session._components.live.reading.prompts.areas
    assert area.mask.sum() == pytest.approx(np.pi * 26 * 24, rel=0.1)


def test_the_marks_of_the_tools_tell_the_polarity(open_desk):
    desk = open_desk()
    narrow(desk, 520)  # where there is room for marks beside the words
    settle_layout()

    def mark():
        icon = desk.dock.prompt.tools["scribble"].icon()
        return icon.pixmap(16, 16).toImage()

    desk.press_key(Qt.Key.Key_F)
    positive = mark()
    desk.press_key(Qt.Key.Key_X)
    assert mark() != positive
    desk.press_key(Qt.Key.Key_X)
    assert mark() == positive
