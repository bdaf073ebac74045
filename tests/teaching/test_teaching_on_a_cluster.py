"""From a session to a machine of the lab and back: the real command in between, and a worker of a real scheduler."""

from __future__ import annotations

import sys
import time

import pytest

import fake_finetune
from dask_cluster import cluster
from napari_sam.teaching import Teaching
from napari_sam.training.remote import machine

MINUTES = 300.0  # seconds: a safety net


def wait_for(teaching, true):
    end = time.monotonic() + MINUTES
    while not true():
        teaching._worker.deliver()
        assert time.monotonic() < end, teaching.state
        time.sleep(0.01)


@pytest.mark.slow
def test_it_learns_there_is_cancelled_and_goes_on(session, tmp_path, home, monkeypatch):
    monkeypatch.setattr(machine, "PROGRAM", (sys.executable, fake_finetune.__file__, "hangs"))
    with cluster(tmp_path / "worker", processes=False, workers=1) as started:
        session.device = started.scheduler_address
        session.wait(60)
        teaching = Teaching(session)
        told = []
        teaching.changed.connect(lambda state: told.append(state.words))
        teaching.teach("mine", 5)
        wait_for(teaching, lambda: teaching.state.words == fake_finetune.STEP)
        assert any(words.startswith("Teaching on ") for words in told)
        assert teaching.state.fraction == 0.5
        teaching.cancel()
        teaching.wait(MINUTES)
        assert (teaching.state.stage, teaching.state.resumable) == ("stopped", "mine")
        (folder,) = (home / "taught-for-others").iterdir()
        assert not machine._running(folder.name)
        monkeypatch.setattr(machine, "PROGRAM", (sys.executable, fake_finetune.__file__, "worse"))
        teaching.go_on()
        teaching.wait(MINUTES)
        assert teaching.state.stage == "done", teaching.state.words
        assert not teaching.state.kept
        assert teaching.state.report.steps == 7
        teaching.close()
    # Nobody is there any more.
    lost = Teaching(session)
    lost.teach("mine", 5)
    lost.wait(MINUTES)
    assert lost.state.stage == "failed"
    assert "No Dask scheduler answers" in lost.state.words
    lost.close()
