"""The loop in a real window: three images annotated by clicks teach the model, and more is found on the next."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
def test_a_minute_of_teaching_finds_more_on_the_next_image(tmp_path):
    run = subprocess.run(
        [sys.executable, ROOT / "scripts" / "teaching_loop.py", "--folder", tmp_path],
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["after"] > scores["before"]
    assert len(list(tmp_path.glob("*.png"))) == 4
