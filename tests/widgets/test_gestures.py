"""Real mouse and key events on a real canvas, under every kind of placement that an image can have."""

from __future__ import annotations

import numpy as np
import pytest
from desk import LEFT, RADIUS, RIGHT, SHAPE, discs
from qtpy.QtCore import Qt

from napari_sam.prompts import PointPrompt

PLACEMENTS = {
    "plain": {},
    "anisotropic": {"scale": (3.0, 1.0)},
    "rotated": {"rotate": 30.0},
    "translated": {"translate": (500.0, -70.0)},
    "transposed": {"order": (1, 0)},
    "all at once": {"scale": (0.2, 0.5), "rotate": -20.0, "translate": (9.0, 4.0), "order": (1, 0)},
}


def region(*centres: tuple[int, int]) -> np.ndarray:
    """The discs around these centres, (H, W) bool."""
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return np.any([(y - cy) ** 2 + (x - cx) ** 2 <= RADIUS**2 for cy, cx in centres], axis=0)


@pytest.mark.parametrize("placement", PLACEMENTS.values(), ids=PLACEMENTS)
def test_click_drag_accept_undo_and_box_wherever_the_image_lies(open_desk, placement):
    """One walk through an object, because a window takes seconds to open."""
    desk = open_desk(**placement)
    session = desk.session
    assert session.state.tool == "positive"  # nothing had to be configured

    desk.click(LEFT)
    [point] = session.points.data
    assert np.abs(session.image.world_to_data(session.points.data_to_world(point)) - LEFT).max() < 1.5
    np.testing.assert_array_equal(desk.preview(), region(LEFT))
    assert [round(c.score, 2) for c in session.state.candidates] == [0.93, 0.81, 0.62]

    desk.press_key(Qt.Key.Key_S)  # napari's own key for "select points"
    assert session.points.mode == "select"
    desk.drag(LEFT, RIGHT)
    assert len(session.points.data) == 1
    np.testing.assert_array_equal(desk.preview(), region(RIGHT))

    desk.press_key(Qt.Key.Key_Return)
    np.testing.assert_array_equal(np.asarray(session.target.data) == 1, region(RIGHT))
    assert not desk.preview().any() and len(session.points.data) == 0
    assert session.state.next_id == 2

    desk.viewer.layers.selection.active = session.target
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not np.asarray(session.target.data).any()
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    np.testing.assert_array_equal(np.asarray(session.target.data) == 1, region(RIGHT))

    desk.press_button(desk.dock.prompt.tools["box"])
    # napari draws boxes along the screen's axes, so on a turned image a box must reach farther to hold both discs.
    reach = 2 * RADIUS if "rotate" in placement else RADIUS + 8
    desk.drag((LEFT[0] - reach, LEFT[1] - reach), (RIGHT[0] + reach, RIGHT[1] + reach))
    assert len(session.shapes.data) == 1
    np.testing.assert_array_equal(desk.preview(), region(LEFT, RIGHT))
    assert len(session.state.candidates) == 1


# -- things that do not depend on where the image lies --------------------------------------------


def test_a_plain_click_in_box_mode_is_no_box(open_desk):
    desk = open_desk()
    desk.press_button(desk.dock.prompt.tools["box"])
    desk.click(LEFT)
    assert not desk.session.state.candidates and not desk.preview().any()
    assert "Drag" in desk.dock.status.text.text()
    assert len(desk.session.shapes.data) == 0 and not desk.session.state.can_undo  # nor is anything left of it
    desk.drag((30, 15), (90, 75))
    assert len(desk.session.shapes.data) == 1 and desk.dock.status.mark.kind == "idle"
    desk.click(RIGHT)
    np.testing.assert_array_equal(desk.preview(), region(LEFT))  # the click took nothing away
    assert len(desk.session.shapes.data) == 1


def test_a_new_box_takes_the_place_of_the_last_and_undo_brings_that_back(open_desk):
    desk = open_desk()
    desk.press_button(desk.dock.prompt.tools["box"])
    boxes = []
    for box, centre in (((30, 15), (90, 75)), LEFT), (((30, 85), (90, 145)), RIGHT), (((32, 17), (88, 73)), LEFT):
        desk.drag(*box)
        assert len(desk.session.shapes.data) == 1
        boxes.append(np.array(desk.session.shapes.data[0]))
        np.testing.assert_array_equal(desk.preview(), region(centre))
        assert desk.dock.status.mark.kind == "idle"
    for earlier, centre in ((boxes[1], RIGHT), (boxes[0], LEFT)):
        desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        np.testing.assert_array_equal(desk.session.shapes.data[0], earlier)
        assert len(desk.session.shapes.data) == 1
        np.testing.assert_array_equal(desk.preview(), region(centre))
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert len(desk.session.shapes.data) == 0 and not desk.preview().any()
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    np.testing.assert_array_equal(desk.preview(), region(LEFT))


