"""The window goes on while the engine works: what it does meanwhile is what lets the engine end."""

from __future__ import annotations

from qtpy.QtCore import QTimer

from napari_sam.widgets.panels import status_panel

BEATS = 20


def test_the_gui_thread_is_not_blocked_while_a_plane_is_encoded(open_desk, engine, qtbot):
    """A window that waited for the encoder would never come to the beat that lets it go on."""
    engine.free.clear()
    desk = open_desk(settle=False)
    qtbot.waitUntil(engine.encoding.is_set, timeout=60_000)
    beats: list[int] = []
    heart = QTimer()

    def beat() -> None:
        beats.append(engine.embedded)
        if len(beats) == BEATS:
            engine.free.set()

    heart.timeout.connect(beat)
    heart.start(5)
    qtbot.waitUntil(lambda: desk.session.state.status.kind == "idle", timeout=60_000)
    heart.stop()
    assert beats[:BEATS] == [0] * BEATS
    assert engine.embedded == 1


def test_the_bar_and_cancel_appear_while_a_plane_is_encoded(open_desk, engine, qtbot, monkeypatch):
    monkeypatch.setattr(status_panel, "BUSY_MS", 10)
    monkeypatch.setattr(status_panel, "BAR_MS", 50)
    engine.free.clear()  # it never is: only the cancel ends it
    desk = open_desk(settle=False)
    qtbot.waitUntil(engine.encoding.is_set, timeout=60_000)
    progress = desk.dock.status.progress
    qtbot.waitUntil(progress.isVisible, timeout=60_000)
    assert desk.dock.status.mark.kind == "working"
    progress.cancel_button.click()
    qtbot.waitUntil(lambda: desk.session.state.status.kind != "working", timeout=60_000)
    assert not progress.isVisible()
    assert engine.embedded == 0 and not engine.free.is_set()
