from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref

import pytest

from napari_sam.errors import Cancelled
from napari_sam.inference.worker import Worker


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.close(timeout=60)
    assert not [t for t in threading.enumerate() if t.name == "napari-sam worker"]


def test_the_answer_comes_on_the_owners_thread(worker):
    seen = []
    worker.submit(
        "a", lambda _: threading.current_thread(), lambda where: seen.append((where, threading.current_thread()))
    )
    assert worker.wait(60)
    [(worked_on, answered_on)] = seen
    assert worked_on is not threading.main_thread()
    assert answered_on is threading.main_thread()


def test_nothing_is_delivered_before_the_owner_looks(worker):
    seen = []
    worker.submit("a", lambda _: 1, seen.append)
    until(lambda: worker._thread is None)
    assert seen == []
    worker.deliver()
    assert seen == [1]


def block(gate: threading.Event, value):
    def work(_progress):
        assert gate.wait(60)
        return value

    return work


def test_the_newest_waiting_request_of_a_lane_wins(worker):
    gate, seen, ran = threading.Event(), [], []
    worker.submit("other", block(gate, "first"), seen.append)
    for i in range(5):
        worker.submit("a", lambda _, i=i: ran.append(i) or i, seen.append)
    gate.set()
    assert worker.wait(60)
    assert ran == [4]
    assert seen == ["first", 4]


def test_the_answer_of_running_work_is_dropped_when_newer_work_comes(worker):
    gate, started, seen = threading.Event(), threading.Event(), []
    worker.submit("a", lambda p: (started.set(), block(gate, "old")(p))[1], seen.append)
    assert started.wait(60)
    worker.submit("a", lambda _: "new", seen.append)
    gate.set()
    assert worker.wait(60)
    assert seen == ["new"]


def test_lanes_do_not_disturb_each_other(worker):
    gate, seen = threading.Event(), []
    worker.submit("load", block(gate, "load"), seen.append)
    worker.submit("predict", lambda _: "predict", seen.append)
    gate.set()
    assert worker.wait(60)
    assert seen == ["load", "predict"]


def spin(started: threading.Event):
    """Work that ends only if it is cancelled."""

    def work(progress):
        started.set()
        while True:
            progress(0.5)
            time.sleep(0.005)

    return work


def test_cancel_stops_running_work_and_says_so(worker):
    started, done, failed = threading.Event(), [], []
    worker.submit("a", spin(started), done.append, failed.append)
    assert started.wait(60)
    worker.cancel("a")
    assert worker.wait(60)
    assert done == []
    assert [type(e) for e in failed] == [Cancelled]


def test_cancel_reaches_waiting_work(worker):
    gate, failed, ran = threading.Event(), [], []
    worker.submit("other", block(gate, None))
    worker.submit("a", ran.append, failed=failed.append)
    worker.cancel("a")
    gate.set()
    assert worker.wait(60)
    assert ran == []
    assert [type(e) for e in failed] == [Cancelled]


def test_preempt_cancels_the_running_work_of_the_lane(worker):
    started, seen = threading.Event(), []
    worker.submit("a", spin(started), seen.append, seen.append)
    assert started.wait(60)
    worker.submit("a", lambda _: "new", seen.append, preempt=True)
    assert worker.wait(60)
    assert seen == ["new"]


def test_failures_reach_the_owner_and_the_worker_goes_on(worker):
    failed, seen = [], []
    worker.submit("a", lambda _: 1 / 0, seen.append, failed.append)
    assert worker.wait(60)
    worker.submit("a", lambda _: "fine", seen.append, failed.append)
    assert worker.wait(60)
    assert [type(e) for e in failed] == [ZeroDivisionError]
    assert seen == ["fine"]


def test_progress_is_merged_and_the_last_report_arrives(worker):
    seen = []

    def work(progress):
        for i in range(1000):
            progress(i / 999)

    worker.submit("a", work, on_progress=seen.append)
    until(lambda: worker._thread is None)
    assert worker.wait(60)
    assert seen == [1.0]


def test_delay_holds_back_and_later_submissions_replace(worker):
    ran = []
    worker.submit("a", lambda _: ran.append("early"), delay=3600)
    assert worker.wait(0.0) is False
    later = worker.submit("a", lambda _: ran.append(time.monotonic()), delay=0.1)
    assert worker.wait(60)
    [began] = ran
    assert began >= later.not_before


