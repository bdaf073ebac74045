from __future__ import annotations

import subprocess
import sys


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)


def test_ctrl_c_while_the_command_is_loaded_is_one_word():
    ended = run(
        """
import sys

class Impatient:
    def find_spec(self, name, path, target=None):
        if name == "typer":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Impatient())
from napari_sam.__main__ import main
main()
"""
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "Stopped.\n")


def test_the_package_is_a_command():
    ended = subprocess.run(
        [sys.executable, "-m", "napari_sam", "--version"], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("napari-sam-live ")
