"""The real command, killed in the middle of teaching: it goes on from its checkpoint, and nothing else was touched."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import impatient_program
import numpy as np
import pytest
import torch
from impatient_program import STEPS
from labelled_squares import png, squares
from tiny import log, write_weights

from napari_sam.checkpoints import weights
from napari_sam.checkpoints.importing import import_file
from napari_sam.files import home as home_folder
from napari_sam.journal import Journal, list_journals, read_journal
from napari_sam.training.finetune.leavings import REPORT
from napari_sam.training.loop import CHECKPOINT, LOG

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="no signal 9"),
]
PATIENCE = 300.0  # seconds: a safety net
KILLED_AT = 3
MANY = 5000  # steps of a run that is to end long before


def images(folder):
    folder.mkdir()
    for index in range(3):
        labels = np.rot90(squares(), index)
        noise = np.random.default_rng(index).normal(60, 20, labels.shape)
        (folder / f"i{index}.png").write_bytes(png(np.clip(noise + 120 * (labels > 0), 0, 255).astype(np.uint8)))
        (folder / f"i{index}_labels.png").write_bytes(png(np.ascontiguousarray(labels)))
    return folder


def contents(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_killed_in_the_middle_it_goes_on_from_the_checkpoint(tmp_path, home):
    torch.manual_seed(0)
    import_file(write_weights(tmp_path / "tiny.safetensors"), "tiny")
    journal = Journal(home_folder() / "journal")
    journal.add("accepted", label=7)
    journal.close()
    run = tmp_path / "run"
    command = [sys.executable, impatient_program.__file__, "train", "finetune", str(images(tmp_path / "images"))]
    command += ["--model", "tiny", "-o", str(run), "--name", "taught", "--device", "cpu", "--keep-worse"]
    before = contents(home)
    assert any("journal" in name for name in before)

    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    end = time.monotonic() + PATIENCE
    try:
        # A line of the log comes before its checkpoint: there is one of the step before.
        while not (run / LOG).exists() or len(log_lines(run)) < KILLED_AT:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    done = torch.load(run / CHECKPOINT, weights_only=True)["step"]
    assert KILLED_AT - 1 <= done < STEPS
    assert not (run / REPORT).exists()
    # Model list, journal, and whatever else a person has.
    assert contents(home) == before

    lines = len(log_lines(run))
    again = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert again.returncode == 0, again.stderr
    assert [line["step"] for line in log(run)[lines:]] == list(range(done + 1, STEPS + 1))
    assert json.loads((run / REPORT).read_text())["steps"] == STEPS
    assert {row.name for row in weights.imported()} == {"tiny", "taught"}
    # Nothing was added but the taught model.
    after = contents(home)
    assert {name: after[name] for name in before} == before
    assert all("taught" in name for name in after.keys() - before.keys())
    (path,) = {one.path for one in list_journals(home_folder() / "journal")}
    assert [record["label"] for record in read_journal(path)] == [7]


def test_where_nobody_listens_any_more_it_saves_and_ends(tmp_path):
    torch.manual_seed(0)
    import_file(write_weights(tmp_path / "tiny.safetensors"), "tiny")
    command = [sys.executable, impatient_program.__file__, "train", "finetune", str(images(tmp_path / "images"))]
    command += ["--model", "tiny", "-o", str(tmp_path / "run"), "--device", "cpu", "--json"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # No checkpoint by the clock.
        env=os.environ | {"SAVE_EVERY": "1e9", "STEPS": str(MANY)},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if json.loads(line).get("words", "").startswith("step "):
                break
        assert not (tmp_path / "run" / CHECKPOINT).exists()
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(PATIENCE) == 130, said
    assert "Traceback" not in said
    assert 1 <= torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)["step"] < MANY
    assert not (tmp_path / "run" / REPORT).exists()


def log_lines(folder):
    """Whole lines."""
    return (folder / LOG).read_text().split("\n")[:-1]
