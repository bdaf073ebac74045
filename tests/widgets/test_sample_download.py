"""A sample that is downloaded: the window lives meanwhile, and what went wrong stays to be read."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QMessageBox, QProgressDialog, QPushButton

from napari_sam.errors import Cancelled, InputError
from napari_sam.widgets import sample_download


@pytest.fixture
def network(monkeypatch):
    """Stand for scikit-image's download: slow until it is let go, then offline or not."""
    from skimage import data

    class Network:
        def __init__(self) -> None:
            self.answer, self.online, self.thread = threading.Event(), True, None

        def __call__(self):
            self.thread = threading.current_thread()
            assert self.answer.wait(60)
            if not self.online:
                raise ConnectionError("no internet connection is available.")
            return np.zeros((60, 2, 256, 256), np.uint16)

    fake = Network()
    monkeypatch.setattr(data, "cells3d", fake)
    yield fake
    fake.answer.set()


def beside(dialog_does) -> list[int]:
    """Do something with the dialog once it is there; return a list that grows while the event loop runs."""
    beats: list[int] = []
    timer = QTimer(QApplication.instance())
    timer.setInterval(5)

    def beat() -> None:
        dialogs = [w for w in QApplication.topLevelWidgets() if isinstance(w, QProgressDialog) and w.isVisible()]
        beats.extend([1] * len(dialogs))
        if dialogs and len(beats) == 10:
            dialog_does(dialogs[0])
        if len(beats) >= 10 and not dialogs:
            timer.stop()
            timer.deleteLater()

    timer.timeout.connect(beat)
    timer.start()
    return beats


def test_the_window_lives_while_it_is_downloaded(make_napari_viewer, network):
    make_napari_viewer(show=True)
    beats = beside(lambda _dialog: network.answer.set())
    [(pixels, options, kind)] = sample_download.cells_volume()
    assert pixels.shape == (60, 256, 256) and options["name"] == "Nuclei (real volume)" and kind == "image"
    assert len(beats) >= 10 and network.thread is not threading.main_thread()


def test_without_a_network_a_message_stays(make_napari_viewer, network, qtbot):
    viewer = make_napari_viewer(show=True)
    network.online = False
    beside(lambda _dialog: network.answer.set())
    with pytest.raises(InputError, match="cannot be downloaded: no internet connection"):
        sample_download.cells_volume()
    [box] = viewer.window._qt_window.findChildren(QMessageBox)
    assert "cannot be downloaded" in box.text() and not box.findChildren(QTimer)
    viewer.add_image(np.zeros((9, 9)))  # the window goes on beneath it
    assert box.isVisible()
    QTest.mouseClick(box.buttons()[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not viewer.window._qt_window.findChildren(QMessageBox), timeout=60_000)


def test_it_can_be_cancelled_at_once(make_napari_viewer, network):
    make_napari_viewer(show=True)
    beside(lambda dialog: dialog.findChild(QPushButton).click())
    with pytest.raises(Cancelled, match="was not opened"):
        sample_download.cells_volume()
    assert network.thread.is_alive()
    network.answer.set()
    network.thread.join(60)


def test_what_is_on_the_disk_opens_without_a_dialog(make_napari_viewer, network, monkeypatch):
    make_napari_viewer(show=True)
    monkeypatch.setattr(sample_download, "_AT_ONCE_S", 20.0)  # as if the disk were slow, too
    network.answer.set()
    monkeypatch.setattr(QProgressDialog, "exec", lambda _self: pytest.fail("there is nothing to wait for"))
    [(pixels, _options, _kind)] = sample_download.cells_volume()
    assert pixels.shape == (60, 256, 256)
