"""Two processes that train together do what one with twice as many parts does, and stop and go on as one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
import ranks_program
import torch
from labelled_squares import squares_source
from tiny import SHORT, log, tiny_model

from napari_sam.errors import Cancelled
from napari_sam.training.config import available_cores
from napari_sam.training.loop import CHECKPOINT, Trainer
from napari_sam.training.ranks import ALONE, Ranks, started_ranks

AS_TWO = replace(SHORT, threads=2)
"""What two processes do, in one."""


def trainer(folder):
    return Trainer(tiny_model, AS_TWO, squares_source(), folder)


def cut_in_the_middle(share):
    if share >= 0.5:
        raise Cancelled


def run_two(folder):
    """Start two processes as torchrun does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = os.pathsep.join([os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "PYTHONPATH": path}
    processes = [
        subprocess.Popen(
            [sys.executable, ranks_program.__file__, str(folder)],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for process in processes:
            _, said = process.communicate(timeout=600)
            assert process.returncode == 0, said
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    with pytest.raises(Cancelled):
        trainer(folder / "of one").run(cut_in_the_middle)
    run_two(folder)
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Weights after the same batches, in one process."""
    run = trainer(tmp_path_factory.mktemp("alone"))
    run.run()
    return run.model.state_dict()


def found(folder, rank):
    return json.loads((folder / f"found-{rank}.json").read_text())


def assert_alike(weights, others):
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, others[name], atol=1e-5, rtol=0, msg=name)


def test_both_have_the_weights_of_one_that_takes_both_parts(folder, alone):
    first, second = (torch.load(folder / f"weights-{rank}.pt", weights_only=True) for rank in range(2))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert_alike(first, alone)
    assert found(folder, 0)["crops"] == found(folder, 1)["crops"] == 4 * 2 * 2


def test_the_first_alone_writes(folder):
    assert [line["step"] for line in log(folder / "whole")] == [2, 4]


def test_where_one_stops_all_do_and_one_goes_on_alone(folder, alone):
    assert found(folder, 0)["cut at"] == found(folder, 1)["cut at"] == 2
    assert torch.load(folder / "cut" / CHECKPOINT, weights_only=True)["step"] == 2
    later = trainer(folder / "cut")
    later.run()
    assert_alike(later.model.state_dict(), alone)


def test_two_go_on_where_one_was_cut(folder, alone):
    assert found(folder, 0)["gone on from"] == found(folder, 1)["gone on from"] == 2
    assert_alike(torch.load(folder / "of one" / CHECKPOINT, weights_only=True)["model"], alone)


def test_what_fails_in_one_fails_in_all_with_its_words(folder):
    assert found(folder, 0)["error"] == found(folder, 1)["error"] == ranks_program.WORDS


def test_the_clock_of_the_first_ends_the_run(folder):
    assert found(folder, 0)["timed"] == found(folder, 1)["timed"] == 1


def test_what_the_first_does_alone_is_told_to_the_others(folder):
    assert found(folder, 0)["told"] == "of the first"
    assert found(folder, 1)["told"] == "stopped"
    assert found(folder, 1)["same"] == "from the first"


def test_without_torchrun_nothing_is_waited_for(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with started_ranks() as ranks:
        assert ranks == ALONE
    assert ALONE.first
    assert ALONE.value(3.0) == 3.0
    assert ALONE.any(True)
    assert ALONE.device("cuda") == "cuda"
    with pytest.raises(ValueError, match="mine"):
        ALONE.fail_together(ValueError("mine"))


def test_each_process_has_a_gpu_and_its_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert Ranks(5, 8, 1).device("cuda") == "cuda:1"
    assert Ranks(5, 8, 1).device("cuda:3") == "cuda:3"
    assert Ranks(5, 8, 1).device("cpu") == "cpu"
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert available_cores() == 2
