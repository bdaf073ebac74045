from __future__ import annotations

import threading
import weakref

from qtpy.QtWidgets import QApplication

from napari_sam.widgets.gui_thread import GuiThread


def post_from_another_thread(letters: GuiThread, call) -> None:
    thread = threading.Thread(target=letters.post, args=(call,))
    thread.start()
    thread.join()


def test_calls_run_on_the_thread_that_made_the_letter_box_and_in_order(qtbot):
    letters, seen = GuiThread(), []
    for i in range(5):
        post_from_another_thread(letters, lambda i=i: seen.append((i, threading.current_thread())))
    assert seen == []  # nothing runs before the event loop does
    qtbot.waitUntil(lambda: len(seen) == 5)
    assert seen == [(i, threading.main_thread()) for i in range(5)]


def test_a_call_from_the_gui_thread_waits_for_the_event_loop_too(qtbot):
    letters, seen = GuiThread(), []
    letters.post(lambda: seen.append(1))
    assert seen == []
    qtbot.waitUntil(lambda: seen == [1])


def test_closing_drops_what_is_under_way_and_what_comes_later(qtbot):
    letters, seen = GuiThread(), []
    post_from_another_thread(letters, lambda: seen.append("before"))
    letters.close()
    post_from_another_thread(letters, lambda: seen.append("after"))
    QApplication.processEvents()
    assert seen == []


def test_a_post_after_qt_destroyed_the_object_is_dropped_in_silence(qtbot):
    letters, seen = GuiThread(), []
    gone = []
    letters.destroyed.connect(lambda: gone.append(True))
    letters.deleteLater()
    qtbot.waitUntil(lambda: bool(gone))
    post_from_another_thread(letters, lambda: seen.append(1))
    letters.post(lambda: seen.append(2))
    QApplication.processEvents()
    assert seen == []


def test_the_letter_box_keeps_nothing_of_a_call_that_has_run(qtbot):
    class Payload:
        def __call__(self) -> None:
            done.append(True)

    letters, done = GuiThread(), []
    payload = Payload()
    reference = weakref.ref(payload)
    letters.post(payload)
    del payload
    qtbot.waitUntil(lambda: bool(done))
    qtbot.waitUntil(lambda: reference() is None)
