"""The journal: a database that is only added to."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from napari_sam.errors import InputError
from napari_sam.journal import Journal, list_journals, read_journal, read_lines
from napari_sam.journal.database import JournalDatabase


@pytest.fixture
def open_journal(tmp_path):
    """Open journals that are closed after the test."""
    opened = []

    def open_one(folder=tmp_path):
        opened.append(Journal(folder))
        return opened[-1]

    yield open_one
    for journal in opened:
        journal.close()


@pytest.fixture
def journal(open_journal):
    return open_journal()


def labels(path, session=None):
    return [record["label"] for record in read_journal(path, session)]


def log_of(journal):
    """The write-ahead log."""
    return journal.path.with_name(f"{journal.path.name}-wal")


def test_records_come_back_in_order(open_journal, tmp_path):
    journal = open_journal(tmp_path / "deep" / "folder")
    assert journal.path is None
    assert [journal.add("accepted", label=1), journal.add("withdrawn", of=0)] == [0, 1]
    records = read_journal(journal.path)
    assert [(r["number"], r["kind"]) for r in records] == [(0, "accepted"), (1, "withdrawn")]
    assert (records[0]["label"], records[0]["session"]) == (1, journal.session)
    assert records[0]["time"].endswith("+00:00")


def test_sessions_share_a_database_and_count_by_themselves(open_journal):
    one, two = open_journal(), open_journal()
    assert [one.add("accepted", label=1), two.add("accepted", label=2), one.add("accepted", label=3)] == [0, 0, 1]
    assert one.path == two.path
    assert (labels(one.path, one.session), labels(one.path, two.session)) == ([1, 3], [2])
    assert labels(one.path) == [1, 2, 3]
    assert [record["id"] for record in read_journal(one.path)] == [1, 2, 3]


def test_the_folder_is_the_user_s(home):
    journal = Journal()
    journal.add("accepted")
    journal.close()
    assert journal.path.parent == home / "journal"


def test_every_record_is_on_the_disk_when_add_returns(journal, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    journal.add("accepted")
    assert synced == [log_of(journal).stat().st_size]
    journal.add("accepted")
    assert synced[1] == log_of(journal).stat().st_size > synced[0] > 0


def test_records_that_do_not_wait_for_the_disk_can_be_brought_there_later(journal, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    journal.sync()
    journal.add("accepted", on_disk=False)
    assert not synced and len(read_journal(journal.path)) == 1
    thread = threading.Thread(target=journal.sync)
    thread.start()
    thread.join()
    assert synced == [log_of(journal).stat().st_size]


def test_nothing_is_written_for_what_json_does_not_hold(journal):
    journal.add("accepted")
    with pytest.raises(TypeError):
        journal.add("accepted", label=object())
    assert len(read_journal(journal.path)) == 1


def test_what_others_wrote_is_refused(tmp_path):
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(InputError, match="not a journal"):
        read_journal(path)
    path.write_bytes(b"something else altogether" * 99)
    with pytest.raises(InputError, match="damaged"):
        read_journal(path)
    with pytest.raises(InputError, match="no journal"):
        read_journal(tmp_path / "none.sqlite")


def test_a_newer_version_is_refused_for_reading_and_left_alone_when_writing(journal, open_journal):
    journal.add("accepted", label=1)
    journal.close()
    connection = sqlite3.connect(journal.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(InputError, match="version 99"):
        read_journal(journal.path)
    other = open_journal()
    other.add("accepted", label=2)
    assert "version 99" in str(other.trouble)
    assert [path.name for path in journal.path.parent.iterdir()] == ["journal.sqlite"]


def test_names_of_any_alphabet_come_back(journal):
    journal.add("accepted", label=1, image="Zellen äöü 細胞")
    assert read_journal(journal.path)[0]["image"] == "Zellen äöü 細胞"


# -- several at once ------------------------------------------------------------------------------


def test_threads_and_sessions_write_at_once(open_journal):
    journals = [open_journal() for _ in range(4)]

    def write(journal):
        for label in range(25):
            journal.add("accepted", label=label, on_disk=False)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, journals))
    for journal in journals:
        # Whoever had to wait too long brings it with the next record.
        journal.write_waiting()
        assert journal.trouble is None
        assert labels(journal.path, journal.session) == list(range(25))


def test_processes_write_at_once(tmp_path):
    script = """
