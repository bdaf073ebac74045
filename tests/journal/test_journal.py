"""The journal: a file that is only added to."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam.errors import InputError
from napari_sam.journal import Journal, encode_mask, read_journal, read_lines


def test_records_come_back_in_order(tmp_path):
    journal = Journal(tmp_path / "deep" / "folder")
    assert journal.path is None
    assert [journal.add("accepted", label=1), journal.add("withdrawn", of=0)] == [0, 1]
    records = read_journal(journal.path)
    assert [(r["number"], r["kind"]) for r in records] == [(0, "accepted"), (1, "withdrawn")]
    assert records[0]["label"] == 1
    assert records[0]["time"].endswith("+00:00")


def test_each_journal_has_a_file_of_its_own(tmp_path):
    one, two = Journal(tmp_path), Journal(tmp_path)
    one.add("accepted")
    two.add("accepted")
    one.add("accepted")
    assert one.path != two.path
    assert len(read_journal(one.path)) == 2


def test_the_folder_is_the_user_s(home):
    journal = Journal()
    journal.add("accepted")
    assert journal.path.parent == home / "journal"


def test_every_record_is_on_the_disk_when_add_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    journal = Journal(tmp_path)
    journal.add("accepted")
    journal.add("accepted")
    assert synced[1] == journal.path.stat().st_size > synced[0] > 0


def test_records_that_do_not_wait_for_the_disk_can_be_brought_there_later(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    journal = Journal(tmp_path)
    journal.sync()
    journal.add("accepted", on_disk=False)
    assert not synced and len(read_journal(journal.path)) == 1
    journal.sync()
    assert synced == [journal.path.stat().st_size]


def test_nothing_is_written_for_what_json_does_not_hold(tmp_path):
    journal = Journal(tmp_path)
    journal.add("accepted")
    with pytest.raises(TypeError):
        journal.add("accepted", label=object())
    assert len(read_journal(journal.path)) == 1


def test_a_last_line_cut_short_is_left_out(tmp_path):
    journal = Journal(tmp_path)
    journal.add("accepted", label=1)
    journal.add("accepted", label=2)
    text = journal.path.read_text()
    journal.path.write_text(text[:-9])
    assert [r["label"] for r in read_journal(journal.path)] == [1]


def test_other_damage_and_other_files_are_refused(tmp_path):
    path = tmp_path / "journal.jsonl"
    for text, words in [
        ("", "not a journal"),
        ("[]\n", "not a journal"),
        ('{"format": "else"}\n', "not a journal"),
        ('{"format": "napari-sam-journal", "version": 99}\n', "version 99"),
        ("nothing of the kind\n" * 3, "not a journal"),
    ]:
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            read_journal(path)


def test_a_journal_is_plain_json(tmp_path):
    journal = Journal(tmp_path)
    journal.add("accepted", name="Zellen äöü")
    for line in journal.path.read_text(encoding="utf-8").splitlines():
        json.loads(line)


# -- disks that are full for a while, and damage --------------------------------------------------


def labels(path):
    return [record["label"] for record in read_journal(path)]


@pytest.mark.parametrize("room", [0, 1, 30, 60, 100, 140])
def test_a_disk_that_is_full_for_a_moment_costs_nothing(tmp_path, monkeypatch, room):
    class Full(io.FileIO):
        left = 10**9

        def write(self, data):
            if not Full.left:
                raise OSError(errno.ENOSPC, "No space left on device")
            taken = super().write(bytes(data)[: Full.left])
            Full.left -= taken
            return taken

    real = Path.open

    def open_file(self, *how, **more):
        return Full(self, *how) if more == {"buffering": 0} else real(self, *how, **more)

    monkeypatch.setattr(Path, "open", open_file)
    journal = Journal(tmp_path)
    for first in (1, 2) if room % 60 else ():
        journal.add("accepted", label=first)
    Full.left = room
    for label in (3, 4):
        assert journal.add("accepted", label=label) == journal._count - 1
    assert journal.trouble.errno == errno.ENOSPC
    assert os.path.getsize(journal.path) == 0 or journal.path.read_bytes().endswith(b"\n")
    Full.left = 10**9
    number = journal.add("accepted", label=5)
    monkeypatch.undo()
    assert journal.trouble is None
    assert labels(journal.path) == ([1, 2, 3, 4, 5] if room % 60 else [3, 4, 5])
    assert [record["number"] for record in read_journal(journal.path)] == list(range(number + 1))
    assert read_lines(journal.path).damaged == 0


def test_a_real_limit_on_the_disk_costs_nothing(tmp_path):
    """The kernel cuts a write in the middle of a line; in a process of its own, whose files are all limited."""
    script = """
