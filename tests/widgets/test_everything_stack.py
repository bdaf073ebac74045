"""A stack in the Everything section, in a real window: found, chosen plane by plane, accepted, undone, cancelled."""

from __future__ import annotations

import numpy as np
import pytest
from desk import LEFT, LEFT_BUTTON, RIGHT, SHAPE, Desk, discs
from fitting import cut, narrow, settle_layout
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from scipy.ndimage import binary_fill_holes, label

from napari_sam.automatic import Proposal
from napari_sam.automatic.descriptors import Descriptors
from napari_sam.masks import BoxedMask

PLANES = 4
DISC = {name: label(discs() > 0)[0] == number for number, name in enumerate(("left", "right"), 1)}


def find_bright(predictor, embedding, settings, progress, *, plane):
    """Find the bright regions of a picture, the first with a higher score than the others."""
    regions, count = label(embedding.rendered[..., 0] > 100)
    return [Proposal(BoxedMask.of(regions == i), 0.95 if i == 1 else 0.75) for i in range(1, count + 1)]


def describe(_predictor, _embedding, _pixels, masks, extra=None):
    values = np.array([[mask.area, 1.0] for mask in masks], float)
    return Descriptors(values, np.full(2, np.nan), np.zeros(2), np.ones(2))


@pytest.fixture
def open_stack(make_napari_viewer, qtbot, engine, monkeypatch):
    """Return a function that opens a window on a stack of planes with two discs each, and the section."""
    monkeypatch.setattr("napari_sam.session.everything.search.find_proposals", find_bright)
    monkeypatch.setattr(Descriptors, "of", describe)

    def open_it(axis: str = "z") -> Desk:
        viewer = make_napari_viewer(show=True)
        viewer.window._qt_window.resize(1200, 900)
        volume = np.stack([discs()] * PLANES)
        viewer.add_image(volume, name="cells", contrast_limits=(0, 255), axis_labels=(axis, "y", "x"))
        viewer.dims.set_current_step(0, 0)
        viewer.reset_view()
        desk = Desk(viewer, qtbot, engine)
        desk.settle()
        desk.dock.everything.expand(animate=False)
        settle_layout()
        return desk

    return open_it


def choose(combo, row: int) -> None:
    """Open a list with a key, and go down to one of its rows."""
    combo.setFocus()
    QTest.keyClick(combo, Qt.Key.Key_Space)
    view = combo.view()
    for _ in range(row - combo.currentIndex()):
        QTest.keyClick(view, Qt.Key.Key_Down)
    QTest.keyClick(view, Qt.Key.Key_Return)
    settle_layout()


