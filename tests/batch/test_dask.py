"""Tasks on Dask, with real workers: the files are those of a run in one process, whatever happens to workers."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time

import pytest
from batch_finders import PATIENCE, CutFinder, FailingFinder, FakeFinder, WaitingFinder

from napari_sam.batch import open_stacks
from napari_sam.batch.dask import on_dask
from napari_sam.batch.plan import PlanOptions, plan_images
from napari_sam.errors import Cancelled, InputError
from napari_sam.progress import no_progress


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def folders(tmp_path):
    """Folders for what a finder tells of itself, and the place of a gate."""
    for name in ("begun", "failed"):
        (tmp_path / name).mkdir()
    return {"begun": tmp_path / "begun", "gate": tmp_path / "gate"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_a_worker_that_is_killed_costs_no_object_and_no_duplicate(
    everything, plane, stack, tmp_path, scratch, asked, folders
):
    everything(tmp_path / "alone", plane, stack, side=64, halo=8)
    killed = []

    def kill_one():
        end = time.monotonic() + PATIENCE
        while len(found := list(folders["begun"].iterdir())) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        # Both are inside a task now, and wait for the gate.
        killed.append(int(found[0].name))
        os.kill(killed[0], signal.SIGKILL)
        folders["gate"].touch()

    killer = threading.Thread(target=kill_one)
    with on_dask("processes", scratch, workers=2) as executor:
        killer.start()
        result = everything(
            tmp_path / "out", plane, stack, finder=WaitingFinder(asked, **folders), executor=executor, side=64, halo=8
        )
    killer.join()
    assert killed and killed[0] != os.getpid() and result.tiles == 7
    assert len(list(folders["begun"].iterdir())) >= 2
    assert [one.objects for one in result.images] == [6, 3]
    for name in ("plane.tif", "stack.tif"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_threads_find_the_same_and_a_task_that_fails_is_tried_again(
    everything, plane, tmp_path, scratch, asked, folders
):
    everything(tmp_path / "alone.tif", plane, side=64, halo=8)
    failed = tmp_path / "failed"
    with on_dask("threads", scratch, workers=2) as executor:
        everything(
            tmp_path / "out.tif",
            plane,
            finder=FailingFinder(asked, failed=failed, times=2),
            executor=executor,
            side=64,
            halo=8,
        )
        assert not open_stacks._open
    assert len(list(failed.iterdir())) >= 2
    assert (tmp_path / "out.tif").read_bytes() == (tmp_path / "alone.tif").read_bytes()


def test_a_task_that_fails_for_ever_says_why_and_a_run_that_is_cut_goes_on(
    everything, plane, tmp_path, scratch, asked, folders
):
    failed = tmp_path / "failed"
    with on_dask("threads", scratch, workers=1) as executor:
        everything_on = {"executor": executor, "side": 64, "halo": 8}
        with pytest.raises(InputError, match=r"plane\.tif: RuntimeError: the device is gone"):
            everything(
                tmp_path / "out.tif", plane, finder=FailingFinder(asked, failed=failed, times=1000), **everything_on
            )
        for file in failed.iterdir():
            file.unlink()
        with pytest.raises(InputError, match="cut"):
            everything(tmp_path / "out.tif", plane, finder=CutFinder(asked, left=3, error=ValueError), **everything_on)
        result = everything(tmp_path / "out.tif", plane, **everything_on)
    assert result.resumed == 3
    assert len(list(asked.iterdir())) == 4


def test_progress_can_stop_a_run(plane, tmp_path, scratch, asked):
    [image] = plan_images([plane], PlanOptions(side=64, halo=8), tmp_path / "run")
    tasks = image.missing(FakeFinder(asked))

    def stop(_share):
        raise Cancelled("enough")

    with on_dask("threads", scratch, workers=1) as executor, pytest.raises(Cancelled, match="enough"):
        executor.run(tasks, stop)


def test_what_is_no_scheduler_is_refused(scratch):
    with pytest.raises(InputError, match="'dusk' is no scheduler"), on_dask("dusk", scratch):
        pass


def test_a_scheduler_that_does_not_answer_and_one_without_workers(scratch, monkeypatch, asked):
    from napari_sam.batch import dask as module

    monkeypatch.setattr(module, "_ANSWER", "200ms")
    with (
        pytest.raises(InputError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"),
        on_dask("tcp://127.0.0.1:9", scratch),
    ):
        pass
    with on_dask("threads", scratch, workers=1) as executor:
        executor._client.cluster.scale(0)
        executor._client.sync(executor._client.cluster._correct_state)
        with pytest.raises(InputError, match=r"has no workers. Start one: dask worker tcp://127"):
            executor.describe(FakeFinder(asked), scratch)


def test_a_worker_that_does_not_see_the_folder_says_so(plane, scratch, asked, tmp_path):
    words = r"does not see the folder .*missing.*share"
    [image] = plan_images([plane], PlanOptions(side=64, halo=8), tmp_path / "missing")
    tasks = image.missing(FakeFinder(asked))
    shutil.rmtree(tmp_path / "missing")
    with on_dask("threads", scratch, workers=1) as executor:
        with pytest.raises(InputError, match=words):
            executor.describe(FakeFinder(asked), tmp_path / "missing")
        with pytest.raises(InputError, match=words):
            executor.run(tasks, no_progress)
    assert not (tmp_path / "missing").exists() and not any(asked.iterdir())


def test_without_dask_the_error_names_the_extra(scratch, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"napari-sam-live\[cluster\]"), on_dask("threads", scratch):
        pass
