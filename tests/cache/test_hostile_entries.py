"""Forged entries, things that are no files, links, and what killed writers leave: nothing is raised, nothing waits."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import embeddings
import numpy as np
import pytest
from embeddings import key_of, packed, same

from napari_sam.cache import disk, file_format, settings
from napari_sam.cache.disk import DiskStore

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = key_of(1)
DEEP = "[" * 100_000
has_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    (tmp_path / "embeddings").mkdir()
    return DiskStore(tmp_path / "embeddings", 10**9)


def path_of(store: DiskStore, number: int = 1) -> Path:
    return store.folder / f"{key_of(number)}.embedding"


def forge(
    path: Path, about: Callable[[dict[str, Any]], object] = dict, header: Callable[[dict[str, Any]], object] = dict
) -> None:
    """Write an entry that says other things than the truth, under a checksum that is right."""
    file_format.write_entry(path, packed(1))
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    heading, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    said = about(json.loads(heading["__metadata__"]["about"]))
    text = said if isinstance(said, str) else json.dumps(said)
    values = [array.values for array in packed(1).arrays]
    heading["__metadata__"] |= {"about": text, "checksum": file_format._checksum(text, values)}
    written = header(heading)
    raw = (written if isinstance(written, str) else json.dumps(written)).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + body)


def changed(**values: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda about: {**about, **values}


def first_array(**values: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda header: {**header, "0": {**header["0"], **values}}


def test_the_forger_can_write_a_true_one(store):
    forge(path_of(store))
    assert same(store.get(KEY), packed(1))


@pytest.mark.parametrize(
    "said",
    [
        lambda _: DEEP,
        lambda _: "9" * 5_000,
        lambda _: [],
        lambda _: None,
        changed(weights=None),
        changed(weights=["w"]),
        changed(frame=None),
        changed(frame=[[5, 7], [10, 14], [16, 16]]),
        changed(frame=[["5", 7], [10, 14], [16, 16], 0.5]),
        changed(frame=[[5, 7, 1], [10, 14], [16, 16], 0.5]),
        changed(frame=[[5.5, 7], [10, 14], [16, 16], 0.5]),
        changed(frame=[[0, 7], [10, 14], [16, 16], 0.5]),
        changed(frame=[[-5, -7], [10, 14], [16, 16], 0.5]),
        changed(frame=[[10**30, 7], [10, 14], [16, 16], 0.5]),
        changed(frame=[[5, 7], [10, 14], [16, 16], "0.5"]),
        changed(frame=[[5, 7], [10, 14], [16, 16], float("nan")]),
        changed(frame=[[5, 7], [10, 14], [8, 8], 0.5]),
        changed(arrays=None),
        changed(arrays=[["uint8", [0, 1]]]),
        changed(arrays=[["save", [0, 1]], ["float32", [2, 0, 1]]]),
        changed(arrays=[[["uint8"], [0, 1]], ["float32", [2, 0, 1]]]),
        changed(arrays=[["uint8", [0, 0]], ["float32", [2, 0, 1]]]),
        changed(arrays=[["uint8", ["a", 1]], ["float32", [2, 0, 1]]]),
        changed(arrays=[["uint8", 5], ["float32", [2, 0, 1]]]),
    ],
)
def test_a_forged_description_counts_as_damaged(store, said):
    forge(path_of(store), about=said)
    assert store.get(KEY) is None
    assert not path_of(store).exists()


@pytest.mark.parametrize(
    "header",
    [
        lambda _: DEEP,
        lambda _: '{"a":' * 100_000,
        lambda _: "9" * 5_000,
        lambda _: [1],
        lambda _: "null",
        lambda header: {**header, "__metadata__": None},
        lambda header: {**header, "__metadata__": {}},
        lambda header: {key: value for key, value in header.items() if key != "0"},
        first_array(shape=None),
        first_array(shape=[-2, -2048]),
        first_array(shape=[2, 2048.0]),
        first_array(shape=[2, 2048] + [1] * 100),
        first_array(shape=[10**12]),
        first_array(shape=[0, 10**40]),
        first_array(shape={"a": 1}),
        first_array(dtype="F8"),
        first_array(dtype=None),
        first_array(dtype=[]),
    ],
)
def test_a_forged_header_counts_as_damaged(store, header):
    forge(path_of(store), header=header)
    assert store.get(KEY) is None
    assert not path_of(store).exists()


def test_damage_of_every_kind_counts_as_damaged(store):
    file_format.write_entry(path_of(store), packed(1, 64))
    sound = path_of(store).read_bytes()
    chance = random.Random(0)
    for _ in range(300):
        data = bytearray(sound)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path_of(store).write_bytes(bytes(data[: chance.randint(0, len(data))] if chance.random() < 0.3 else data))
        found = store.get(KEY)
        assert found is None or same(found, packed(1, 64))


@pytest.mark.skipif(os.name == "nt", reason="Windows gives zeros their place on the disk")
def test_an_entry_larger_than_any_is_not_read(store, monkeypatch):
    with path_of(store).open("wb") as file:  # of zeros, which take no place on the disk
        header = json.dumps({"__metadata__": {}, "0": {"dtype": "U8", "shape": [10**12]}}).encode()
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 10**12)
    monkeypatch.setattr(np, "empty", lambda *_: pytest.fail("memory was taken"))
    assert store.get(KEY) is None


class TestNotAFile:
    @has_pipes
    def test_a_pipe_is_no_entry_and_gives_way(self, store):
        os.mkfifo(path_of(store))
        assert store.get(KEY) is None
        assert KEY not in store
        assert store.put(packed(1))
        assert same(store.get(KEY), packed(1))

    @has_pipes
    def test_a_link_to_a_pipe_or_a_device_is_no_entry(self, store, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        for target in (tmp_path / "pipe", Path("/dev/zero")):
            path_of(store).symlink_to(target)
            assert store.get(KEY) is None
            path_of(store).unlink()

    def test_a_folder_is_no_entry_and_costs_that_one_embedding_only(self, store):
        (path_of(store) / "of the person").mkdir(parents=True)
        assert store.get(KEY) is None
        assert not store.put(packed(1))
        assert store.problem == ""
        assert store.put(packed(2))
        assert store.usage().count == 1
        assert store.clear().count == 1
        assert (path_of(store) / "of the person").exists()
        assert sorted(path.name for path in store.folder.iterdir()) == [path_of(store).name]

    @has_pipes
    def test_pipes_can_be_counted_and_cleared(self, store):
        os.mkfifo(path_of(store))
        os.mkfifo(store.folder / "limit.txt")
        assert DiskStore(store.folder).limit > 0
        DiskStore(store.folder).make_room()
        store.clear()
        assert not path_of(store).exists()

    @pytest.mark.parametrize("said", ["9" * 5_000, "9" * 400 + " TB", "x" * 2_000, b"\xff\xfe", DEEP])
    def test_a_limit_that_is_none_is_left_out(self, store, said):
        (store.folder / "limit.txt").write_bytes(said if isinstance(said, bytes) else said.encode())
        assert settings.chosen_limit(store.folder) is None

    def test_links_are_replaced_and_not_written_through(self, store, tmp_path):
        victim = tmp_path / "victim"
        victim.write_bytes(b"the person's own")
        path_of(store).symlink_to(victim)
        (store.folder / "limit.txt").symlink_to(victim)
        settings.choose_limit(store.folder, 10**9)
        assert store.put(packed(1))
        assert same(store.get(KEY), packed(1))
        assert victim.read_bytes() == b"the person's own"


def leave(store: DiskStore, number: int, process: int, size: int = 1000, age: float = 0.0) -> Path:
    """What a process of this machine leaves when it is killed while it writes."""
    path = store.folder / f"{key_of(number)}.{disk._MACHINE}{process:08x}{number:016x}.unfinished"
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


class TestLeftovers:
    @pytest.mark.skipif(os.name != "posix", reason="Windows does not tell whether a process runs")
    def test_of_a_process_that_is_gone_are_cleared_up_by_the_next_writer(self, store, dead):
        left = leave(store, 2, dead)
        assert store.put(packed(1))
        assert not left.exists()

    def test_of_a_living_process_stay_until_it_was_silent_for_minutes(self, store):
        fresh, old = leave(store, 2, os.getpid(), age=60), leave(store, 3, os.getpid(), age=600)
        store.make_room()
        assert (fresh.exists(), old.exists()) == (True, False)

    def test_of_another_machine_or_an_older_release_go_after_minutes(self, store, dead):
        names = [f"{key_of(n)}.{n:032x}.unfinished" for n in (2, 3)]
        for name, age in zip(names, (60, 600), strict=True):
            (store.folder / name).write_bytes(b"half")
            os.utime(store.folder / name, (time.time() - age,) * 2)
        store.make_room()
        assert [(store.folder / name).exists() for name in names] == [True, False]

    @pytest.mark.parametrize("process", [0, 1, 2**31, 2**32 - 1])
    def test_numbers_that_are_no_process_do_no_harm(self, store, process):
        leave(store, 2, process)
        store.make_room()
        assert store.put(packed(1))

    def test_count_towards_the_limit(self, store):
        bounded = DiskStore(store.folder, 100_000)
        for number in range(10):
            assert bounded.put(packed(number, 5_000))
        left = leave(store, 20, os.getpid(), size=60_000)
        assert bounded.usage().nbytes > 100_000
        bounded.make_room()
        assert left.exists()
        assert bounded.usage().nbytes <= 100_000
        assert 0 < bounded.usage().count < 10

    def test_are_counted_when_everything_is_deleted(self, store):
        leave(store, 2, os.getpid(), size=60_000)
        assert (store.clear().nbytes, store.usage().nbytes) == (60_000, 0)

    def test_a_living_writer_that_was_taken_for_dead_loses_that_one_embedding_only(self, store, monkeypatch):
        write = disk.write_entry

        def and_lose_it(path: Path, one: object) -> None:
            write(path, one)
            path.unlink()

        monkeypatch.setattr(disk, "write_entry", and_lose_it)
        assert not store.put(packed(1))
        monkeypatch.undo()
        assert store.problem == ""
        assert store.put(packed(1))

    @pytest.mark.skipif(os.name != "posix", reason="Windows does not tell whether a process runs")
    def test_of_writers_that_were_killed_never_pile_up(self, store):
        script = (
            f"import sys; sys.path.insert(0, {str(Path(embeddings.__file__).parent)!r})\n"
            "from embeddings import *\n"
            "import os, signal\n"
            "from napari_sam.cache import disk\n"
            "def half(path, one):\n"
            "    path.write_bytes(bytes(300_000))\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
            "disk.write_entry = half\n"
            "DiskStore(Path(sys.argv[1]), 10**6).put(packed(int(sys.argv[2]), 300_000))\n"
        )
        for number in range(4):
            subprocess.run([sys.executable, "-c", script, str(store.folder), str(number)], timeout=60, check=False)
            assert len(list(store.folder.iterdir())) == 1
        assert store.put(packed(9))
        assert [path.suffix for path in store.folder.iterdir()] == [".embedding"]
