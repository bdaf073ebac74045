"""Click, Enter, click, Enter, faster than the answers come: every object is the one that was clicked."""

from __future__ import annotations

import threading
from itertools import product

import numpy as np
import pytest
from desk import Desk, DiscEngine
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication

COUNT = 30
PLACES = np.random.default_rng(5).permutation(
    [(20 + 40 * row, 20 + 40 * column) for row, column in product(range(5), range(6))]
)
"""Middles of the objects, data pixels, (y, x), in the order in which they are clicked."""
AT_A_TIME = 5
"""Objects that are clicked while one answer comes."""


class GatedEngine(DiscEngine):
    """Answers prompts when the test says so, each once; a plane is encoded at once."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Semaphore(0)
        self.open = True

    def predict(self, plane, prompts, *, multimask=None, progress):
        while not self.open and not self.gate.acquire(timeout=0.01):
            progress(0.0)  # ends work that is not wanted any more
        return super().predict(plane, prompts, multimask=multimask, progress=progress)


@pytest.fixture
def engine() -> GatedEngine:
    return GatedEngine()


def with_ellipses(desk: Desk) -> Desk:
    """Open thirty ellipses, no two alike."""
    y, x = np.ogrid[:200, :240]
    image = np.zeros((200, 240), np.uint8)
    for number, (row, column) in enumerate(PLACES):
        height, width = 8 + number % 6, 8 + number // 6
        image[((y - row) / height) ** 2 + ((x - column) / width) ** 2 <= 1] = 200
    desk.viewer.add_image(image, name="ellipses", contrast_limits=(0, 255))
    QApplication.processEvents()
    desk.settle()
    return desk


def reopen(desk: Desk) -> Desk:
    """Close the dock by its button, and open it again."""
    close(desk)
    again = Desk(desk.viewer, desk.qtbot, desk.engine)
    again.settle()
    return again


def close(desk: Desk) -> None:
    desk.frame.title.close_button.click()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def pair(desk: Desk, number: int) -> None:
    """Click an object and press Enter, with no look at the screen."""
    desk.click(PLACES[number], settle=False)
    desk.press_key(Qt.Key.Key_Return, settle=False)


def answer(desk: Desk) -> None:
    """Let the engine answer once, and wait until the object is written."""
    left = desk.session.state.waiting - 1
    desk.engine.gate.release()
    desk.qtbot.waitUntil(lambda: desk.session.state.waiting == left, timeout=60_000)


def looks_busy(desk: Desk, waiting: int) -> bool:
    """Whether the dock shows that it works, and for how many objects."""
    count = "1 accepted object waits" if waiting == 1 else f"{waiting} accepted objects wait"
    return desk.dock.status.mark.kind == "working" and count in desk.dock.status.text.text()


@pytest.mark.slow
def test_a_burst_gives_the_objects_that_slow_clicks_give(open_desk):
    desk = with_ellipses(open_desk(image=False))
    for number in range(COUNT):
        desk.click(PLACES[number])
        desk.press_key(Qt.Key.Key_Return)
    slow = np.asarray(desk.session.target.data).copy()
    assert slow.max() == COUNT

    desk = reopen(desk)
    desk.session.new_target()
    desk.engine.open = False
    waiting = answered = 0
    for number in range(COUNT):
        pair(desk, number)
        waiting += 1
        assert desk.session.state.waiting == waiting
        if number % AT_A_TIME == AT_A_TIME - 1:
            answer(desk)
            answered, waiting = answered + 1, waiting - 1
            assert np.asarray(desk.session.target.data).max() == answered
    for left in range(waiting, 0, -1):
        desk.qtbot.waitUntil(lambda left=left: looks_busy(desk, left), timeout=60_000)
        assert desk.dock.target.next_id.text() == f"Next id: {COUNT + 1}"
        answer(desk)
    desk.settle()
    fast = np.asarray(desk.session.target.data)
    for number, (y, x) in enumerate(PLACES, start=1):
        assert fast[y, x] == number
        np.testing.assert_array_equal(fast == number, slow == number)
    assert not desk.session.points.data.size and "Object 30 written" in desk.dock.status.text.text()


def test_closing_the_dock_meanwhile_brings_the_clicks_back_and_says_so(open_desk):
    desk = with_ellipses(open_desk(image=False))
    desk.engine.open = False
    for number in range(4):
        pair(desk, number)
    answer(desk)
    labels, points = desk.session.target, desk.session.points
    with notification_manager:
        notification_manager.records.clear()
        close(desk)
        [told] = [record.message for record in notification_manager.records]
    assert "closed before 3 accepted objects were written" in told
    assert labels.data.max() == 1
    assert points in desk.viewer.layers
    np.testing.assert_array_equal(sorted(np.rint(points.data).tolist()), sorted(PLACES[1:4].tolist()))


def test_closing_the_window_meanwhile_is_no_error(open_desk):
    desk = with_ellipses(open_desk(image=False))
    desk.engine.open = False
    for number in range(3):
        pair(desk, number)
    desk.viewer.close()
    assert not desk.session.state.candidates
