from __future__ import annotations

import threading

import pytest
from desk import LEFT, LEFT_BUTTON
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sam.session.state import SessionState, Status
from napari_sam.widgets.panels import status_panel
from napari_sam.widgets.panels.status_panel import StatusPanel


@pytest.fixture
def cancelled() -> list[bool]:
    return []


@pytest.fixture
def panel(qtbot, monkeypatch, cancelled) -> StatusPanel:
    # No test waits for these: `elapse` is how time goes by.
    assert status_panel.BUSY_MS < status_panel.BAR_MS
    monkeypatch.setattr(status_panel, "BUSY_MS", 10**6)
    monkeypatch.setattr(status_panel, "BAR_MS", 10**6)
    widget = StatusPanel(lambda: cancelled.append(True))
    qtbot.addWidget(widget)
    widget.resize(300, 80)
    widget.show()
    return widget


def elapse(timer: QTimer) -> None:
    """Let the time of a timer that runs be over."""
    assert timer.isActive()
    timer.stop()
    timer.timeout.emit()


def working(text: str = "Encoding.", fraction: float | None = None) -> SessionState:
    return SessionState(Status("working", text, fraction, cancellable=True), "Click an object.")


READY = SessionState(Status("idle", "Ready."), "Click an object.")


@pytest.mark.parametrize("kind", ["idle", "attention", "failed"])
def test_a_state_of_rest_shows_at_once(panel, kind):
    panel.draw(SessionState(Status(kind, "Something."), "Do this."))
    assert (panel.mark.kind, panel.text.text(), panel.hint.text()) == (kind, "Something.", "Do this.")
    assert panel.hint.isVisible() and not panel.progress.isVisible()


def test_a_short_wait_leaves_the_line_alone(panel):
    panel.draw(READY)
    panel.draw(working())
    assert panel.text.text() == "Ready."
    panel.draw(READY)
    assert not panel._busy_timer.isActive() and not panel._bar_timer.isActive()
    assert panel.mark.kind == "idle" and not panel.progress.isVisible()


def test_a_longer_wait_shows_a_mark_and_a_long_one_the_bar(panel):
    panel.draw(READY)
    panel.draw(working())
    elapse(panel._busy_timer)
    assert panel.mark.kind == "working"
    assert panel.text.text() == "Encoding." and not panel.progress.isVisible()
    elapse(panel._bar_timer)
    assert panel.progress.isVisible() and panel.progress.bar.maximum() == 0
    panel.draw(READY)
    assert not panel.progress.isVisible() and panel.hint.isVisible()


def test_a_wait_of_known_length_shows_the_bar_with_the_mark(panel):
    panel.draw(working(fraction=0.1))
    elapse(panel._busy_timer)
    assert panel.mark.kind == "working" and panel.progress.isVisible()
    panel.draw(working("Nearly there.", 0.9))
    assert panel.progress.bar.value() == 900 and panel.text.text() == "Nearly there."
    panel.progress.cancel_button.click()


def test_cancel_stops_the_work_if_it_can_be_stopped(panel, cancelled):
    panel.draw(working(fraction=0.5))
    elapse(panel._busy_timer)
    panel.progress.cancel_button.click()
    assert cancelled == [True]
    panel.draw(SessionState(Status("working", "Writing.", 0.5, cancellable=False)))
    panel.progress.cancel_button.click()
    assert cancelled == [True]


def test_a_long_path_wraps_and_is_copied_as_it_is(panel):
    path = "/data/" + "a_rather_long_folder_name/" * 6 + "weights.pt"
    panel.draw(SessionState(Status("failed", f"Cannot read {path}: choose another file.")))
    assert panel.text.minimumSizeHint().width() == 0
    assert panel.text.heightForWidth(250) > 3 * panel.text.fontMetrics().height()
    panel.text.menu().actions()[0].trigger()
    assert QGuiApplication.clipboard().text() == f"Cannot read {path}: choose another file."


def test_the_mark_turns_only_while_work_goes_on(panel, qtbot):
    panel.draw(working())
    elapse(panel._busy_timer)
    before = panel.mark.grab().toImage()
    qtbot.waitUntil(lambda: panel.mark.grab().toImage() != before, timeout=60_000)
    panel.draw(READY)
    assert not panel.mark._clock.isActive()


def test_the_sign_stays_while_an_accepted_object_is_looked_for(open_desk, engine, qtbot, monkeypatch):
    monkeypatch.setattr(status_panel, "BUSY_MS", 0)
    desk = open_desk()
    free, predict = threading.Event(), engine.predict
    monkeypatch.setattr(engine, "predict", lambda *given, **more: free.wait(60) and predict(*given, **more))
    QTest.mouseClick(desk.canvas.native, LEFT_BUTTON, pos=desk.pixel(LEFT))
    QTest.keyClick(desk.canvas.native, Qt.Key.Key_Return)
    status = desk.dock.status
    qtbot.waitUntil(lambda: "1 accepted object waits" in status.text.text(), timeout=60_000)
    QApplication.processEvents()
    assert status.mark.kind == "working" and not len(desk.session.points.data)
    free.set()
    desk.settle()
    assert status.mark.kind == "idle" and "Object 1 written" in status.text.text()