def test_due_work_overtakes_delayed_work(worker):
    order = []
    worker.submit("slow", lambda _: order.append("delayed"), delay=3600)
    worker.submit("quick", lambda _: order.append("now"))
    until(lambda: order)
    assert order == ["now"] and worker.busy("slow")


def test_wait_gives_up_in_time(worker):
    gate = threading.Event()
    worker.submit("a", block(gate, None))
    assert worker.wait(0.05) is False
    assert worker.busy("a")
    assert not worker.busy("b")
    gate.set()
    assert worker.wait(60)


def test_post_is_called_and_carries_the_delivery():
    posted: list = []
    arrived = threading.Event()

    def post(callback):
        posted.append(callback)
        arrived.set()

    worker = Worker(post)
    seen = []
    worker.submit("a", lambda _: 7, seen.append)
    assert arrived.wait(60)
    posted[0]()
    assert seen == [7]
    worker.close()


def test_an_idle_worker_has_no_thread(worker):
    worker.submit("a", lambda _: None)
    assert worker.wait(60)
    assert worker._thread is None


def test_nothing_is_delivered_after_close():
    worker = Worker()
    seen, started = [], threading.Event()
    worker.submit("a", spin(started), seen.append, seen.append)
    assert started.wait(60)
    worker.close()
    worker.close()
    worker.deliver()
    assert seen == []
    with pytest.raises(RuntimeError, match="closed"):
        worker.submit("a", lambda _: None)


def test_the_worker_holds_no_result_once_it_is_delivered(worker):
    class Result:
        pass

    kept = []
    worker.submit("a", lambda _: Result(), lambda r: kept.append(weakref.ref(r)))
    assert worker.wait(60)
    worker._newest.clear()
    gc.collect()
    assert kept[0]() is None


def test_many_bursts_from_many_threads_end_with_the_last_answer(worker):
    seen = []

    def burst():
        for i in range(50):
            worker.submit("a", lambda _, i=i: i, seen.append)

    threads = [threading.Thread(target=burst) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    worker.submit("a", lambda _: "last", seen.append)
    assert worker.wait(60)
    assert seen[-1] == "last"
    assert seen.count("last") == 1


# -- work ahead, and work that is held back -------------------------------------------------------


def steps(done, gate, name):
    """Work in many steps, which tells when it began, ended or was cancelled."""

    def work(progress):
        done.append(f"{name} begins")
        try:
            for step in range(1000):
                assert gate.wait(60)
                progress(step / 1000)
        except Cancelled:
            done.append(f"{name} cancelled")
            raise
        done.append(f"{name} ends")

    return work


def until(condition, timeout=60.0):
    deadline = time.monotonic() + timeout
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)
    assert condition()


def test_work_ahead_gives_way_at_its_next_step():
    worker, done, gate = Worker(), [], threading.Event()
    worker.submit("ahead", steps(done, gate, "ahead"), ahead=True)
    until(lambda: done)
    worker.submit("asked", lambda _progress: done.append("asked"))
    gate.set()
    assert worker.wait(60)
    assert done == ["ahead begins", "ahead cancelled", "asked"]
    worker.close()


def test_work_ahead_that_waits_is_dropped():
    worker, done = Worker(), []
    worker.submit("ahead", lambda _progress: done.append("ahead"), ahead=True, delay=3600)
    worker.submit("asked", lambda _progress: done.append("asked"))
    assert worker.wait(60)
    until(lambda: worker._thread is None)  # nothing is left to wait for
    assert done == ["asked"]
    worker.close()


def test_nobody_waits_for_work_ahead():
    worker, done, gate = Worker(), [], threading.Event()
    worker.submit("ahead", steps(done, gate, "ahead"), ahead=True)
    until(lambda: done)
    assert worker.wait(60)
    assert not worker.busy() and worker.busy("ahead")
    gate.set()
    worker.close()


