"""The window goes on drawing while the engine works."""

from __future__ import annotations

import time
from itertools import pairwise

from qtpy.QtCore import QTimer


def test_the_gui_thread_is_not_blocked_while_a_plane_is_encoded(open_desk, engine, qtbot):
    engine.embed_s = 1.5
    desk = open_desk(settle=False)
    qtbot.waitUntil(engine.encoding.is_set, timeout=10_000)
    beats: list[float] = []
    heart = QTimer()
    heart.setInterval(5)
    heart.timeout.connect(lambda: beats.append(time.perf_counter()))
    heart.start()
    qtbot.waitUntil(lambda: desk.session.state.status.kind == "idle", timeout=10_000)
    heart.stop()
    lasted = beats[-1] - beats[0]
    assert lasted > 0.8  # else nothing was measured
    # Other processes may take the core away for a moment; a blocked window would not beat at all.
    gaps = sorted(after - before for before, after in pairwise(beats))
    assert gaps[len(gaps) // 2] < 0.05 and gaps[-1] < 0.5 * lasted


def test_the_bar_and_cancel_appear_while_a_plane_is_encoded(open_desk, engine, qtbot):
    engine.embed_s = 30.0
    desk = open_desk(settle=False)
    qtbot.waitUntil(engine.encoding.is_set, timeout=10_000)
    progress = desk.dock.status.progress
    qtbot.waitUntil(progress.isVisible, timeout=4000)
    assert desk.dock.status.mark.kind == "working"
    start = time.perf_counter()
    progress.cancel_button.click()
    qtbot.waitUntil(lambda: desk.session.state.status.kind != "working", timeout=3000)
    assert time.perf_counter() - start < 1.0
    assert not progress.isVisible()
