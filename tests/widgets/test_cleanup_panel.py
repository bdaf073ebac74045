"""The Clean-up section in a real window: sliders change the mask on screen at once, and what is accepted."""

from __future__ import annotations

import numpy as np
import pytest
from desk import LEFT, LEFT_BUTTON, Desk
from fitting import cut, narrow, settle_layout
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from scipy.ndimage import binary_fill_holes

from napari_sam.inference.shaping import USUAL, MaskShaping, shape_mask
from napari_sam.masks import BoxedMask


@pytest.fixture
def open_section(open_desk):
    """Return a function that opens a window with the section, and clicks one disc."""

    def open_it() -> Desk:
        desk = open_desk()
        desk.dock.cleanup.expand(animate=False)
        QApplication.processEvents()
        desk.click(LEFT)
        return desk

    return open_it


def drag_handle(desk: Desk, slider, share: float) -> None:
    """Drag the handle of a slider to a share of its length."""
    bar = slider.slider
    y, width = bar.height() // 2, bar.width() - 16
    begin = QPoint(round(8 + width * bar.value() / bar.maximum()), y)
    end = QPoint(round(8 + width * share), y)
    QTest.mousePress(bar, LEFT_BUTTON, pos=begin)
    QTest.mouseMove(bar, begin + (end - begin) / 2)
    QTest.mouseMove(bar, end)
    QTest.mouseRelease(bar, LEFT_BUTTON, pos=end)
    desk.settle()


def words(desk: Desk) -> str:
    return desk.dock.cleanup.words.text().replace("\u200b", "")


def test_a_slider_grows_the_mask_on_screen_and_what_is_accepted(open_section):
    section = open_section()
    before = section.preview()
    drag_handle(section, section.dock.cleanup.grow, 0.75)
    shaping = section.session.settings.shaping
    assert 5 <= shaping.grow <= 14
    np.testing.assert_array_equal(section.preview(), shape_mask(BoxedMask.of(before), shaping).whole())
    added = int(section.preview().sum() - before.sum())
    assert words(section) == f"This mask: {added:,} px added."
    assert section.dock.cleanup.text() == "Clean-up (on)"
    mask = section.preview()
    section.press_key(Qt.Key.Key_Return)
    np.testing.assert_array_equal(np.asarray(section.session.target.data) > 0, mask)


def test_reset_gives_the_mask_back(open_section):
    section = open_section()
    before = section.preview()
    drag_handle(section, section.dock.cleanup.smooth, 0.5)
    section.dock.cleanup.parts.click()
    assert section.session.settings.shaping.largest_part
    section.press_button(section.dock.cleanup.reset)
    np.testing.assert_array_equal(section.preview(), before)
    assert section.session.settings.shaping == USUAL
    assert section.dock.cleanup.text() == "Clean-up"
    assert words(section) == ""


def test_sizes_are_typed_and_the_keyboard_is_the_canvas_again(open_section):
    section = open_section()
    box = section.dock.cleanup.smallest_part
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "5000")
    QTest.keyClick(box, Qt.Key.Key_Return)
    section.settle()
    assert section.session.settings.shaping == MaskShaping(smallest_part=5000, correction="branches")
    assert not section.preview().any()
    assert words(section) == "Nothing of this mask is left. Reset, or choose less."
    assert not box.hasFocus()
    assert section.session.target is None


def test_holes_are_filled_only_where_asked(open_desk):
    desk = open_desk()
    image = np.asarray(desk.session.image.data).copy()
    image[58:62, 40:44] = 0
    desk.session.image.data = image
    desk.settle()
    desk.dock.cleanup.expand(animate=False)
    desk.click((60, 55))
    assert not desk.preview()[60, 42]
    assert not desk.dock.cleanup.largest_hole.isEnabled()
    desk.press_button(desk.dock.cleanup.holes)
    if not desk.session.settings.shaping.fill_holes:  # a style may take clicks on the square of a box only
        desk.dock.cleanup.holes.click()
        desk.settle()
    np.testing.assert_array_equal(desk.preview(), binary_fill_holes(desk.preview()))
    assert desk.preview()[60, 42]
    assert desk.dock.cleanup.largest_hole.isEnabled()
    desk.dock.cleanup.largest_hole.setValue(3)
    desk.settle()
    assert not desk.preview()[60, 42]


@pytest.mark.parametrize("width", [300, 360])
def test_nothing_is_cut(open_section, width):
    section = open_section()
    drag_handle(section, section.dock.cleanup.grow, 0.9)
    narrow(section, width)
    settle_layout()
    assert cut(section) == []


def test_controls_have_names_and_tooltips(open_section):
    section = open_section()
    panel = section.dock.cleanup
    for slider in (panel.threshold, panel.smooth, panel.grow):
        assert slider.slider.accessibleName()
        assert slider.slider.toolTip()
    for widget in (panel.holes, panel.parts, panel.largest_hole, panel.smallest_part, panel.reset):
        assert widget.toolTip()
        assert widget.accessibleName() or widget.text()


def test_values_of_the_mask_become_its_limits(open_section):
    section = open_section()
    limits = section.dock.cleanup.limits
    section.press_button(limits.from_mask)
    assert section.session.shaping.chosen.grey_range == (200, 200)
    assert section.preview()[LEFT]
    limits.grey_range.chosen.emit(0, 100)
    section.settle()
    assert not section.preview().any()
    limits.grey_range.chosen.emit(*limits._range())
    section.settle()
    assert section.session.shaping.chosen == USUAL


def test_labels_that_are_typed_are_left_out(open_section):
    section = open_section()
    before = section.preview()
    labels = np.zeros(before.shape, np.uint16)
    labels[:, : LEFT[1]] = 3
    labels[: LEFT[0], LEFT[1] :] = 4
    layer = section.viewer.add_labels(labels, name="others")
    section.settle()
    section.session.shaping.exclude(layer, "3")
    section.settle()
    limits = section.dock.cleanup.limits
    assert limits.layer.currentText() == "others"
    assert limits.labels.text() == "3"
    np.testing.assert_array_equal(section.preview(), before & (labels != 3))
    limits.labels.setFocus()
    limits.labels.selectAll()
    QTest.keyClicks(limits.labels, "3-4")
    QTest.keyClick(limits.labels, Qt.Key.Key_Return)
    section.settle()
    np.testing.assert_array_equal(section.preview(), before & (labels == 0))
