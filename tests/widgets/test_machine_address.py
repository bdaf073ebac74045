"""Another machine in the list of devices: named once, told in the status line, and the window goes on meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from desk import LEFT, LEFT_BUTTON, Desk, DiscEngine, discs
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from dask_cluster import cluster
from napari_sam.remote import encoder, worker
from napari_sam.remote.addresses import known_addresses
from napari_sam.widgets import SamDock
from napari_sam.widgets.controls.device_combo import MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESS = "tcp://lab-gpu:8786"
BEATS = 20


def ask(desk: Desk) -> None:
    """Choose the last row of the list of devices, as the mouse or a key does."""
    device = desk.dock.source.device
    assert device.row(device.count() - 1).text == "Another machine…"
    device.activated.emit(device.count() - 1)
    QApplication.processEvents()


def shown(desk: Desk) -> object:
    device = desk.dock.source.device
    return device.row(device.currentIndex()).data


@pytest.fixture
def open_window(open_desk, qtbot) -> Callable[[], Desk]:
    """Return a function that opens a window which has the keyboard."""

    def open_it() -> Desk:
        desk = open_desk()
        desk.viewer.window._qt_window.activateWindow()
        qtbot.waitUntil(desk.viewer.window._qt_window.isActiveWindow, timeout=60_000)
        return desk

    return open_it


def test_by_mouse(open_window, qtbot, engine):
    desk = open_window()
    device, machine = desk.dock.source.device, desk.dock.source.machine
    qtbot.waitUntil(lambda: any("thread" in device.itemText(i) for i in range(1, device.count())), timeout=60_000)
    QTest.mouseClick(device, LEFT_BUTTON)
    qtbot.waitUntil(device.view().isVisible, timeout=60_000)
    view, last = device.view(), device.count() - 1
    qtbot.wait(QApplication.doubleClickInterval())  # Qt takes an earlier release for that of the click that opened
    QTest.mouseClick(view.viewport(), LEFT_BUTTON, pos=view.visualRect(view.model().index(last, 0)).center())
    qtbot.waitUntil(machine.box.hasFocus, timeout=60_000)
    assert machine.isVisible() and shown(desk) == "auto" and desk.session.device == "auto"
    QTest.keyClicks(machine.box, "lab-gpu")
    engine.device_text = f"lab-gpu, {ADDRESS}"
    desk.press_button(machine.use_button)
    assert desk.session.device == engine.loaded[-1][1] == ADDRESS and not machine.isVisible()
    assert shown(desk) == ADDRESS and device.currentText() == f"lab-gpu, {ADDRESS}"
    assert desk.dock.status.text.text() == (
        f"Ready: image encoded. Encoding on lab-gpu, {ADDRESS}; clicks on this computer."
    )
    qtbot.waitUntil(desk.canvas.native.hasFocus, timeout=60_000)


def test_by_keys_and_escape_keeps_what_was(open_window, qtbot):
    desk = open_window()
    device, machine = desk.dock.source.device, desk.dock.source.machine
    device.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(device, Qt.Key.Key_Space)
    qtbot.waitUntil(device.view().isVisible, timeout=60_000)
    QTest.keyClick(device.view(), Qt.Key.Key_End)
    QTest.keyClick(device.view(), Qt.Key.Key_Return)
    qtbot.waitUntil(machine.box.hasFocus, timeout=60_000)
    QTest.keyClicks(machine.box, "lab gpu")
    QTest.keyClick(machine.box, Qt.Key.Key_Return)
    assert machine.box.hasFocus() and "is no address. Write the name of the machine" in machine.text.text()
    assert desk.session.device == "auto" and known_addresses() == []
    QTest.keyClick(machine.box, Qt.Key.Key_Escape)
    assert not machine.isVisible() and desk.session.device == "auto"
    qtbot.waitUntil(desk.canvas.native.hasFocus, timeout=60_000)
    ask(desk)
    machine.box.clear()
    QTest.keyClicks(machine.box, "tls://lab-gpu:9000")
    QTest.keyClick(machine.box, Qt.Key.Key_Return)
    desk.settle()
    assert desk.session.device == "tls://lab-gpu:9000" and not machine.isVisible()


def test_not_now_keeps_the_device(open_window):
    desk = open_window()
    ask(desk)
    desk.press_button(desk.dock.source.machine.keep_button)
    assert desk.session.device == "auto" and not desk.dock.source.machine.isVisible()


def test_an_address_is_in_the_list_the_next_time_and_the_last_one_first(open_window, make_napari_viewer, qtbot):
    desk = open_window()
    device = desk.dock.source.device
    for address in (ADDRESS, "tcp://other:8786", ADDRESS):
        device.use_machine(address)
    desk.settle()
    assert known_addresses() == [ADDRESS, "tcp://other:8786"]
    again = Desk(make_napari_viewer(), qtbot, DiscEngine())
    rows = [again.dock.source.device.row(i).data for i in range(again.dock.source.device.count())]
    assert rows[0] == "auto" and rows[-3:] == [ADDRESS, "tcp://other:8786", MACHINE]


def test_what_is_needed_to_find_one_s_way_is_said(open_window):
    desk = open_window()
    ask(desk)
    machine = desk.dock.source.machine
    assert machine.box.accessibleName() == "Address of the other machine"
    assert all(widget.toolTip() for widget in (machine.box, machine.use_button, machine.keep_button))
    assert "A GPU on another machine" in machine.text.text()


def test_an_address_that_nobody_answers_at_is_told_and_another_device_is_the_way_out(
    make_napari_viewer, qtbot, monkeypatch
):
    monkeypatch.setattr(encoder, "ANSWER_S", 0.2)
    viewer = make_napari_viewer()
    viewer.add_image(discs())
    dock = SamDock(viewer)
    desk = Desk.at(viewer, qtbot, dock, viewer.window.add_dock_widget(dock, name="SAM live"))
    dock.source.device.use_machine("tcp://127.0.0.1:9")
    desk.settle(120_000)
    assert dock.status.mark.kind == "failed"
    assert "No Dask scheduler answers at tcp://127.0.0.1:9." in dock.status.text.text()
    desk.session.device = "cpu"
    desk.settle(120_000)
    assert dock.status.mark.kind == "idle" and "Encoding on" not in dock.status.text.text()


def test_a_real_worker_encodes_while_the_window_goes_on(make_napari_viewer, qtbot, monkeypatch, tmp_path):
    beats: list[str] = []
    encoded: list[int] = []
    plain = worker.encode_plane

    def encode_plane(*args):
        """Wait, on the worker, for a window that beats."""
        encoded.append(len(beats))
        while len(beats) < encoded[0] + BEATS:
            args[-1](0.25)
            worker._lock.acquire(timeout=0.01)  # held: this only waits
        return plain(*args)

    monkeypatch.setattr(worker, "encode_plane", encode_plane)
    viewer = make_napari_viewer(show=True)
    heart = QTimer()
    with cluster(tmp_path, processes=False, workers=1) as started:
        dock = SamDock(viewer)
        desk = Desk.at(viewer, qtbot, dock, viewer.window.add_dock_widget(dock, name="SAM live"))
        desk.session.prefetch = False
        dock.source.device.use_machine(started.scheduler_address)
        heart.timeout.connect(lambda: encoded and beats.append(desk.session.state.status.kind))
        heart.start(5)
        viewer.add_image(discs())
        desk.settle(120_000)
        heart.stop()
        assert len(encoded) == 1 and beats[:BEATS] == ["working"] * BEATS
        assert dock.status.text.text().endswith(f", {started.scheduler_address}; clicks on this computer.")
        desk.click(LEFT)
        qtbot.waitUntil(lambda: bool(desk.session.state.candidates), timeout=60_000)
        mask = desk.preview()
        assert (mask & (discs() > 0))[:, :80].sum() / np.count_nonzero(mask) > 0.9
        assert len(encoded) == 1
        desk.session.device = "cpu"
        desk.settle(120_000)
