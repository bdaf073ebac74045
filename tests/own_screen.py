"""A virtual screen for each process of a parallel run: windows take the keyboard, the mouse and the clipboard."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

# The screen ends when the other end of the pipe is closed: also when this process is killed.
_UNTIL_CLOSED = 'Xvfb "$@" 2>/dev/null & read -r _; kill $!'


def open_screen() -> subprocess.Popen[bytes] | None:
    """Start one and make it this process's display, where this is a process among several and Xvfb is there."""
    wanted = "PYTEST_XDIST_WORKER" in os.environ and sys.platform == "linux" and "DISPLAY" in os.environ
    if not wanted or shutil.which("Xvfb") is None:
        return None
    read, write = os.pipe()
    options = ["-displayfd", str(write), "-screen", "0", "1400x1000x24", "-nolisten", "tcp"]
    command = ["sh", "-c", _UNTIL_CLOSED, "sh", *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[write])
    os.close(write)
    with open(read, "rb") as told:
        number = told.readline().strip().decode()
    if number:  # else the screen that all share has to do
        os.environ["DISPLAY"] = f":{number}"
        os.environ.pop("WAYLAND_DISPLAY", None)
    return process


def close_screen(process: subprocess.Popen[bytes] | None) -> None:
    """End it."""
    if process is not None and process.stdin is not None:
        process.stdin.close()
        process.wait()
