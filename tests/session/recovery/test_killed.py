"""A process that is killed at any moment: all that was accepted is there, for the command line and the next session."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from typer.testing import CliRunner

from napari_sam.cli import app

COUNT = 200
SHAPE = (300, 400)
CENTRES = [(10 + 20 * row, 10 + 20 * column) for row in range(10) for column in range(20)]

CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from napari.components import ViewerModel
from fake_engine import FakeEngine
from test_killed import CENTRES, scene
from napari_sam.session import Session
viewer = ViewerModel()
viewer.add_image(scene(), contrast_limits=(0, 255), name="cells")
session = Session(viewer, engine_factory=lambda model, device, progress: FakeEngine(model, device))
session.prefetch = False
session.wait(300)
for number, centre in enumerate(CENTRES, 1):
    session.points.add(centre)
    session.wait(300)
    session.accept()
    print(number, flush=True)
"""


def scene():
    """Bright discs of radius 6, which the fake engine finds as they are."""
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    image = np.zeros(SHAPE, np.uint8)
    for cy, cx in CENTRES:
        image[(y - cy) ** 2 + (x - cx) ** 2 <= 36] = 200
    return image


def expected(count):
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    labels = np.zeros(SHAPE, int)
    for label, (cy, cx) in enumerate(CENTRES[:count], 1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= 36] = label
    return labels


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("seed", range(3))
def test_every_accept_that_returned_is_restored(tmp_path, home, open_session, seed):
    rng = random.Random(seed)
    tests = Path(__file__).parents[2]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
    }
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tests)], stdout=subprocess.PIPE, text=True, env=environment
    ) as child:
        until = rng.randrange(1, COUNT)
        accepted = 0
        for line in child.stdout:
            accepted = int(line)
            if accepted == until:
                break
        time.sleep(rng.uniform(0, 0.03))  # not a wait: the moment is to be any
        os.kill(child.pid, signal.SIGKILL)
        rest = [int(line) for line in child.stdout if line.endswith("\n")]
        accepted = max([accepted, *rest])
    assert accepted >= until
    out = tmp_path / "labels.tif"
    result = CliRunner().invoke(app, ["journal", "restore", "-o", str(out)])
    assert result.exit_code == 0, result.output
    restored = tifffile.imread(out)
    count = int(restored.max())
    # One may have been on its way: it is there as a whole, or not at all.
    assert count in (accepted, accepted + 1)
    assert np.array_equal(restored, expected(count))
    viewer = ViewerModel()
    viewer.add_image(scene(), contrast_limits=(0, 255), name="cells")
    session = open_session(viewer)
    session.wait(300)
    assert session.state.recovery.offer.startswith(f"{count} object")
    session.recovery.restore()
    session.wait(300)
    assert np.array_equal(session.target.data, expected(count))
