from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from napari_sam.evaluation.speed.process import ContenderError, ContenderProcess, start_contender

FAKE = Path(__file__).with_name("fake_contender.py")


@pytest.fixture
def process():
    with ContenderProcess([sys.executable, str(FAKE), "somebody"], "somebody") as started:
        yield started


def test_lines_go_there_and_come_back(process):
    assert process.ask("embed", side=3) == {"asked": {"task": "embed", "side": 3}, "name": "somebody"}
    assert process.ask("predict")["asked"] == {"task": "predict"}


def test_one_that_dies_is_told_with_its_last_words(process):
    with pytest.raises(ContenderError, match="somebody ended at 'die': exit code 3; no memory left"):
        process.ask("die")
    assert process.ended
    with pytest.raises(ContenderError, match="somebody ended at 'embed'"):
        process.ask("embed")


def test_one_that_fails_goes_on(process):
    with pytest.raises(ContenderError, match="somebody failed at 'fail': ValueError: not today"):
        process.ask("fail")
    assert not process.ended
    assert process.ask("embed")["name"] == "somebody"


def test_one_that_cannot_start_is_told():
    with (
        ContenderProcess([sys.executable, "-c", "import no_such_package"], "absent") as started,
        pytest.raises(ContenderError, match="absent ended at 'embed': exit code 1; ModuleNotFoundError"),
    ):
        started.ask("embed")


def test_threads_are_said_to_libraries_before_they_are_imported():
    program = "import os, json; input(); print(json.dumps(dict(threads=os.environ.get('OMP_NUM_THREADS'))))"
    for threads, seen in ((3, "3"), (None, os.environ.get("OMP_NUM_THREADS"))):
        with ContenderProcess([sys.executable, "-c", program], "any", threads) as started:
            assert started.ask("x") == {"threads": seen}


def test_our_own_contender_for_real(tmp_path):
    with start_contender("inputs", tmp_path, 1, "cpu") as inputs:
        assert inputs.ask("write", sides=[64], families=["bundled"]) == {"device": "cpu"}
    image = str(tmp_path / "64.npy")
    with start_contender("bundled", tmp_path, 1, "cpu") as ours:
        fresh = ours.ask("fresh", image=image, point=[32, 32])
        assert 0 < fresh["import"] + fresh["load"] + fresh["embed"] + fresh["predict"] < fresh["first mask"]
        assert fresh["peak memory"] > 100e6
        assert ours.ask("predict_many", points=[[10, 20], [40, 50]])["seconds"] > 0
        assert ours.ask("everything", image=image, side=2)["count"] >= 0
        assert ours.ask("count", image=image)["flops"] > 1e8
        assert ours.ask("walk", image=image, planes=2)["seconds"] > 0
