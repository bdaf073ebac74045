"""The journal: a file that is only added to, and masks that come back."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam.errors import InputError
from napari_sam.journal import Journal, decode_mask, encode_mask, read_journal


@settings(deadline=None, max_examples=200)
@given(
    mask=hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=6)),
    before=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    after=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_masks_come_back(mask, before, after):
    shape = tuple(max(1, a + n + b) for a, n, b in zip(before, mask.shape, after, strict=True))
    plane = np.zeros(shape, dtype=bool)
    plane[before[0] : before[0] + mask.shape[0], before[1] : before[1] + mask.shape[1]] = mask
    encoded = encode_mask(mask, before, shape)
    assert encoded["size"] == list(shape)
    assert sum(encoded["counts"]) == plane.size
    assert all(count > 0 for count in encoded["counts"][1:])
    assert np.array_equal(decode_mask(encoded), plane)


def test_runs_are_those_of_coco():
    # column by column, background first
    assert encode_mask(np.array([[0, 1], [1, 1]], bool), (0, 0), (2, 2))["counts"] == [1, 3]
    assert encode_mask(np.array([[1, 0], [0, 1]], bool), (0, 0), (2, 2))["counts"] == [0, 1, 2, 1]
    assert encode_mask(np.ones((1, 1), bool), (1, 1), (3, 3))["counts"] == [4, 1, 4]


def test_damaged_masks_are_refused():
    with pytest.raises(InputError, match="damaged"):
        decode_mask({"size": [2, 2], "counts": [1, 2]})
    with pytest.raises(InputError, match="damaged"):
        decode_mask({"size": [2, 2], "counts": [5, -1]})


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
        ('{"format": "napari-sam-journal", "version": 1}\n{"a"\n{}\n', "line 2"),
    ]:
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            read_journal(path)


def test_a_journal_is_plain_json(tmp_path):
    journal = Journal(tmp_path)
    journal.add("accepted", name="Zellen äöü")
    for line in journal.path.read_text(encoding="utf-8").splitlines():
        json.loads(line)
