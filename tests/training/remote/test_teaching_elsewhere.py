"""Teaching on a worker of a real Dask scheduler: what is sent, how it goes, what comes home, and what is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled_squares import squares
from tiny import write_weights

import fake_finetune
from dask_cluster import cluster
from napari_sam import load_predictor
from napari_sam.checkpoints.adapters.file import AdapterOrigin
from napari_sam.checkpoints.checksums import file_digests
from napari_sam.checkpoints.importing import import_file
from napari_sam.checkpoints.receipts import weights_folder
from napari_sam.errors import Cancelled, DeviceError, InputError, NapariSamError
from napari_sam.model.text_projection import ClipSpace
from napari_sam.training.finetune.leavings import ADAPTER_FILE, REPORT
from napari_sam.training.loop import LOG
from napari_sam.training.material import TaughtPlane, save_material
from napari_sam.training.remote import machine, sending
from napari_sam.training.remote.machine import FilePart, TeachingOrder
from napari_sam.training.remote.sending import RemoteLesson, teach_elsewhere
from tiny_clip import clip_folder  # noqa: F401  # fixture

MINUTE = 60.0


def plane(seed):
    rng = np.random.default_rng(seed)
    labels = np.rot90(squares(), seed).copy()
    image = np.clip(rng.normal(60, 20, labels.shape) + 120 * (labels > 0), 0, 255).astype(np.uint8)
    return TaughtPlane(f"i{seed}", f"g{seed}", np.repeat(image[..., None], 3, 2), labels, complete=True)


@pytest.fixture
def lesson(tmp_path):
    """Three planes, and a tiny model that is imported here."""
    torch.manual_seed(0)
    path = write_weights(tmp_path / "tiny.safetensors")
    row = import_file(path, "tiny")
    save_material([plane(seed) for seed in range(3)], tmp_path / "material")
    origin = AdapterOrigin(file_digests(path, ["sha256"])["sha256"], row.name, "compact")
    return RemoteLesson(tmp_path / "material", origin, path, 4, ("--minutes", "0.05", "--keep-worse"))


@pytest.fixture
def worker(tmp_path):
    """One worker in a thread of this process, with the home of this process."""
    with cluster(tmp_path / "worker", processes=False, workers=1) as started:
        yield started


@pytest.fixture
def behave(monkeypatch):
    """Let the program there be one that tells what a test wants to hear."""

    def choose(behaviour):
        monkeypatch.setattr(machine, "PROGRAM", (sys.executable, fake_finetune.__file__, behaviour))

    return choose


def there(home, lesson):
    return home / "taught-for-others" / lesson.key


def pid_of(folder):
    return json.loads((folder / "process.json").read_text())["pid"]


def ended(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until(true):
    end = time.monotonic() + MINUTE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


class Stopper:
    """Raises `Cancelled` once words have been told."""

    def __init__(self, words):
        self.words, self.heard, self.pressed = words, [], False

    def tell(self, words):
        self.heard.append(words)
        self.pressed = self.pressed or words.startswith(self.words)

    def progress(self, _share):
        if self.pressed:
            raise Cancelled


@pytest.mark.slow
def test_a_real_run_there_comes_home(worker, lesson, tmp_path, home):
    told, shares = [], []
    report = teach_elsewhere(
        worker.scheduler_address, lesson, tmp_path / "run", progress=shares.append, tell=told.append
    )
    assert report.kept
    assert report.base == "tiny"
    assert report.steps > 0
    assert json.loads((tmp_path / "run" / REPORT).read_text()) == report.to_dict()
    assert (tmp_path / "run" / "before-after-1.png").read_bytes()[:4] == b"\x89PNG"
    row = import_file(tmp_path / "run" / ADAPTER_FILE, "from-there")
    assert row.use_for.startswith("Taught to tiny with 18 objects on 2 planes")
    assert told[0].startswith("Teaching on ")
    assert {"Learning", "Measuring what was learnt"} <= set(told)
    assert max(shares) == pytest.approx(1, abs=0.05)
    # Once more: it is at its end, and nobody is asked.
    assert teach_elsewhere("tcp://127.0.0.1:1", lesson, tmp_path / "run") == report
    assert not there(home, lesson).exists(), "what is at its end is not kept on the machine of others"


@pytest.mark.long
def test_words_are_taught_there(worker, lesson, tmp_path, clip_folder):  # noqa: F811
    shutil.copytree(clip_folder, weights_folder() / "tiny-clip")
    words = replace(lesson, clip="tiny-clip")
    assert words.key != lesson.key
    report = teach_elsewhere(worker.scheduler_address, words, tmp_path / "run")
    assert "words" in report.after
    row = import_file(tmp_path / "run" / ADAPTER_FILE, "knows-words")
    taught = load_predictor(row.name, device="cpu")
    assert taught.text_space == ClipSpace("tiny-clip", "", 16)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no signal 9")
def test_a_model_is_sent_and_a_lost_worker_does_not_end_the_run(lesson, tmp_path):
    other = tmp_path / "home-of-the-other"
    folder = there(other, lesson)
    lesson = replace(lesson, options=("--minutes", "0.3", "--keep-worse"))
    told = []

    def tell(words):
        told.append(words)
        if words.startswith("step ") and not any("was lost" in one for one in told):
            for pid in {int(one) for one in workers}:
                os.kill(pid, signal.SIGKILL)

    environment = {"NAPARI_SAM_HOME": str(other)}
    with cluster(tmp_path / "worker", processes=True, workers=1, env=environment) as started:
        from distributed import Client

        with Client(started, set_as_default=False) as client:
            workers = list(client.run(os.getpid).values())
        report = teach_elsewhere(started.scheduler_address, lesson, tmp_path / "run", tell=tell)
    assert any(words.startswith("Sending tiny to ") for words in told)
    assert any(words.startswith("Sending labels to ") for words in told)
    assert any("was lost" in words for words in told)
    # It was not begun anew, and nothing was sent again.
    assert sum(words.startswith("Sending tiny") for words in told) == 1
    assert report.kept
    assert report.base == "tiny"
    assert import_file(tmp_path / "run" / ADAPTER_FILE, "from-there")
    assert not folder.exists()


def test_cancel_stops_the_run_there_and_it_goes_on(worker, lesson, tmp_path, home, behave):
    behave("hangs")
    stopper = Stopper("step 1")
    with pytest.raises(Cancelled):
        teach_elsewhere(
            worker.scheduler_address, lesson, tmp_path / "run", progress=stopper.progress, tell=stopper.tell
        )
    assert ended(pid_of(there(home, lesson)))
    assert not (tmp_path / "run" / REPORT).exists()
    report = teach_elsewhere(worker.scheduler_address, lesson, tmp_path / "run")
    assert report.steps == 7
    assert (tmp_path / "run" / REPORT).exists()


def test_a_run_is_listened_to_again_where_this_computer_was_switched_off(
    worker, lesson, tmp_path, home, behave, monkeypatch
):
    behave("hangs")

    class SwitchedOffError(Exception):
        pass

    def tell(words):
        if words.startswith("step 1"):
            raise SwitchedOffError

    with pytest.raises(SwitchedOffError):
        teach_elsewhere(worker.scheduler_address, lesson, tmp_path / "run", tell=tell)
    pid = pid_of(there(home, lesson))
    assert not ended(pid)
    # As a worker that was started anew: it knows the process by its number alone.
    own = machine._processes.pop(lesson.key)
    stopper = Stopper("step 1")
    with pytest.raises(Cancelled):
        teach_elsewhere(
            worker.scheduler_address, lesson, tmp_path / "again", progress=stopper.progress, tell=stopper.tell
        )
    assert own.wait(MINUTE) is not None
    assert stopper.heard[-1].startswith("step 1")
    assert pid_of(there(home, lesson)) == pid, "the same process, not a second one"


def test_what_is_not_kept_stays_there_so_that_it_can_be(worker, lesson, tmp_path, home, behave):
    behave("worse")
    lesson = replace(lesson, options=())
    assert not teach_elsewhere(worker.scheduler_address, lesson, tmp_path / "run").kept
    assert (there(home, lesson) / "run" / "checkpoint.pt").exists()
    kept = replace(lesson, options=("--keep-worse",))
    assert kept.key == lesson.key
    assert teach_elsewhere(worker.scheduler_address, kept, tmp_path / "run").kept


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("error", r": There are fewer than 3 objects\. Label some more\."),
        ("crash", r"broke off: RuntimeError: the moon is full\. Give the same command again"),
        ("silent", r"broke off\. Give the same command again"),
    ],
)
def test_a_failure_there_is_told_in_words(worker, lesson, tmp_path, behave, behaviour, words):
    behave(behaviour)
    with pytest.raises(NapariSamError, match=words):
        teach_elsewhere(worker.scheduler_address, lesson, tmp_path / "run")


def test_what_is_no_answer_is_passed_over(worker, lesson, tmp_path, behave):
    behave("garbage")
    assert teach_elsewhere(worker.scheduler_address, lesson, tmp_path / "run").steps == 7


def test_a_scheduler_that_is_lost_says_what_to_do(lesson, tmp_path, home, behave, monkeypatch):
    behave("hangs")
    monkeypatch.setattr(sending, "ANSWER_S", 0.5)
    with cluster(tmp_path / "worker", processes=False, workers=1) as started:

        def tell(words):
            if words.startswith("step 1"):
                started.close()

        with pytest.raises(DeviceError, match=r"the teaching there goes on without this computer\. Give the same"):
            teach_elsewhere(started.scheduler_address, lesson, tmp_path / "run", tell=tell)
    assert not ended(pid_of(there(home, lesson)))
    machine.stop(lesson.key)
    machine._processes[lesson.key].wait(MINUTE)


def test_nobody_at_an_address(lesson, tmp_path):
    with pytest.raises(InputError, match="No Dask scheduler answers"):
        teach_elsewhere("tcp://127.0.0.1:1", lesson, tmp_path / "run")


def test_another_version_is_refused(worker, lesson, tmp_path, monkeypatch):
    monkeypatch.setattr(sending, "code_digest", lambda: "other")
    with pytest.raises(DeviceError, match="another version of napari-sam-live"):
        teach_elsewhere(worker.scheduler_address, lesson, tmp_path / "run")


def test_a_folder_of_another_run_is_refused(worker, lesson, tmp_path, behave):
    behave("better")
    teach_elsewhere(worker.scheduler_address, lesson, tmp_path / "run")
    with pytest.raises(InputError, match="another rank"):
        teach_elsewhere(worker.scheduler_address, replace(lesson, rank=3), tmp_path / "run")
    here = tmp_path / "here"
    here.mkdir()
    (here / "run.json").write_text("{}")
    with pytest.raises(InputError, match="one of another device"):
        teach_elsewhere(worker.scheduler_address, lesson, here)


def test_names_do_not_lead_out_of_the_folder(home, lesson):
    for wrong in ("..", "../../x", "a/b", ""):
        with pytest.raises(InputError, match="no name"):
            machine.take(FilePart(lesson.key, wrong, 0, b"x", 1))
        with pytest.raises(InputError, match="no name"):
            machine.give(FilePart(lesson.key, wrong, 0))
        with pytest.raises(InputError, match="no name"):
            machine.forget(wrong)
    assert not home.exists() or not list(home.rglob("x"))


def test_files_arrive_in_pieces_and_are_asked_for_once(home, lesson):
    key, name = lesson.key, "plane-1.npz"
    assert machine.lacking((key, {name: 4})) == [name]
    machine.take(FilePart(key, name, 0, b"ab", 4))
    assert machine.lacking((key, {name: 4})) == [name]
    with pytest.raises(InputError, match="did not arrive"):
        machine.take(FilePart(key, name, 3, b"d", 4))
    machine.take(FilePart(key, name, 2, b"cd", 4))
    assert machine.lacking((key, {name: 4})) == []
    assert (there(home, lesson) / "material" / name).read_bytes() == b"abcd"


def test_what_nobody_came_back_for_is_deleted(home, lesson):
    old, new = (home / "taught-for-others" / (letter * 32) for letter in "ab")
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "output.jsonl").touch()
    long_ago = time.time() - 40 * 86400
    for path in (old / "output.jsonl", old):
        os.utime(path, (long_ago, long_ago))
    machine.look(lesson.key)
    assert not old.exists()
    assert new.exists()


def test_dasks_limit_of_threads_does_not_hold_there(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    environment = machine._environment()
    assert "OMP_NUM_THREADS" not in environment
    assert environment["MKL_NUM_THREADS"] == "3"
    assert Path(machine.PROGRAM[0]) == Path(sys.executable)
    assert TeachingOrder("k", "m", ()).options == ()
    assert LOG in sending._FETCHED.pattern.replace("\\", "")
