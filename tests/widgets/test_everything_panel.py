"""The Everything section in a real window: objects are found, chosen by sliders and clicks, and written."""

from __future__ import annotations

import numpy as np
import pytest
from desk import LEFT, LEFT_BUTTON, RADIUS, RIGHT, SHAPE, Desk
from fitting import cut, narrow, settle_layout
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from scipy.ndimage import binary_fill_holes, label

from napari_sam.automatic import Proposal
from napari_sam.masks import BoxedMask


def find_bright(predictor, embedding, settings, progress, *, plane):
    """Find the bright regions of a picture, the first with a higher score than the others."""
    progress(0.5)
    regions, count = label(embedding.rendered[..., 0] > 100)
    return [Proposal(BoxedMask.of(regions == i), 0.95 if i == 1 else 0.75) for i in range(1, count + 1)]


@pytest.fixture
def open_section(open_desk, monkeypatch):
    """Return a function that opens a window with two discs, and the section."""
    monkeypatch.setattr("napari_sam.session.everything.search.find_proposals", find_bright)

    def open_it() -> Desk:
        desk = open_desk()
        desk.dock.everything.expand(animate=False)
        QApplication.processEvents()
        return desk

    return open_it


def drag_handle(slider, share: float) -> None:
    """Drag the handle of a slider to a share of its length."""
    bar = slider.slider
    y = bar.height() // 2

    def at(value: float) -> QPoint:
        return QPoint(round(8 + (bar.width() - 16) * value), y)

    QTest.mousePress(bar, LEFT_BUTTON, pos=at(bar.value() / 1000))
    QTest.mouseMove(bar, at(share))
    QTest.mouseRelease(bar, LEFT_BUTTON, pos=at(share))
    QApplication.processEvents()


def shown(desk: Desk) -> np.ndarray:
    """Pixels inside the outlines."""
    return binary_fill_holes(np.asarray(desk.viewer.layers["SAM objects"].data) > 0)


def hover(desk: Desk, position: tuple[int, int]) -> None:
    """Let the mouse come to a data pixel; sent, because a screen without a mouse may pass no move on."""
    place = QPointF(desk.pixel(position))
    native = desk.canvas.native
    none = Qt.MouseButton.NoButton
    move = QMouseEvent(
        QEvent.Type.MouseMove, place, native.mapToGlobal(place), none, none, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(native, move)
    QApplication.processEvents()


def words(desk: Desk) -> str:
    """What the section says, without the invisible places to break lines at."""
    return desk.dock.everything.words.text().replace("\u200b", "")


def disc(centre: tuple[int, int]) -> np.ndarray:
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= RADIUS**2


def test_find_choose_and_accept_with_mouse_and_keys(open_section):
    """One walk, because a window takes seconds to open."""
    desk = open_section()
    panel, session = desk.dock.everything, desk.session
    assert not panel.accept.isVisible()
    desk.press_button(panel.find_objects)
    np.testing.assert_array_equal(shown(desk), disc(LEFT) | disc(RIGHT))
    assert panel.accept.text() == "Accept 2"
    assert panel.pick.isChecked()
    settle_layout()
    # All of it is in view, and nothing is cut.
    view = desk.dock._scroll.viewport()
    assert view.rect().contains(panel.discard.mapTo(view, panel.discard.rect().center()))
    assert cut(desk) == []

    drag_handle(panel.score, 0.85)
    assert panel.accept.text() == "Accept 1"
    np.testing.assert_array_equal(shown(desk), disc(LEFT))
    desk.press_button(panel.reset)
    assert panel.accept.text() == "Accept 2"

    hover(desk, RIGHT)
    desk.qtbot.waitUntil(lambda: "score 0.75" in words(desk), timeout=60_000)
    desk.click(RIGHT)
    np.testing.assert_array_equal(shown(desk), disc(LEFT) | (shown(desk) & disc(RIGHT)))
    assert panel.accept.text() == "Accept 1"
    assert "1 dropped by hand" in words(desk)
    desk.click(RIGHT)
    assert panel.accept.text() == "Accept 2"
    # A drag moves the image, and drops nothing.
    desk.drag(LEFT, (LEFT[0] + 15, LEFT[1] + 15))
    assert panel.accept.text() == "Accept 2"

    desk.press_key(Qt.Key.Key_Return)
    assert sorted(np.unique(session.target.data)) == [0, 1, 2]
    assert not panel.accept.isVisible()
    assert session.state.tool == "positive"
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not session.target.data.any()

    # The person clicks objects as ever, and comes back to what was found.
    desk.press_button(panel.find_objects)
    desk.press_button(desk.dock.prompt.tools["positive"])
    assert not panel.pick.isChecked()
    desk.click(LEFT)
    assert len(session.points.data) == 1
    desk.press_button(panel.pick)
    assert panel.pick.isChecked()
    desk.press_button(panel.discard)
    assert "SAM objects" not in desk.viewer.layers
    assert not panel.accept.isVisible()


def test_cancel(open_section):
    desk = open_section()
    desk.engine.embedded = 0
    desk.engine.free.clear()
    panel = desk.dock.everything
    QTest.mouseClick(panel.find_objects, LEFT_BUTTON, pos=panel.find_objects.rect().center())
    desk.qtbot.waitUntil(lambda: panel.cancel.isEnabled() and not panel.find_objects.isEnabled())
    QTest.mouseClick(panel.cancel, LEFT_BUTTON, pos=panel.cancel.rect().center())
    desk.engine.free.set()
    desk.settle()
    assert panel.find_objects.isEnabled()
    assert desk.session.state.everything.found is None


def test_a_narrow_dock_cuts_no_text(open_section):
    desk = open_section()
    desk.press_button(desk.dock.everything.find_objects)
    narrow(desk, 300)
    assert cut(desk) == []


def test_the_wheel_over_a_slider_scrolls_the_dock(open_section):
    desk = open_section()
    panel = desk.dock.everything
    desk.press_button(panel.find_objects)
    before = desk.session.state.everything.chosen
    for slider in (panel.score, panel.area):
        middle = QPointF(slider.slider.rect().center())
        wheel = QWheelEvent(
            middle,
            slider.slider.mapToGlobal(middle),
            QPoint(),
            QPoint(0, 120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(slider.slider, wheel)
        assert not wheel.isAccepted()
    assert desk.session.state.everything.chosen == before


def test_sliders_leave_out_nothing_at_their_ends(open_section):
    desk = open_section()
    panel = desk.dock.everything
    desk.press_button(panel.find_objects)
    panel.area.slider.setValue((0, 1000))
    panel.intensity.slider.setValue((0, 1000))
    assert panel.accept.text() == "Accept 2"
    panel.area.slider.setValue((0, 500))  # the square root of the largest, on a scale of ratios
    assert desk.session.state.everything.chosen.area[1] == pytest.approx(np.sqrt(disc(LEFT).sum()), rel=0.02)
    assert panel.accept.text() == "Accept"