import resource, sys
from napari_sam.journal import Journal
journal = Journal(sys.argv[1])
journal.add("accepted", label=1)
size = journal.path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, resource.RLIM_INFINITY))
journal.add("accepted", label=2)
assert journal.trouble is not None and journal.path.stat().st_size == size, journal.trouble
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.add("accepted", label=3)
assert journal.trouble is None
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    [path] = tmp_path.iterdir()
    assert labels(path) == [1, 2, 3]


def test_what_waits_is_written_when_it_is_tried_again(tmp_path):
    (tmp_path / "journal").write_text("in the way")
    journal = Journal(tmp_path / "journal")
    journal.add("accepted", label=1)
    journal.write_waiting()
    assert journal.trouble is not None
    (tmp_path / "journal").unlink()
    journal.write_waiting()
    assert journal.trouble is None
    assert labels(journal.path) == [1]


def test_a_line_that_was_cut_short_is_cut_back_before_the_next(tmp_path):
    journal = Journal(tmp_path)
    journal.add("accepted", label=1)
    with journal.path.open("ab") as file:
        file.write(b'{"number":1,"ki')
    journal.add("accepted", label=2)
    assert labels(journal.path) == [1, 2]
    assert read_lines(journal.path).damaged == 0


@pytest.mark.parametrize("how", ["deleted", "deleted with its folder", "emptied"])
def test_a_journal_that_was_deleted_begins_again(tmp_path, how):
    journal = Journal(tmp_path / "journal")
    journal.add("accepted", label=1)
    if how == "emptied":
        journal.path.write_bytes(b"")
    else:
        journal.path.unlink()
    if how == "deleted with its folder":
        journal.path.parent.rmdir()
    journal.add("accepted", label=2)
    assert journal.trouble is None
    assert labels(journal.path) == [2]
    assert read_journal(journal.path)[0]["number"] == 1


def example():
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(folder)
        for label in range(1, 6):
            mask = encode_mask(np.ones((2, label), bool), (1, 1), (5, 9))
            journal.add("accepted", label=label, image="cells", mask=mask)
        return journal.path.read_bytes(), read_journal(journal.path)


WHOLE, RECORDS = example()


@settings(deadline=None, max_examples=400)
@given(at=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_one_damaged_byte_costs_its_line_only(tmp_path_factory, at, byte):
    path = tmp_path_factory.getbasetemp() / "damaged.jsonl"
    path.write_bytes(WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :])
    found = read_lines(path)
    if WHOLE[at] == byte:
        assert (list(found.records), found.damaged) == (RECORDS, 0)
        return
    assert all(record in RECORDS for record in found.records)  # nothing that was not written
    lost = len(RECORDS) - len(found.records)
    assert lost <= (2 if WHOLE[at] == ord("\n") else 1)  # without a line break two lines are one
    assert found.damaged >= 1 or WHOLE[at] == ord("\n") == WHOLE[-1]


def test_journals_of_the_first_releases_are_read_past_damage_too(tmp_path):
    path = tmp_path / "old.jsonl"
    lines = ['{"format": "napari-sam-journal", "version": 1}']
    lines += [json.dumps({"number": n, "time": "", "kind": "accepted", "label": n}) for n in range(4)]
    lines[2] = lines[2].replace('"kind"', '"kind')
    path.write_text("\n".join(lines) + "\n")
    assert labels(path) == [0, 2, 3]
    assert read_lines(path).damaged == 1
    path.write_text("\n".join(lines[1:]) + "\n")
    assert labels(path) == [0, 2, 3]
