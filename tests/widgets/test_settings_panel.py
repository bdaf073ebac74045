"""The Settings section: what the model looks at, and the cache of embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fitting import cut, narrow

from cache.embeddings import packed
from napari_sam.cache import settings
from napari_sam.cache.disk import DiskStore
from napari_sam.widgets.controls.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from collections.abc import Callable

    from desk import Desk


@pytest.fixture
def open_settings(open_desk, qtbot) -> Callable[[], Desk]:
    def open_it() -> Desk:
        desk = open_desk()
        desk.dock.settings.expand(animate=False)
        qtbot.waitUntil(lambda: bool(desk.dock.settings.cache.words.text()), timeout=60_000)
        return desk

    return open_it


def choose(combo, data: object) -> None:
    """Choose a row as a click in the open list does."""
    index = next(i for i in range(combo.count()) if combo.row(i).data == data)
    combo.setCurrentIndex(index)
    combo.activated.emit(index)


def test_what_the_model_looks_at_is_chosen_and_remembered(open_settings):
    desk = open_settings()
    assert desk.dock.settings.region.currentText() == "object's surroundings"
    choose(desk.dock.settings.region, "screen")
    desk.dock.settings.prefetch.click()
    assert desk.session.region == "screen" and not desk.session.prefetch
    desk.viewer.window.remove_dock_widget(desk.dock)
    desk.open_dock()
    desk.settle()
    assert desk.dock.settings.region.currentText() == "what is on screen"
    assert not desk.dock.settings.prefetch.isChecked()
    desk.session.region = "object"  # a script's choice is shown
    assert desk.dock.settings.region.currentText() == "object's surroundings"


def test_the_cache_is_shown_limited_and_cleared(open_settings, qtbot):
    folder = settings.required_folder()
    DiskStore(folder).put(packed(1))
    used = DiskStore(folder).usage().nbytes
    desk = open_settings()
    row = desk.dock.settings.cache
    qtbot.waitUntil(row.clear.isEnabled, timeout=60_000)
    assert used > 0 and "on disk." in row.words.text()
    choose(row.limit, 5 * 10**9)
    qtbot.waitUntil(lambda: "of 5.00 GB" in row.words.text(), timeout=60_000)
    assert settings.chosen_limit(folder) == 5 * 10**9
    choose(row.limit, None)
    qtbot.waitUntil(lambda: settings.chosen_limit(folder) is None, timeout=60_000)
    row.clear.click()
    qtbot.waitUntil(lambda: not row.clear.isEnabled(), timeout=60_000)
    assert DiskStore(folder).usage().nbytes == 0
    assert row.words.text().startswith("Embeddings: 0 bytes of")


def test_a_cache_that_is_off_says_so(open_settings, monkeypatch):
    monkeypatch.setenv(settings.PLACE_VARIABLE, "off")
    desk = open_settings()
    row = desk.dock.settings.cache
    assert row.words.text().startswith("Off:")
    assert not row.limit.isEnabled() and not row.clear.isEnabled()


def test_room_is_kept_for_words_that_come_after_the_section_is_open(qtbot):
    label = WrappedLabel()
    qtbot.addWidget(label)
    before = label.minimumSizeHint().height()
    label.show_text("Embeddings: 0 bytes of 5.00 GB on disk.")
    assert before == label.minimumSizeHint().height() > 0


def test_nothing_is_cut_in_a_narrow_dock(open_settings):
    desk = open_settings()
    narrow(desk, 300)
    assert cut(desk) == []