import sys
from napari_sam.journal import Journal
journal = Journal(sys.argv[1])
for label in range(40):
    journal.add("accepted", label=label, on_disk=False)
while journal.trouble is not None:
    journal.write_waiting()
journal.close()
"""
    running = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(300) for process in running] == [0, 0, 0]
    summaries = list_journals(tmp_path)
    assert len(summaries) == 3
    for summary in summaries:
        assert labels(summary.path, summary.session) == list(range(40))


def test_a_lock_of_another_program_costs_nothing(journal, monkeypatch):
    monkeypatch.setattr("napari_sam.journal.database._BUSY_S", 0.0)
    journal.add("accepted", label=1)
    other = sqlite3.connect(journal.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal.close()
    journal.add("accepted", label=2)
    assert "another program" in str(journal.trouble)
    assert labels(journal.path) == [1]  # who reads need not wait
    other.execute("ROLLBACK")
    other.close()
    journal.add("accepted", label=3)
    assert journal.trouble is None
    assert labels(journal.path) == [1, 2, 3]


# -- disks that are full for a while, and read-only ones ---------------------------------------------


@pytest.mark.parametrize("room", range(0, 140_000, 9_001))
def test_a_real_limit_on_the_disk_costs_nothing(tmp_path, room):
    """The kernel cuts a write anywhere; in a process of its own, whose files are all limited."""
    script = """
import resource, sys
from napari_sam.journal import Journal
journal, room = Journal(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
for label in range(1, 9):
    assert journal.add("accepted", label=label, note="x" * 9000) == label - 1
if room < 60_000:
    assert journal.trouble is not None
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.add("accepted", label=9)
assert journal.trouble is None, journal.trouble
journal.close()
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path), str(room)], check=True, timeout=300)
    assert [path.name for path in tmp_path.iterdir()] == ["journal.sqlite"]
    assert labels(tmp_path / "journal.sqlite") == list(range(1, 10))
    assert read_lines(tmp_path / "journal.sqlite").damaged == 0


def test_what_waits_is_written_when_it_is_tried_again(open_journal, tmp_path):
    (tmp_path / "journal").write_text("in the way")
    journal = open_journal(tmp_path / "journal")
    journal.add("accepted", label=1)
    journal.write_waiting()
    assert journal.trouble is not None
    (tmp_path / "journal").unlink()
    journal.write_waiting()
    assert journal.trouble is None
    assert labels(journal.path) == [1]


def test_a_disk_that_fails_to_take_it_is_told(journal, monkeypatch):
    def fail(_descriptor):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", fail)
        journal.add("accepted", label=1)
        assert journal.trouble.errno == errno.EIO
    journal.add("accepted", label=2)
    assert journal.trouble is None
    assert labels(journal.path) == [1, 2]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="whoever is root writes everywhere")
