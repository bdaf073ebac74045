"""The demo, as ``make demo`` runs it where there is no display: real events, and nuclei in the labels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile

ROOT = Path(__file__).parents[2]


def test_the_demo_drives_the_window_and_leaves_pictures_and_labels(tmp_path):
    run = subprocess.run(
        [sys.executable, ROOT / "scripts" / "demo.py", "--drive", "--folder", tmp_path],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    labels = tifffile.imread(tmp_path / "labels.tif")
    assert np.unique(labels).tolist() == [0, 1, 2, 3]
    pictures = sorted(tmp_path.glob("*.png"))
    assert len(pictures) >= 5
    assert all(str(picture) in run.stdout or picture.name in run.stdout for picture in pictures)


def test_objects_are_annotated_in_each_tempo_and_what_they_cost_is_told():
    run = subprocess.run(
        [sys.executable, ROOT / "scripts" / "annotate_timed.py", "--objects", "5"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    rows = {
        name: [float(number) for number in numbers] for name, *numbers in map(str.split, run.stdout.splitlines()[2:])
    }
    assert rows["careful"][0] == 2 and rows["turbo"][0] == 1
    assert min(row[2] for row in rows.values()) > 0.8
