from __future__ import annotations

import dataclasses
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import embeddings
import numpy as np
import pytest
from embeddings import key_of, packed, same

from napari_sam.cache import disk, file_format
from napari_sam.cache.disk import DiskStore
from napari_sam.cache.file_format import DamagedEntry, read_entry, write_entry


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path / "made" / "when needed", 10**9)


def path_in(store: DiskStore, number: int) -> Path:
    return store.folder / f"{key_of(number)}.embedding"


def used_at(store: DiskStore, number: int, seconds: float) -> None:
    os.utime(path_in(store, number), (seconds, seconds))


def held(store: DiskStore, *numbers: int) -> list[bool]:
    return [key_of(number) in store for number in numbers]


def test_what_is_put_comes_back_to_the_last_bit(store):
    assert store.get(key_of(1)) is None
    assert not store.folder.exists()
    assert store.put(packed(1))
    assert same(DiskStore(store.folder).get(key_of(1)), packed(1))
    assert store.usage().count == 1
    assert store.usage().nbytes == path_in(store, 1).stat().st_size


def test_every_dtype_that_features_have_comes_back(tmp_path):
    values = [np.arange(6).reshape(2, 3).astype(dtype) for dtype in ("float16", "float32", "int64", "uint8")]
    values.append(np.array([np.nan, np.inf, -0.0], np.float32))
    values.append(np.zeros((0, 4), np.float16))
    arrays = tuple(embeddings.PackedArray(value, str(value.dtype), tuple(range(value.ndim))) for value in values)
    written = embeddings.PackedEmbedding(key_of(1), "w", embeddings.Frame((1, 1), (1, 1), (1, 1)), arrays)
    write_entry(tmp_path / "file", written)
    assert same(read_entry(tmp_path / "file", key_of(1)), written)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: data[:5], id="cut in its header"),
        pytest.param(lambda data: data[:-1], id="cut by a byte"),
        pytest.param(lambda data: data + b"\0", id="longer"),
        pytest.param(lambda data: data[:-10] + bytes([data[-10] ^ 1]) + data[-9:], id="a bit flipped in the values"),
        pytest.param(lambda data: data.replace(b'\\"anchor', b'\\"xnchor').replace(b"0.5", b"0.0"), id="another frame"),
        pytest.param(lambda data: data.replace(b'"U8"', b'"F8"'), id="another dtype"),
        pytest.param(lambda data: bytes(len(data)), id="zeros, as after a power cut"),
        pytest.param(lambda data: b"<html>" * 100, id="something else"),
    ],
)
def test_a_damaged_entry_is_dropped_and_told_in_the_log(store, damage, caplog):
    store.put(packed(1))
    path = path_in(store, 1)
    before = path.read_bytes()
    path.write_bytes(damage(before))
    assert path.read_bytes() != before
    assert store.get(key_of(1)) is None
    assert not path.exists()
    assert "damaged" in caplog.text
    assert store.put(packed(1))
    assert same(store.get(key_of(1)), packed(1))


def test_an_entry_under_another_name_is_dropped(store, caplog):
    store.put(packed(1))
    path_in(store, 1).rename(path_in(store, 2))
    assert store.get(key_of(2)) is None
    assert "it holds the embedding" in caplog.text
    assert held(store, 1, 2) == [False, False]


def test_an_entry_of_an_older_layout_is_dropped(store, monkeypatch, caplog):
    monkeypatch.setattr(file_format, "VERSION", "0")
    store.put(packed(1))
    monkeypatch.undo()
    assert store.get(key_of(1)) is None
    assert "layout 0" in caplog.text
    assert held(store, 1) == [False]


def test_every_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "file"
    write_entry(path, packed(1, 64))
    sound = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(sound), 150, replace=False):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ (1 << rng.integers(8))]) + sound[place + 1 :])
        try:
            found = read_entry(path, key_of(1))
        except DamagedEntry:
            continue
        assert same(found, packed(1, 64))  # blanks of the header do not count


def test_the_least_recently_used_goes_first(store):
    for number in range(4):
        store.put(packed(number, 100_000))
        used_at(store, number, 1000 + number)
    assert store.get(key_of(0)) is not None  # the oldest is used now
    smaller = DiskStore(store.folder, 460_000)
    smaller.put(packed(4, 100_000))
    assert held(store, 0, 1, 2, 3, 4) == [True, False, True, True, True]


def test_the_folder_stays_within_its_limit(store, monkeypatch):
    size = 10_000
    bounded = DiskStore(store.folder, 10 * size)
    for number in range(60):
        bounded.put(packed(number, size - 1000))
        assert bounded.usage().nbytes <= 10 * size
    assert held(bounded, 58, 59) == [True, True]
    monkeypatch.setattr(disk, "_LOOK_EVERY", 1)
    DiskStore(store.folder, 3 * size).make_room()
    assert bounded.usage().nbytes <= 3 * size


def test_what_is_larger_than_the_limit_is_not_written(store):
    small = DiskStore(store.folder, 8000)
    assert not small.put(packed(1, 8000))
    assert small.problem == ""
    assert small.usage().count == 0


