"""A program that tells how it goes as lines of JSON: in a process of its own, behind whatever else the machine does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_NICE = 10
"""Below the window and other programs, above what is done only when a machine is idle."""

GRACE_S = 10.0
"""Seconds that a process has to end by itself, once it was asked to."""

_QUIET = {"PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}


class JsonProcess:
    """Starts a program, and reads what it says.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    log : Path
        Gets what it writes on standard error.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._lock = threading.Lock()
        self._asked = False
        with log.open("wb") as errors:
            self._process: subprocess.Popen[str] = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, **_QUIET},
                **_apart(),
            )
        _give_way(self._process.pid)

    @property
    def code(self) -> int | None:
        """How it ended, as `subprocess.Popen.returncode`; None while it runs."""
        return self._process.poll()

    def lines(self) -> Iterator[dict[str, Any]]:
        """Read the objects that it writes, one a line, until it closes its output; what is none is passed over."""
        if self._process.stdout is None:
            return
        for line in self._process.stdout:
            with suppress(ValueError, RecursionError):
                if isinstance(said := json.loads(line), dict):
                    yield said

    def stop(self) -> None:
        """Ask it to end, and kill it if it does not; returns at once. Safe from any thread, and more than once."""
        with self._lock:
            if self._asked or self.code is not None:
                return
            self._asked = True
        with suppress(OSError):
            # On Windows this ends it at once: it goes on from the checkpoint of half a minute ago.
            self._process.terminate()
        with suppress(RuntimeError):  # while the interpreter ends, none can be had: `close` waits, and kills
            threading.Thread(target=self._end, name="napari-sam teaching end").start()

    def close(self) -> None:
        """Wait until it has ended, and give everything back; it has closed its output, or is not listened to."""
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._end()

    def _end(self) -> None:
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            _kill(self._process)
            self._process.wait()


def _apart() -> dict[str, Any]:
    """Options that part a process from this one: Ctrl-C in a terminal is not its, and it opens no window."""
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        return {"creationflags": flags | subprocess.BELOW_NORMAL_PRIORITY_CLASS}
    return {"start_new_session": True}


def _give_way(pid: int) -> None:
    """Let other programs go first; not before the start, as what runs there must not be Python."""
    if sys.platform != "win32":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, _NICE)


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a process, and what it started."""
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