def test_the_polarity_flips_by_key_and_by_button(open_desk):
    desk = open_desk()
    tools = desk.dock.prompt.tools
    desk.press_button(tools["box"])
    desk.drag((30, 15), (90, 145))
    np.testing.assert_array_equal(desk.preview(), region(LEFT, RIGHT))
    desk.press_button(tools["positive"])
    assert tools["positive"].isChecked() and not tools["box"].isChecked()
    desk.press_key(Qt.Key.Key_X)
    assert desk.session.state.tool == "negative" and tools["negative"].isChecked()
    desk.click(RIGHT)
    np.testing.assert_array_equal(desk.preview(), region(LEFT))
    desk.press_key(Qt.Key.Key_X)
    assert tools["positive"].isChecked()
    desk.press_button(tools["negative"])
    assert desk.session.state.tool == "negative"
    desk.click(LEFT)
    assert not desk.preview().any()


def test_deleting_the_last_point_by_key_clears_the_preview(open_desk):
    desk = open_desk()
    desk.click(LEFT)
    desk.viewer.layers.selection.active = desk.session.points
    desk.session.points.selected_data = {0}
    desk.press_key(Qt.Key.Key_Delete)
    assert not desk.preview().any() and not desk.session.state.candidates
    assert not any(card.isVisible() for card in desk.dock.candidates.cards)


def test_a_card_chooses_its_candidate_and_a_key_the_next(open_desk):
    desk = open_desk()
    desk.click(LEFT)
    areas = [c.area for c in desk.session.state.candidates]
    cards = desk.dock.candidates.cards
    desk.press_button(cards[1])
    assert desk.session.state.selected == 1 and desk.preview().sum() == areas[1]
    assert [card.isChecked() for card in cards] == [False, True, False]
    desk.press_button(cards[1])  # again: it stays chosen
    assert cards[1].isChecked() and desk.session.state.selected == 1
    desk.session.next_candidate()
    assert [card.isChecked() for card in cards] == [False, False, True]
    assert desk.preview().sum() == areas[2]


def test_the_buttons_accept_clear_undo_and_redo(open_desk):
    desk = open_desk()
    accept, clear, _clear_all, undo, redo = desk.dock.candidates.buttons
    assert not accept.isEnabled() and not clear.isEnabled()
    desk.click(LEFT)
    assert accept.isEnabled() and clear.isEnabled()
    desk.press_button(clear)
    assert not desk.preview().any() and len(desk.session.points.data) == 0
    desk.press_button(undo)
    np.testing.assert_array_equal(desk.preview(), region(LEFT))
    desk.press_button(redo)
    assert not desk.preview().any()
    desk.press_button(undo)
    desk.press_button(accept)
    np.testing.assert_array_equal(np.asarray(desk.session.target.data) == 1, region(LEFT))
    desk.press_button(undo)
    assert not np.asarray(desk.session.target.data).any()


def test_a_click_outside_the_image_says_so(open_desk):
    desk = open_desk()
    desk.session.points.add((-30.0, 20.0))
    desk.settle()
    assert desk.session.state.status.kind == "attention"
    assert "outside" in desk.dock.status.text.text()
    assert not desk.preview().any()


def test_what_the_engine_is_asked_is_what_was_clicked(open_desk, engine, monkeypatch):
    desk = open_desk(scale=(3.0, 1.0), rotate=30.0)
    asked = []
    predict = engine.predict
    monkeypatch.setattr(
        engine, "predict", lambda plane, prompts, **k: asked.append(prompts) or predict(plane, prompts, **k)
    )
    desk.click(LEFT)
    [prompt] = asked[-1]
    assert isinstance(prompt, PointPrompt) and prompt.positive
    assert np.abs(np.array(prompt.position) - LEFT).max() < 1.5


def test_the_canvas_maps_there_and_back(open_desk):
    """The mouse of these tests is right: what it points at is what napari says it points at."""
    desk = open_desk(scale=(3.0, 1.0), rotate=30.0, order=(1, 0))
    at = desk.pixel(RIGHT)
    world = desk.canvas._map_canvas2world((at.x(), at.y()), desk.canvas.view)
    assert np.abs(np.array(desk.session.image.world_to_data(world)) - RIGHT).max() < 1.0
    assert discs()[RIGHT] == 200
