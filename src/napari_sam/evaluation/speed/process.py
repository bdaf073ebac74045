"""A contender's process, seen from outside: a line of JSON in, a line of JSON out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class ContenderError(InputError):
    """A contender died, or could not do what it was asked; the message says why."""


class ContenderProcess:
    """A process that answers one line of JSON after the other.

    Parameters
    ----------
    command : list of str
        The program.
    name : str
        What to call it in messages.
    threads : int, optional
        Of numerical libraries; None leaves their own choice.
    """

    def __init__(self, command: list[str], name: str, threads: int | None = None) -> None:
        self.name = name
        self.ended = False
        """Whether it was found dead."""
        # Closed by `close`; a pipe that nobody reads would stop the process once it is full.
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        variables = {} if threads is None else dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env=os.environ | variables,
        )

    def ask(self, task: str, **request: Any) -> dict[str, Any]:
        """Have a task done, and return the answer.

        Raises
        ------
        ContenderError
            If the process died, or answered that it could not.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"task": task, **request}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            # It ended before it read the question.
            line = ""
        if not line:
            self.ended = True
            raise ContenderError(f"{self.name} ended at {task!r}: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ContenderError(f"{self.name} failed at {task!r}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                pass  # what was not read is lost with the process
        self._errors.close()

    def __enter__(self) -> ContenderProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        reason = f"signal {-code}, often for want of memory" if code < 0 else f"exit code {code}"
        return f"{reason}; {lines[-1]}" if lines else f"{reason}."


def start_contender(name: str, folder: Path, threads: int | None, device: str) -> ContenderProcess:
    """Start the program of a contender, of the machine or of the inputs."""
    command = [sys.executable, "-m", "napari_sam.evaluation.speed.contender", name]
    command += ["--folder", str(folder), "--device", device, "--since", str(time.time())]
    if threads is not None:
        command += ["--threads", str(threads)]
    return ContenderProcess(command, name, threads)
