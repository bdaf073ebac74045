"""Many objects at once in a real window: clicks and boxes, one key that makes all, one that writes them, one undo."""

from __future__ import annotations

import numpy as np
import pytest
from desk import LEFT_BUTTON, SHAPE, Desk, DiscEngine
from fitting import cut, narrow, settle_layout
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from scipy.ndimage import binary_fill_holes

from napari_sam.inference.shaping import shape_mask
from napari_sam.masks import BoxedMask
from napari_sam.prompts import PointPrompt, PromptSet

CENTRES = ((25, 25), (25, 80), (25, 135), (90, 50), (90, 110))
"""Centres of five discs, data pixels, (y, x)."""
RADIUS = 14
CONTROL = Qt.KeyboardModifier.ControlModifier


def disc(centre) -> np.ndarray:
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= RADIUS**2


def five() -> np.ndarray:
    return np.where(np.any([disc(centre) for centre in CENTRES], axis=0), 200, 0).astype(np.uint8)


@pytest.fixture
def open_batch(open_desk):
    """Return a function that opens a window with five discs, in the tempo "batch"."""

    def open_it() -> Desk:
        desk = open_desk()
        desk.session.image.data = five()
        desk.settle()
        desk.press_button(desk.dock.prompt.tempo.buttons["batch"])
        return desk

    return open_it


def test_five_clicks_one_key_enter_and_one_undo(open_batch):
    desk = open_batch()
    for centre in CENTRES:
        desk.click(centre)
    assert len(desk.session.points.data) == 5
    assert not desk.engine.batches
    desk.press_key(Qt.Key.Key_O)
    assert desk.engine.batches == [[PromptSet((PointPrompt(tuple(at)),)) for at in desk.session.points.data.tolist()]]
    assert "SAM objects" in desk.viewer.layers
    assert desk.session.state.everything.picking
    desk.press_key(Qt.Key.Key_Return)
    target = desk.session.target
    assert [int(target.data[centre]) for centre in CENTRES] == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(target.data > 0, five() > 0)
    assert not len(desk.session.points.data)
    desk.press_key(Qt.Key.Key_Z, CONTROL)
    assert not target.data.any()
    assert len(desk.session.points.data) == 5
    desk.press_key(Qt.Key.Key_Z, CONTROL | Qt.KeyboardModifier.ShiftModifier)
    assert sorted(np.unique(target.data)) == [0, 1, 2, 3, 4, 5]


def test_a_slider_of_the_clean_up_changes_all_that_is_shown_and_what_enter_writes(open_batch):
    desk = open_batch()
    for centre in CENTRES:
        desk.click(centre)
    desk.press_key(Qt.Key.Key_O)
    asked = len(desk.engine.batches)
    cleanup = desk.dock.cleanup
    cleanup.expand(animate=False)
    QApplication.processEvents()
    drag_slider(cleanup.grow.slider, 0.35)
    desk.settle()
    shaping = desk.session.settings.shaping
    assert shaping.grow < -2
    shrunk = [shape_mask(BoxedMask.of(disc(centre)), shaping).whole() for centre in CENTRES]
    outlines = np.asarray(desk.viewer.layers["SAM objects"].data)
    np.testing.assert_array_equal(binary_fill_holes(outlines > 0), np.any(shrunk, axis=0))
    desk.press_key(Qt.Key.Key_Return)
    for number, mask in enumerate(shrunk, 1):
        np.testing.assert_array_equal(desk.session.target.data == number, mask)
    assert len(desk.engine.batches) == asked


def drag_slider(bar, share: float) -> None:
    """Drag the handle of a slider to a share of its length."""
    y, width = bar.height() // 2, bar.width() - 16
    begin, end = (QPoint(round(8 + width * at), y) for at in (bar.value() / bar.maximum(), share))
    QTest.mousePress(bar, LEFT_BUTTON, pos=begin)
    QTest.mouseMove(bar, begin + (end - begin) / 2)
    QTest.mouseMove(bar, end)
    QTest.mouseRelease(bar, LEFT_BUTTON, pos=end)