def test_work_ahead_waits_for_asked_work_that_is_not_due():
    worker, done, gate = Worker(), [], threading.Event()
    gate.set()
    worker.submit("asked", lambda _progress: done.append("asked"), delay=0.3)
    worker.submit("ahead", steps(done, gate, "ahead"), ahead=True)
    assert worker.wait(60)
    until(lambda: len(done) == 3)
    assert done == ["asked", "ahead begins", "ahead ends"]  # what was asked comes first, even if it is not due
    worker.close()


def test_work_ahead_ends_in_peace_when_nothing_comes():
    worker, done, gate = Worker(), [], threading.Event()
    gate.set()
    worker.submit("ahead", steps(done, gate, "ahead"), ahead=True)
    until(lambda: len(done) == 2)
    assert done == ["ahead begins", "ahead ends"]
    worker.close()


def test_work_is_held_back_until_it_is_let_go():
    worker, done, held, asked = Worker(), [], threading.Event(), []
    held.set()
    worker.submit("drag", lambda _progress: done.append("drag"), held=lambda: asked.append(1) or held.is_set())
    worker.submit("click", lambda _progress: done.append("click"))
    until(lambda: len(asked) > 3)
    assert done == ["click"]
    held.clear()
    assert worker.wait(60)
    assert done == ["click", "drag"]
    worker.close()


# -- callbacks that raise -------------------------------------------------------------------------


def broken(*_args):
    raise RuntimeError("a callback broke")


def test_a_broken_held_fails_its_own_work_and_no_other(worker, caplog):
    failed, seen = [], []
    worker.submit("a", lambda _: "never", seen.append, failed.append, held=broken)
    worker.submit("b", lambda _: "other", seen.append)
    assert worker.wait(60)
    worker.submit("a", lambda _: "later", seen.append, failed.append)
    assert worker.wait(60)
    assert [str(error) for error in failed] == ["a callback broke"]
    assert seen == ["other", "later"]


def test_a_broken_post_loses_no_answer(caplog):
    worker, seen = Worker(broken), []

    def work(progress):
        progress(0.5)
        return "first"

    worker.submit("a", work, seen.append)
    until(lambda: worker._thread is None)
    worker.submit("b", lambda _: "second", seen.append)
    until(lambda: worker._thread is None)
    worker.cancel("a")
    assert worker.wait(60)
    assert seen == ["first", "second"]
    assert "a callback broke" in caplog.text
    worker.close()


def test_a_broken_done_leaves_the_other_answers(worker):
    seen = []
    worker.submit("a", lambda _: 1, broken)
    worker.submit("b", lambda _: 2, seen.append)
    with pytest.raises(RuntimeError, match="a callback broke"):
        worker.wait(60)
    assert worker.wait(60)
    assert seen == [2]


def test_a_thread_that_cannot_start_is_no_end(worker, monkeypatch):
    seen = []
    monkeypatch.setattr(threading.Thread, "start", broken)
    with pytest.raises(RuntimeError, match="a callback broke"):
        worker.submit("a", lambda _: "lost", seen.append)
    monkeypatch.undo()
    assert worker.wait(60)
    worker.submit("a", lambda _: "fine", seen.append)
    assert worker.wait(60)
    assert seen == ["fine"]


def test_closing_does_not_wait_for_work_that_cannot_be_stopped(monkeypatch):
    worker, gate, started = Worker(), threading.Event(), threading.Event()
    worker.submit("a", lambda p: (started.set(), block(gate, "old")(p))[1])
    assert started.wait(60)
    thread = worker._thread
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", broken)
        worker.close()
    assert thread.is_alive()
    gate.set()
    thread.join(60)
    assert not thread.is_alive()


def test_lanes_that_are_done_with_are_forgotten(worker):
    for number in range(5):
        worker.submit(f"object {number}", lambda _: None)
    assert worker.wait(60)
    assert not worker._newest


def test_the_interpreter_does_not_wait_for_work_that_nobody_hears_of():
    """Work without an end, and more behind it: the interpreter ends all the same, as after Ctrl-C in a script."""
    script = """
import threading
from napari_sam.inference.worker import Worker

begun = threading.Event()

def endless(progress):
    begun.set()
    while True:
        progress(0.5)

worker = Worker()
for lane in ("one", "two"):
    worker.submit(lane, endless, print)
begun.wait()
raise KeyboardInterrupt
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert "KeyboardInterrupt" in ended.stderr
