"""Journals of the releases before the database: files of JSON lines, of which nothing may be lost."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam.errors import InputError
from napari_sam.journal import encode_mask, journal_files, list_journals, read_journal, read_lines
from napari_sam.journal.catalog import read_entries
from napari_sam.journal.lines import FORMAT, VERSION, encode_line


def accepted(label):
    mask = encode_mask(np.ones((2, label), bool), (1, 1), (5, 9))
    plane = {"axes": [0, 1], "index": [None, None]}
    return {
        "number": label - 1,
        "time": f"2026-11-26T11:45:2{label}.000+00:00",
        "kind": "accepted",
        "image": "cells",
        "target": "SAM labels",
        "shape": [5, 9],
        "label": label,
        "plane": plane,
        "box": [1, 1, 3, 1 + label],
        "mask": mask,
    }


RECORDS = [accepted(label) for label in range(1, 6)]
WHOLE = encode_line({"format": FORMAT, "version": VERSION}) + b"".join(map(encode_line, RECORDS))


def test_an_old_file_is_listed_read_and_restored_beside_the_database(tmp_path):
    path = tmp_path / "20261126T114521-29885-0.jsonl"
    path.write_bytes(WHOLE + encode_line({"number": 5, "time": "", "kind": "withdrawn", "of": 4}))
    assert journal_files(tmp_path) == [path]
    [summary] = list_journals(tmp_path)
    assert (summary.name, summary.objects, summary.images) == (path.stem, 4, ("cells",))
    found, strange = read_entries(path)
    assert ([entry.label for entry in found], strange) == ([1, 2, 3, 4], 0)


def test_a_last_line_cut_short_is_left_out(tmp_path):
    path = tmp_path / "old.jsonl"
    for size in range(len(WHOLE) - len(encode_line(RECORDS[-1])), len(WHOLE) - 1):
        path.write_bytes(WHOLE[:size])
        assert [record["label"] for record in read_lines(path).records] == [1, 2, 3, 4]


def test_other_files_are_refused(tmp_path):
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


def test_files_of_the_first_releases_are_read_past_damage_too(tmp_path):
    path = tmp_path / "old.jsonl"
    lines = ['{"format": "napari-sam-journal", "version": 1}']
    lines += [json.dumps({"number": n, "time": "", "kind": "accepted", "label": n}) for n in range(4)]
    lines[2] = lines[2].replace('"kind"', '"kind')
    path.write_text("\n".join(lines) + "\n")
    assert [record["label"] for record in read_journal(path)] == [0, 2, 3]
    assert read_lines(path).damaged == 1
    path.write_text("\n".join(lines[1:]) + "\n")
    assert [record["label"] for record in read_journal(path)] == [0, 2, 3]
