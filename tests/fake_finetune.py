"""In the place of `napari-sam train finetune`: tells, in lines of JSON, what a test wants to hear.

Run as a program: ``python fake_finetune.py BEHAVIOUR --material ... -o FOLDER --name NAME ...``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

BEHAVIOURS = ("better", "worse", "hangs", "stubborn", "garbage", "error", "crash", "silent")

STEP = "Learning: step 1, 0.1 of 5.0 minutes"
"""How the words of its first step are shown."""
GARBAGE = b'\xff\xfe no JSON\n[1, 2]\n{"words": 3, "fraction": "much"}\n{"report": 5}\nnull\n{\n'


def behave(teaching: Any, behaviour: str) -> None:
    """Let the program of some teaching be this one, in one of its ways."""
    assert behaviour in BEHAVIOURS
    teaching.program = (sys.executable, __file__, behaviour)


def report(*, kept: bool, better: bool) -> dict[str, object]:
    """Give what the command reports at its end."""
    before = {"objects": 9.0, "1 click": 0.5, "3 clicks": 0.7, "box": 0.8, "AP@50": 0.4, "AP": 0.3}
    after = {name: value + (0.1 if better and name != "objects" else 0.0) for name, value in before.items()}
    return {
        "base": "bundled",
        "minutes": 0.1,
        "steps": 7,
        "planes": 1,
        "objects": 9,
        "split": "It learns from a part, and is measured on another.",
        "strength": 1.0,
        "before": before,
        "after": after,
        "samples_before": before,
        "samples_after": before,
        "better": better,
        "kept": kept,
        "verdict": f"{'Better' if better else 'Not better'} on images that it has not seen: AP@50 0.400 -> 0.500.",
    }


def say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def main() -> int:
    behaviour, folder = sys.argv[1], Path(option("-o"))
    about = {"arguments": sys.argv[2:], "pid": os.getpid()}
    if os.name != "nt":
        about |= {"nice": os.getpriority(os.PRIO_PROCESS, 0), "session": os.getsid(0)}

    def stopped(_number: int, _frame: object) -> None:
        if behaviour != "stubborn":
            say(stopped="Stopped.")
            os._exit(1)

    signal.signal(signal.SIGTERM, stopped)
    say(words="Learning")
    say(fraction=0.25)
    going_on = (folder / "checkpoint.pt").exists()
    (folder / "checkpoint.pt").write_bytes(b"learnt")
    (folder / "about.json").write_text(json.dumps(about))
    if behaviour in ("hangs", "stubborn") and not going_on:
        say(words="step 1, 0.1 of 5.0 minutes, loss 0.50", fraction=0.5)
        threading.Event().wait(600)
    if behaviour == "garbage":
        sys.stdout.buffer.write(GARBAGE)
        say(fraction=7)
    if behaviour == "error":
        say(error="There are fewer than 3 objects. Label some more.")
        return 1
    if behaviour == "crash":
        sys.stderr.write("Traceback\nRuntimeError: the moon is full.\n")
        return 3
    if behaviour == "silent":
        return 0
    kept = behaviour != "worse" or "--keep-worse" in sys.argv
    found = report(kept=kept, better=behaviour != "worse")
    (folder / "report.json").write_text(json.dumps(found))
    say(report=found, name=option("--name") if kept and "--name" in sys.argv else None)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
