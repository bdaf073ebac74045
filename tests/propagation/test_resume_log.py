from __future__ import annotations

import json

import numpy as np
import pytest

from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask
from napari_sam.propagation import Ending, PropagationStep, Reason
from napari_sam.propagation.resume_log import Record
from stack_scenery import SHAPE, disc

ABOUT = {"stack": "cells.tif", "window": (0.0, 1.0)}
RESULTS = [
    PropagationStep(4, BoxedMask.of(disc(16, 20, 6)), 0.1 + 0.2, 1 / 3, 1),
    PropagationStep(2, BoxedMask.of(disc(0, 39, 2)), 0.5, 1.0, -1),
    Ending(5, 1, Reason.AREA),
]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "labels.tif.part"
    with Record(path, ABOUT) as record:
        for result in RESULTS:
            record.add(result)
    return path


def same(one, other):
    if isinstance(one, Ending):
        return one == other
    fields = ("index", "score", "overlap", "direction")
    return np.array_equal(one.mask, other.mask) and all(getattr(one, f) == getattr(other, f) for f in fields)


def test_results_come_back_exactly(path):
    with Record(path, ABOUT) as record:
        assert len(record) == 3
        assert all(same(*pair) for pair in zip(record, RESULTS, strict=True))
        assert np.array_equal(record.boxed(2).whole(), disc(0, 39, 2))
        assert record.boxed(3) is None


def test_goes_on_while_earlier_results_are_read(path):
    with Record(path, ABOUT) as record:
        earlier = iter(record)
        assert next(earlier).index == 4
        record.add(PropagationStep(1, BoxedMask.of(np.ones(SHAPE, bool)), 0.7, 0.8, -1))
        assert [result.index for result in earlier] == [2, 5]
        assert record.boxed(1).mask.all()
    with Record(path, ABOUT) as record:
        assert [result.index for result in record] == [4, 2, 5, 1]


@pytest.mark.parametrize("lost", [1, 15, 60])
def test_a_last_line_that_was_cut_short_is_dropped(path, lost):
    path.write_bytes(path.read_bytes()[:-lost])
    with Record(path, ABOUT) as record:
        kept = len(record)
        assert kept < 3
        record.add(Ending(5, 1, Reason.MARK))
    with Record(path, ABOUT) as record:
        assert list(record)[-1] == Ending(5, 1, Reason.MARK)
        assert len(record) == kept + 1


def test_a_line_full_of_nothing_ends_what_counts(path):
    path.write_bytes(path.read_bytes() + b"\0" * 50 + b"\n")
    with Record(path, ABOUT) as record:
        assert len(record) == 3


def test_every_line_is_on_the_disk_at_once(tmp_path):
    record = Record(tmp_path / "part", ABOUT)
    record.add(RESULTS[2])
    lines = (tmp_path / "part").read_bytes().splitlines()
    assert json.loads(lines[1])["reason"] == "area"
    record.remove()
    assert not (tmp_path / "part").exists()


def test_of_another_run_is_refused_and_kept(path):
    before = path.read_bytes()
    with pytest.raises(InputError, match="another command"):
        Record(path, {"stack": "other.tif"})
    assert path.read_bytes() == before


def test_anew(path):
    with Record(path, {"stack": "other.tif"}, anew=True) as record:
        assert len(record) == 0


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        Record(tmp_path / "no" / "part", ABOUT)


def test_without_results_nothing_stays(tmp_path):
    with Record(tmp_path / "part", ABOUT):
        pass
    assert not (tmp_path / "part").exists()


def test_of_another_run_without_results_is_replaced(tmp_path):
    Record(tmp_path / "part", {"stack": "other.tif"}).close()
    with Record(tmp_path / "part", ABOUT) as record:
        record.add(RESULTS[2])
    with Record(tmp_path / "part", ABOUT) as record:
        assert list(record) == [RESULTS[2]]
