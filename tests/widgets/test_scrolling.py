"""Scrolling through a stack while planes are encoded ahead: the window goes on.

How long it is held up at most is measured by `benchmarks/scroll_window.py`.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest
from desk import DiscEngine
from qtpy.QtWidgets import QApplication

from napari_sam.session import Session
from napari_sam.session.viewing.plane_on_screen import find_view, visible_box
from napari_sam.widgets.gui_thread import GuiThread, is_mouse_held

PLANES = 20


class WatchedEngine(DiscEngine):
    """Notes which threads it worked on."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[threading.Thread] = set()
        self.ahead = threading.Event()

    def embed(self, *args, **options):
        self.threads.add(threading.current_thread())
        return super().embed(*args, **options)

    def prepare(self, *args, **options):
        self.threads.add(threading.current_thread())
        self.ahead.set()
        return super().prepare(*args, **options)


def test_scrolling_goes_on_while_a_plane_is_encoded_ahead(make_napari_viewer, qtbot, monkeypatch):
    monkeypatch.setattr("napari_sam.session.events._SCROLL_S", 0.0)
    monkeypatch.setattr("napari_sam.session.candidates.prefetch._IDLE_S", 0.0)
    viewer = make_napari_viewer(show=True)
    image = viewer.add_image(np.zeros((PLANES, 64, 64), np.uint8), contrast_limits=(0, 255))
    letter_box, engine = GuiThread(), WatchedEngine()
    session = Session(viewer, image=image, post=letter_box.post, engine_factory=engine.load, held=is_mouse_held)
    session.wait(60)
    engine.free.clear()
    viewer.dims.set_point(0, 0)
    session.wait(60)
    qtbot.waitUntil(engine.ahead.is_set, timeout=60_000)
    shown = []
    for plane in range(PLANES):  # a window that waited for what is encoded ahead would never come to the end
        viewer.dims.set_point(0, plane)
        QApplication.processEvents()
        shown.append(viewer.dims.current_step[0])
    assert shown == list(range(PLANES)) and not engine.free.is_set()
    engine.free.set()
    session.wait(60)
    session.close()
    letter_box.close()
    assert engine.threads and threading.main_thread() not in engine.threads


@pytest.mark.parametrize("button", [True, False])
def test_the_mouse_is_heard_of(qtbot, button):
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QWidget

    widget = QWidget()
    qtbot.addWidget(widget)
    widget.show()
    qtbot.waitExposed(widget)
    if button:
        QTest.mousePress(widget.windowHandle(), Qt.MouseButton.LeftButton)
    assert is_mouse_held() is button
    if button:
        QTest.mouseRelease(widget.windowHandle(), Qt.MouseButton.LeftButton)
    assert not is_mouse_held()


def test_what_the_canvas_shows_is_known(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    image = viewer.add_image(np.zeros((900, 1200), np.uint8), scale=(2, 1), translate=(50, -30))
    viewer.scene.camera.zoom *= 5
    viewer.scene.camera.center = (700, 400)
    qtbot.wait(200)
    low, high = visible_box(viewer, image, find_view(viewer, image))
    # napari notes the same when it draws, in whole pixels.
    qtbot.waitUntil(lambda: bool(np.abs(np.array([low, high]) - image.corner_pixels).max() < 3), timeout=60_000)
    assert (high - low < (900, 1200)).all()