def test_a_read_only_folder_keeps_records_in_memory(journal, tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        journal.add("accepted", label=1)
        assert journal.trouble is not None
    finally:
        tmp_path.chmod(stat.S_IRWXU)
    journal.add("accepted", label=2)
    assert labels(journal.path) == [1, 2]


def test_a_database_that_is_read_only_keeps_records_in_memory(journal, monkeypatch):
    journal.add("accepted", label=1)
    execute = JournalDatabase._session
    with monkeypatch.context() as locked:

        def refuse(self, run, name):
            self._connection.execute("PRAGMA query_only = ON")
            return execute(self, run, name)

        locked.setattr(JournalDatabase, "_session", refuse)
        journal.add("accepted", label=2)
        assert "read-only" in str(journal.trouble)
    journal.add("accepted", label=3)
    assert labels(journal.path) == [1, 2, 3]


def test_a_log_that_nobody_can_join_is_read_from_a_copy(journal, tmp_path, monkeypatch):
    """On a disk that is read-only, SQLite has no place for what readers and writers of a log share."""
    journal.add("accepted", label=1)
    from napari_sam.journal import reading

    opened, real = [], reading._open

    def open_once(path):
        opened.append(path)
        if len(opened) == 1:
            raise sqlite3.OperationalError("unable to open database file")
        return real(path)

    monkeypatch.setattr(reading, "_open", open_once)
    shutil.copytree(journal.path.parent, tmp_path / "disk")
    assert labels(tmp_path / "disk" / "journal.sqlite") == [1]
    assert opened[0].parent == tmp_path / "disk" != opened[1].parent
    assert not opened[1].exists()


# -- files that are gone or damaged ----------------------------------------------------------------


@pytest.mark.parametrize("how", ["deleted", "deleted with its folder"])
def test_a_journal_that_was_deleted_begins_again(open_journal, tmp_path, how):
    journal = open_journal(tmp_path / "journal")
    journal.add("accepted", label=1)
    for path in journal.path.parent.iterdir():
        path.unlink()
    if how == "deleted with its folder":
        journal.path.parent.rmdir()
    journal.add("accepted", label=2)
    assert journal.trouble is None
    assert labels(journal.path) == [2]
    assert read_journal(journal.path)[0]["number"] == 1


def filled(folder, count=300):
    """Fill a journal, all of it in the database itself, and return its bytes."""
    journal = Journal(folder)
    for label in range(count):
        journal.add("accepted", label=label, note="x" * 200, on_disk=False)
    journal.close()
    assert [path.name for path in folder.iterdir()] == ["journal.sqlite"]
    return journal.path, journal.path.read_bytes()


@pytest.mark.parametrize("page", [0, 1, 3, 5, 8, 13, 20])
def test_a_broken_page_is_set_aside_and_the_rest_goes_on(tmp_path, open_journal, page):
    path, whole = filled(tmp_path)
    assert len(whole) > 21 * 4096
    path.write_bytes(whole[: page * 4096] + b"\xff" * 4096 + whole[(page + 1) * 4096 :])
    before = path.read_bytes()
    journal = open_journal()
    for label in (1000, 1001):
        journal.add("accepted", label=label)
    assert journal.trouble is None
    read = read_lines(path)
    found = [record["label"] for record in read.records]
    assert found[-2:] == [1000, 1001] or read.damaged
    assert found == sorted(found) and set(found) <= {*range(300), 1000, 1001}
    if journal.set_aside is not None:
        assert journal.set_aside.read_bytes() == before
        # The header tells where everything is; of another page, no more than its own records are lost.
        assert len(found) >= (0 if page == 0 else 200)


def test_one_damaged_byte_costs_its_record_and_never_gives_another(tmp_path):
    path, whole = filled(tmp_path, 20)
    records = read_journal(path)
    for at in range(4096, len(whole), 97):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x24]) + whole[at + 1 :])
        try:
            found = read_lines(path).records
        except InputError:
            continue
        plain = [{key: one[key] for key in ("number", "label", "note", "kind")} for one in found]
        assert all(one in [{key: r[key] for key in one} for r in records] for one in plain), at


def test_a_power_cut_costs_no_record_that_was_whole(tmp_path):
    """Whatever is missing at the end of the log: all records before the last whole one are there."""
    journal = Journal(tmp_path / "live")
    ends = []
    for label in range(6):
        journal.add("accepted", label=label)
        ends.append(log_of(journal).stat().st_size)
    database, log = journal.path.read_bytes(), log_of(journal).read_bytes()
    journal.close()
    cut = tmp_path / "cut"
    cut.mkdir()
    for size in range(ends[2], len(log) + 1):
        if (size - ends[2]) % 7 and size not in (*ends, *(end - 1 for end in ends)):
            continue
        for path in cut.iterdir():
            path.unlink()
        (cut / "journal.sqlite").write_bytes(database)
        (cut / "journal.sqlite-wal").write_bytes(log[:size])
        whole = sum(end <= size for end in ends)
        assert labels(cut / "journal.sqlite") == list(range(whole)), size


def test_after_a_power_cut_a_session_goes_on(tmp_path):
    journal = Journal(tmp_path / "live")
    for label in range(4):
        journal.add("accepted", label=label)
    database, log = journal.path.read_bytes(), log_of(journal).read_bytes()
    journal.close()
    for missing in (1, 100, 4095, 4096, 4121):
        cut = tmp_path / f"cut {missing}"
        cut.mkdir()
        (cut / "journal.sqlite").write_bytes(database)
        (cut / "journal.sqlite-wal").write_bytes(log[:-missing])
        other = Journal(cut)
        other.add("accepted", label=9)
        assert other.trouble is None and other.set_aside is None
        assert labels(other.path) == [0, 1, 2, 9]
        other.close()
