"""Work goes on where it was: after the dock was closed, and with labels that lie elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from desk import LEFT, LEFT_BUTTON, RIGHT, Desk, discs
from qtpy.QtCore import QEvent, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication


def reopen(desk: Desk) -> Desk:
    """Close the dock by its button, and open it again."""
    desk.frame.title.close_button.click()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    again = Desk(desk.viewer, desk.qtbot, desk.engine)
    again.settle()
    return again


def accept(desk: Desk, position: tuple[int, int]) -> None:
    desk.click(position)
    desk.press_key(Qt.Key.Key_Return)


def choose(desk: Desk, row: int) -> None:
    """Open the list of labels with the mouse, and click one of its rows."""
    combo = desk.dock.target.combo
    QTest.mouseClick(combo, LEFT_BUTTON)
    QApplication.processEvents()
    view = combo.view()
    place = view.visualRect(view.model().index(row, 0)).center()
    QTest.mouseMove(view.viewport(), place)
    QTest.mouseClick(view.viewport(), LEFT_BUTTON, pos=place)
    desk.settle()


def test_the_dock_goes_on_where_it_was_closed(open_desk):
    desk = open_desk()
    accept(desk, LEFT)
    desk.dock.target.policy.activated.emit(1)  # overwrite
    labels = desk.session.target
    for _ in range(3):
        desk = reopen(desk)
        assert desk.dock.target.combo.currentText() == labels.name and desk.dock.target.next_id.text() == "Next id: 2"
        assert desk.dock.target.policy.currentText() == "Overwrite"
    assert len(desk.viewer.layers) == 3, list(desk.viewer.layers)  # the image, its labels, the points
    accept(desk, RIGHT)
    assert (labels.data[LEFT], labels.data[RIGHT]) == (1, 2)
    desk = reopen(desk)
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (labels.data[LEFT], labels.data[RIGHT]) == (1, 0)
    assert "before the dock was opened" in desk.dock.status.text.text()
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not labels.data.any()


@pytest.mark.parametrize("scale", [(0.25, 0.25), (1, 1)])
def test_saved_labels_are_continued_in_two_clicks(open_desk, scale):
    desk = open_desk(scale=scale, translate=(5, 7))
    data = np.where(np.arange(discs().shape[1]) < 80, discs() > 0, 0).astype(int)
    labels = desk.viewer.add_labels(data, name="saved")
    combo = desk.dock.target.combo
    assert combo.currentIndex() == -1
    choose(desk, 0)
    assert desk.session.target is labels and combo.currentText() == "saved"
    assert np.allclose(labels.scale, scale) and np.allclose(labels.translate, (5, 7))
    desk.session.use_tool("positive")
    accept(desk, RIGHT)
    assert (labels.data[LEFT], labels.data[RIGHT]) == (1, 2)