def test_the_size_of_a_file_is_known_ahead(tmp_path):
    array = embeddings.PackedArray(np.zeros((1, 100, 100, 30), np.float16), "float32", (0, 2, 3, 1))
    for count in (1, 100):
        many = dataclasses.replace(packed(1), weights="f" * 64, arrays=(array,) * count)
        write_entry(tmp_path / "file", many)
        assert many.nbytes < (tmp_path / "file").stat().st_size <= file_format.largest_size(many)
        assert same(read_entry(tmp_path / "file", key_of(1)), many)


def test_files_of_other_people_are_left_alone(store):
    store.put(packed(1))
    model = store.folder / "vit_b.safetensors"
    notes = store.folder / "notes.embedding"
    for path in (model, notes):
        path.write_bytes(b"mine")
        os.utime(path, (1, 1))
    DiskStore(store.folder, 1).make_room()
    assert store.usage().count == 0
    store.put(packed(2))
    assert store.clear().count == 1
    assert sorted(store.folder.iterdir()) == [notes, model]


def test_unfinished_files_of_dead_writers_are_cleared_up(store):
    store.put(packed(1))
    old, new = (store.folder / f"{key_of(n)}.{n:032x}.unfinished" for n in (2, 3))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    DiskStore(store.folder).make_room()
    assert (old.exists(), new.exists()) == (False, True)
    store.clear()
    assert not new.exists()


def test_a_full_disk_is_told_once_and_work_goes_on(store, caplog):
    resource = pytest.importorskip("resource")
    store.put(packed(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # a write beyond it fails in its middle
    try:
        assert not store.put(packed(2, 100_000))
        assert not store.put(packed(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(store.folder) in store.problem
    assert [path.name for path in store.folder.iterdir()] == [path_in(store, 1).name]
    assert same(store.get(key_of(1)), packed(1))


def test_a_folder_that_cannot_be_made_is_told_once(tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"")
    store = DiskStore(tmp_path / "file" / "folder", 10**9)
    assert not store.put(packed(1))
    assert not store.put(packed(2))
    assert len(caplog.records) == 1
    assert store.get(key_of(1)) is None
    assert key_of(1) not in store
    assert store.usage().count == store.clear().count == 0


def test_a_read_only_folder_is_read(store, monkeypatch, caplog):
    store.put(packed(1))

    def refuse(*_args: object, **_more: object) -> None:
        raise PermissionError(13, "Permission denied")

    shared = DiskStore(store.folder)
    for module, name in ((os, "utime"), (os, "replace"), (Path, "unlink"), (disk, "write_entry")):
        monkeypatch.setattr(module, name, refuse)
    assert same(shared.get(key_of(1)), packed(1))
    assert not shared.put(packed(2))
    assert "Permission denied" in shared.problem
    assert len(caplog.records) == 1


def test_windows_refusing_to_replace_an_open_entry_is_no_problem(store, monkeypatch):
    store.put(packed(1))

    def refuse(*_args: object) -> None:
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr(os, "replace", refuse)
    assert store.put(packed(1))
    assert store.problem == ""
    assert not list(store.folder.glob("*.unfinished"))


def test_two_processes_use_one_folder_hard(store):
    limit = 20 * 5000  # half of what they write
    command = [sys.executable, embeddings.__file__, str(store.folder), str(limit)]
    processes = [subprocess.Popen([*command, str(seed), "250"], stderr=subprocess.PIPE, text=True) for seed in range(2)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert "damaged" not in "".join(errors)
    assert all(path.suffix == ".embedding" for path in store.folder.iterdir())
    for number in range(40):
        found = read_entry(path_in(store, number), key_of(number)) if held(store, number) == [True] else None
        assert found is None or same(found, packed(number))
    DiskStore(store.folder, limit).make_room()
    assert 0 < store.usage().nbytes <= limit


def test_a_writer_that_is_killed_leaves_nothing_but_what_is_cleared_up_later(store):
    script = (
        f"import sys; sys.path.insert(0, {str(Path(embeddings.__file__).parent)!r})\n"
        "from embeddings import *\n"
        "store, number = DiskStore(Path(sys.argv[1])), 0\n"
        "while True:\n"
        "    store.put(packed(number % 7, 3_000_000))\n"
        "    number += 1\n"
        "    print(flush=True)\n"
    )
    for patience in range(3):
        with subprocess.Popen([sys.executable, "-c", script, str(store.folder)], stdout=subprocess.PIPE) as process:
            for _ in range(1 + patience):
                process.stdout.readline()
            process.kill()
        for path in store.folder.iterdir():
            if path.suffix == ".embedding":
                read_entry(path, path.stem)
            os.utime(path, (1, 1))
    DiskStore(store.folder, 10**9).make_room()
    assert {path.suffix for path in store.folder.iterdir()} == {".embedding"}


def test_entries_can_be_read_by_other_users(store):
    umask = os.umask(0o022)
    try:
        store.put(packed(1))
    finally:
        os.umask(umask)
    assert os.name == "nt" or path_in(store, 1).stat().st_mode & 0o777 == 0o644


def test_entries_are_files_that_safetensors_reads(store):
    from safetensors.numpy import load_file

    store.put(packed(1))
    arrays = load_file(path_in(store, 1))
    np.testing.assert_array_equal(arrays["0"], packed(1).arrays[0].values)
    header = path_in(store, 1).read_bytes()[8:].split(b"}}", 1)[0]
    assert json.dumps(key_of(1)).encode()[1:-1] in header