def drag_handle(slider, share: float) -> None:
    """Drag the handle of a slider to a share of its length."""
    bar = slider.slider

    def at(value: float) -> QPoint:
        return QPoint(round(8 + (bar.width() - 16) * value), bar.height() // 2)

    QTest.mousePress(bar, LEFT_BUTTON, pos=at(bar.value() / 1000))
    QTest.mouseMove(bar, at(share))
    QTest.mouseRelease(bar, LEFT_BUTTON, pos=at(share))
    QApplication.processEvents()


def scroll(desk: Desk, place: int) -> None:
    """Drag the viewer's slider to a plane."""
    desk.viewer.window._qt_viewer.dims.slider_widgets[0].slider.setValue(place)
    desk.settle()


def shown(desk: Desk) -> np.ndarray:
    """Pixels inside the outlines of the plane on screen."""
    layer = desk.viewer.layers["SAM objects"]
    assert layer.translate[0] == desk.viewer.dims.current_step[0]
    return binary_fill_holes(np.asarray(layer.data)[0] > 0)


def words(desk: Desk) -> str:
    """What the section says, without the invisible places to break lines at."""
    return desk.dock.everything.words.text().replace("\u200b", "")


def test_find_choose_on_several_planes_accept_undo_and_redo(open_stack):
    """One walk, because a window takes seconds to open."""
    desk = open_stack()
    panel, session = desk.dock.everything, desk.session
    labels = np.zeros((PLANES, *SHAPE), np.uint16)
    labels[2, : LEFT[0], LEFT[1]] = 5  # a line down into the left disc
    session.target = desk.viewer.add_labels(labels.copy(), axis_labels=("z", "y", "x"))
    desk.viewer.layers.selection.active = session.points
    assert not panel.link.isVisible()
    choose(panel.place, 3)
    assert panel.place.currentText() == "Stack along z"
    assert panel.link.isVisible()
    assert panel.link.currentText() == "In depth"

    desk.press_button(panel.find_objects)
    np.testing.assert_array_equal(shown(desk), DISC["left"] | DISC["right"])
    assert panel.accept.text() == "Accept stack"
    assert "2 of 2 objects shown here" in words(desk)
    assert f"8 of 8 outlines on {PLANES} planes" in words(desk)
    narrow(desk, 300)
    assert cut(desk) == []

    # A slider chooses on all planes: each is drawn when it is on screen.
    asked = desk.engine.embedded
    drag_handle(panel.score, 0.85)
    assert "4 of 8 outlines" in words(desk)
    np.testing.assert_array_equal(shown(desk), DISC["left"])
    scroll(desk, 1)
    np.testing.assert_array_equal(shown(desk), DISC["left"])
    assert desk.engine.embedded - asked <= 1  # the plane on screen, as after every scroll
    desk.press_button(panel.reset)

    scroll(desk, 3)
    desk.click((3, *RIGHT))
    assert panel.accept.text() == "Accept stack"
    assert "1 of 2 objects shown here (1 dropped by hand)" in words(desk)
    assert "7 of 8 outlines" in words(desk)
    scroll(desk, 0)
    assert "dropped" not in words(desk)

    desk.press_key(Qt.Key.Key_Return)
    written = np.asarray(session.target.data).copy()
    assert sorted(np.unique(written)) == [0, 5, 6, 7]
    for place in range(PLANES):
        right = DISC["right"] if place < 3 else np.zeros(SHAPE, bool)
        expected = np.where(DISC["left"], 6, np.where(right, 7, 0))
        np.testing.assert_array_equal(written[place], np.where(labels[place], labels[place], expected))
    assert "2 objects" in desk.dock.status.text.text().replace("\u200b", "")
    assert not panel.accept.isVisible()
    assert session.state.tool == "positive"
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    np.testing.assert_array_equal(session.target.data, labels)
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    np.testing.assert_array_equal(session.target.data, written)


@pytest.fixture
def held_back(monkeypatch, engine):
    """Let the search find objects on a plane, and hold it back before the third."""
    done = []

    def find(predictor, embedding, settings, progress, *, plane):
        if len(done) == 2:
            while not engine.free.wait(0.01):
                progress(0.5)
        done.append(plane)
        return find_bright(predictor, embedding, settings, progress, plane=plane)

    def begin(desk: Desk) -> None:
        monkeypatch.setattr("napari_sam.session.everything.search.find_proposals", find)
        panel = desk.dock.everything
        choose(panel.place, 3)
        engine.free.clear()
        QTest.mouseClick(panel.find_objects, LEFT_BUTTON, pos=panel.find_objects.rect().center())
        desk.qtbot.waitUntil(lambda: f"plane 3 of {PLANES}" in desk.session.state.status.text, timeout=60_000)

    return begin


def test_cancel_in_the_middle_keeps_what_is_done(open_stack, held_back):
    desk = open_stack("t")
    panel = desk.dock.everything
    held_back(desk)
    assert panel.link.currentText() == "In time"
    # The plane on screen changes, and the search goes on.
    desk.viewer.dims.set_current_step(0, 1)
    QApplication.processEvents()
    assert panel.cancel.isEnabled()
    QTest.mouseClick(panel.cancel, LEFT_BUTTON, pos=panel.cancel.rect().center())
    assert "4 objects of 2 of 4 planes are kept" in desk.session.state.status.text
    desk.engine.free.set()
    desk.settle()
    np.testing.assert_array_equal(shown(desk), DISC["left"] | DISC["right"])
    scroll(desk, 3)
    assert "SAM objects" not in desk.viewer.layers
    assert "t = 0 to 1" in words(desk)
    assert not panel.accept.isEnabled()
    scroll(desk, 0)
    desk.press_button(panel.accept)
    written = np.asarray(desk.session.target.data)
    assert [np.unique(plane).tolist() for plane in written] == [[0, 1, 2], [0, 1, 2], [0], [0]]


def test_the_image_is_deleted_in_the_middle(open_stack, held_back):
    desk = open_stack()
    held_back(desk)
    desk.viewer.layers.selection = {desk.viewer.layers["cells"]}
    desk.viewer.layers.remove_selected()
    desk.engine.free.set()
    desk.settle()
    assert desk.session.state.everything.found is None
    assert not desk.session.state.everything.running
    assert "SAM objects" not in desk.viewer.layers
    # The stack is gone, and its row with it.
    assert desk.dock.everything.place.currentText() == "Whole plane"
    assert not desk.dock.everything.link.isVisible()
