from __future__ import annotations

import pytest
from napari.utils import progress

from napari_sam.session.state import Status
from napari_sam.widgets import activity
from napari_sam.widgets.activity import ActivityEntry


@pytest.fixture
def window(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(activity, "LONG_MS", 50)
    monkeypatch.setattr(activity, "_REDRAW_MS", 10)


def entries() -> list:
    return list(progress._all_instances)


def work(fraction: float | None = None, text: str = "Downloading SAM") -> Status:
    return Status("working", text, fraction, cancellable=True)


def test_short_work_does_not_appear(window, quick):
    shown = ActivityEntry(lambda: None)
    shown.show(work())
    assert shown._timer.isActive()
    shown.show(Status())
    assert not shown._timer.isActive() and entries() == []


def test_long_work_appears_moves_and_goes(window, quick, qtbot):
    shown = ActivityEntry(lambda: None)
    shown.show(work())
    qtbot.waitUntil(lambda: len(entries()) == 1, timeout=60_000)
    [entry] = entries()
    assert entry.desc.startswith("Downloading SAM")
    shown.show(work(0.4))
    qtbot.waitUntil(lambda: entry.n == 40, timeout=60_000)
    shown.show(work(0.7, "Loading SAM"))
    qtbot.waitUntil(lambda: entry.n == 70 and entry.desc.startswith("Loading SAM"), timeout=60_000)
    shown.show(Status("idle", "Ready."))
    qtbot.waitUntil(lambda: entries() == [], timeout=60_000)


def test_its_cancel_button_acts_at_once(window, quick, qtbot):
    cancelled = []
    shown = ActivityEntry(lambda: cancelled.append(True))
    shown.show(work(0.1))
    qtbot.waitUntil(lambda: len(entries()) == 1, timeout=60_000)
    entries()[0].cancel()  # what napari's button calls
    assert cancelled == [True]
    shown.close()
    assert entries() == []


def test_work_that_ends_while_napari_draws_leaves_no_entry(window, quick, qtbot, monkeypatch):
    shown = ActivityEntry(lambda: None)
    made = []

    class Pumping(activity._ProgressEntry):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)
            shown.close()  # as if napari's pumping of events had closed the dock

    monkeypatch.setattr(activity, "_ProgressEntry", Pumping)
    shown.show(work(0.5))
    qtbot.waitUntil(lambda: bool(made), timeout=60_000)
    assert shown._entry is None and not shown._timer.isActive() and entries() == []