def test_boxes_stay_beside_each_other_and_are_made_together(open_batch):
    desk = open_batch()
    desk.press_key(Qt.Key.Key_W)
    for y, x in CENTRES[:3]:
        desk.drag((y - 17, x - 17), (y + 17, x + 17))
    assert len(desk.session.shapes.data) == 3
    desk.press_button(desk.dock.prompt.batch.make_all)
    desk.press_key(Qt.Key.Key_Return)
    assert sorted(np.unique(desk.session.target.data)) == [0, 1, 2, 3]
    assert not len(desk.session.shapes.data)


def test_a_click_drops_an_object_before_all_are_written(open_batch):
    desk = open_batch()
    for centre in CENTRES[:3]:
        desk.click(centre)
    desk.press_key(Qt.Key.Key_O)
    desk.click(CENTRES[1])
    desk.press_key(Qt.Key.Key_Return)
    target = desk.session.target.data
    assert target[CENTRES[0]]
    assert not target[CENTRES[1]]
    assert target[CENTRES[2]]


def test_the_button_tells_how_many_and_is_there_in_a_batch_alone(open_batch):
    desk = open_batch()
    row = desk.dock.prompt.batch
    assert row.isVisible()
    assert row.make_all.text() == "Make all"
    assert not row.make_all.isEnabled()
    desk.click(CENTRES[0])
    desk.click(CENTRES[1])
    assert row.make_all.text() == "Make all 2"
    assert row.make_all.isEnabled()
    desk.press_button(desk.dock.prompt.tempo.buttons["careful"])
    assert not row.isVisible()


def test_a_grid_of_points_is_drawn_by_a_button(open_batch):
    desk = open_batch()
    row = desk.dock.prompt.batch
    row.spacing.setValue(30)
    desk.press_button(row.add_grid)
    drawn = desk.session.points.data
    assert len(drawn) == desk.session.state.everything.drawn > 10
    assert set(np.diff(np.unique(drawn[:, 0]))) == {30}
    desk.press_key(Qt.Key.Key_Z, CONTROL)
    assert not len(desk.session.points.data)


def test_labels_of_another_tool_are_refined_from_the_section(open_batch):
    desk = open_batch()
    rough = np.zeros(SHAPE, np.uint16)
    for label, (y, x) in enumerate(CENTRES, 11):
        rough[y - 8 : y + 9, x - 8 : x + 9] = label
    layer = desk.viewer.add_labels(rough, name="rough")
    desk.engine.predictor.prompt_kinds = frozenset({"point"})
    section = desk.dock.everything
    section.expand(animate=False)
    source = section.source
    source.read_layers()
    place = next(i for i in range(source.count()) if source.row(i).data is layer)
    source.setCurrentIndex(place)
    source.activated.emit(place)
    assert section.find_objects.text() == "Refine all"
    assert not section.place.isVisible()
    desk.press_button(section.find_objects)
    assert section.agreement.isVisible()
    assert desk.session.state.everything.shown == 5
    desk.press_key(Qt.Key.Key_Return)
    for label, centre in enumerate(CENTRES, 11):
        np.testing.assert_array_equal(layer.data == label, disc(centre))
    desk.press_key(Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(layer.data, rough)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_is_cut_in_a_narrow_dock(open_batch, theme):
    desk = open_batch()
    desk.viewer.theme = theme
    for centre in CENTRES:
        desk.click(centre)
    desk.dock.everything.expand(animate=False)
    desk.press_key(Qt.Key.Key_O)
    narrow(desk, 300)
    settle_layout()
    assert cut(desk) == []
    spacing = desk.dock.prompt.batch.spacing
    line = spacing.lineEdit()
    assert line.fontMetrics().horizontalAdvance(line.text()) < line.width()


def test_the_engine_of_these_tests_counts_calls():
    engine = DiscEngine()
    assert list(engine.predictor.predict_many(None, [])) == []
    assert engine.batches == [[]]
