"""Holds workers while they encode, so that a test can do something meanwhile."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from napari_sam.remote import worker

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 60.0  # seconds: a safety net


def hold(folder: Path, plain=worker.encode_plane) -> None:
    """Have this process write down that it encodes, report a half, and wait for a gate, a file, before it goes on."""

    def encode_plane(model, plane, frame, progress):
        progress(0.5)
        (folder / str(os.getpid())).touch()
        end = time.monotonic() + PATIENCE
        while not (folder / "gate").exists() and time.monotonic() < end:
            time.sleep(0.01)
        return plain(model, plane, frame, progress)

    worker.encode_plane = encode_plane


def wait_for_one(folder: Path) -> int:
    """Return the process that encodes."""
    end = time.monotonic() + PATIENCE
    while not (found := [one for one in folder.iterdir() if one.name != "gate"]) and time.monotonic() < end:
        time.sleep(0.01)
    return int(found[0].name)
