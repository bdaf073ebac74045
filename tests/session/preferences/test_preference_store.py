"""The file of preferences: shared, whole at any time, and never lost."""

from __future__ import annotations

import json
import threading

import pytest

from napari_sam.files import home
from napari_sam.session.preferences.store import PreferenceStore, PreferenceWriter


@pytest.fixture
def store():
    return PreferenceStore()


def test_what_is_written_is_read_again(store):
    assert store.read() == {} and store.problem == ""
    store.update({"session": {"model": "tiny", "prefetch": False}})
    assert PreferenceStore().read() == {"session": {"model": "tiny", "prefetch": False}}
    assert store.path.parent == home()


def test_what_others_wrote_stays(store):
    store.update({"session": {"model": "tiny", "of_a_later_version": [1, {"x": 2}]}, "a_later_section": {"a": 1}})
    PreferenceStore().update({"session": {"device": "cpu"}})
    store.update({"session": {"model": "other"}})
    assert store.read() == {
        "session": {"model": "other", "device": "cpu", "of_a_later_version": [1, {"x": 2}]},
        "a_later_section": {"a": 1},
    }


def test_none_takes_a_name_out(store):
    store.update({"keys": {"accept": ["A"], "undo": ["Z"]}})
    store.update({"keys": {"accept": None}})
    assert store.read() == {"keys": {"undo": ["Z"]}}


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "\x00\xff", "{" * 100_000, " " * (1 << 21)])
def test_a_damaged_file_is_set_aside_with_words(store, text):
    store.path.parent.mkdir(parents=True)
    store.path.write_text(text, encoding="utf-8")
    assert store.read() == {}
    aside = store.path.with_name("preferences.damaged-1.json")
    assert str(aside) in store.problem
    assert aside.read_text(encoding="utf-8") == text
    store.update({"session": {"model": "tiny"}})
    assert store.read() == {"session": {"model": "tiny"}} and store.problem == ""
    store.path.write_text("{", encoding="utf-8")
    store.read()
    assert store.path.with_name("preferences.damaged-2.json").exists()
    assert aside.read_text(encoding="utf-8") == text


def test_a_folder_in_its_place_is_told_of(store):
    store.path.mkdir(parents=True)
    assert store.read() == {}
    assert "cannot be read" in store.problem
    assert store.path.is_dir()


def test_sections_that_are_none_are_passed_over(store):
    store.path.parent.mkdir(parents=True)
    store.path.write_text(json.dumps({"session": 3, "keys": {"accept": ["A"]}}))
    assert store.read() == {"keys": {"accept": ["A"]}}


def test_writers_of_several_programs_lose_nothing(store):
    def write(number):
        for i in range(10):
            PreferenceStore().update({"session": {f"{number}-{i}": i}})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.read()["session"]) == 40


def test_a_burst_is_written_once_and_off_the_calling_thread(store, monkeypatch):
    writes = []
    update = PreferenceStore.update

    def noted(self, changes):
        writes.append((threading.current_thread() is threading.main_thread(), changes))
        update(self, changes)

    monkeypatch.setattr(PreferenceStore, "update", noted)
    monkeypatch.setattr("napari_sam.session.preferences.store._REST_S", 0.05)
    writer = PreferenceWriter(store)
    for i in range(50):
        writer.note("session", "smallest", i)
    while not writes:
        threading.Event().wait(0.001)
    writer.close()
    assert writes == [(False, {"session": {"smallest": 49}})]


def test_closing_writes_what_waits(store, monkeypatch):
    monkeypatch.setattr("napari_sam.session.preferences.store._REST_S", 3600.0)
    writer = PreferenceWriter(store)
    writer.note("session", "model", "tiny")
    assert store.read() == {}
    writer.close()
    writer.close()
    assert store.read() == {"session": {"model": "tiny"}}


def test_a_full_disk_is_logged_and_stops_nothing(store, monkeypatch, caplog):
    def fail(self, changes):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PreferenceStore, "update", fail)
    writer = PreferenceWriter(store)
    writer.note("session", "model", "tiny")
    writer.close()
    assert "No space left on device" in caplog.text
