"""`torchrun ... -m napari_sam train finetune`: stopped by Ctrl-C, and gone on with by one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
import torch

from napari_sam.checkpoints.importing import import_file
from napari_sam.training.finetune.leavings import REPORT
from napari_sam.training.loop import CHECKPOINT
from training.labelled_squares import png, squares
from training.tiny import write_weights

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C goes another way there")
def test_two_processes_stop_together_and_one_goes_on(run, tmp_path):
    torch.manual_seed(0)
    import_file(write_weights(tmp_path / "tiny.safetensors"), "tiny")
    images = tmp_path / "images"
    images.mkdir()
    for index, labels in enumerate((squares(), np.rot90(squares(), 1), squares()[::-1])):
        noise = np.random.default_rng(index).normal(60, 20, labels.shape)
        picture = np.clip(noise + 120 * (labels > 0), 0, 255).astype(np.uint8)
        (images / f"i{index}.png").write_bytes(png(picture))
        (images / f"i{index}_labels.png").write_bytes(png(np.ascontiguousarray(labels)))
    arguments = ["train", "finetune", str(images), "--model", "tiny", "-o", str(tmp_path / "run"), "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, *TORCHRUN, "-m", "napari_sam", *arguments, "--minutes", "60"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    said = []
    try:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if line.startswith("step "):
                process.send_signal(signal.SIGINT)  # to torchrun, which passes it on
                break
        said += process.communicate(timeout=600)[1].splitlines()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    words = " ".join(said)
    assert "run the same command again to go on" in words
    assert words.count("Learning") == 1, "the first process speaks for all"
    done = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)["step"]
    assert done > 0
    result = run(*arguments, "--minutes", 0.05)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run" / REPORT).read_text())["steps"] >= done
