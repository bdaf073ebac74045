"""How long the journal takes, and how large it is: the database, beside the files of JSON lines of before.

python benchmarks/journal.py [--objects 100000]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_sam.journal import Journal, encode_mask, list_journals, read_lines
from napari_sam.journal.catalog import find_targets, read_layer, summarize_layer
from napari_sam.journal.lines import FORMAT, VERSION, encode_line
from napari_sam.journal.restoring import restore

_SIDE, _DEPTH, _STEP = 1024, 100, 32
_IDENTITY = {"source": "/data/cells.tif", "image": "image", "layer": "layer"}


def record(number: int) -> dict[str, object]:
    """Describe the accept of a disc of 24 pixels, as a session does."""
    y, x = np.ogrid[:24, :24]
    disc = (y - 12) ** 2 + (x - 12) ** 2 <= 110
    plane, place = divmod(number, (_SIDE // _STEP) ** 2)
    row, column = (at * _STEP for at in divmod(place, _SIDE // _STEP))
    prompts = {
        "format": "napari-sam-prompts",
        "version": 1,
        "prompts": [{"type": "point", "position": [row + 12.0, column + 12.0], "positive": True}],
    }
    rounds = [{"prompts": prompts, "choice": 0, "region": "object", "visible": [[0.0, 0.0], [1023.0, 1023.0]]}]
    return {
        "image": "cells",
        "identity": _IDENTITY,
        "shape": [_DEPTH, _SIDE, _SIDE],
        "target": "SAM labels",
        "calibration": {"axes": ["z", "y", "x"], "scale": [1.0, 1.0, 1.0], "units": ["pixel"] * 3},
        "plane": {"axes": [1, 2], "index": [plane % _DEPTH, None, None], "digest": "ab" * 16},
        "prompts": prompts,
        "label": number + 1,
        "box": [row, column, row + 24, column + 24],
        "mask": encode_mask(disc, (row, column), (_SIDE, _SIDE)),
        "model": "bundled",
        "score": 0.9,
        "asked": {"weights": "cd" * 16, "contrast_limits": [0.0, 255.0], "gamma": 1.0, "rounds": rounds},
    }


def timed(what: str, act: object) -> object:
    """Do something, and print how long it took."""
    start, busy = time.perf_counter(), time.process_time()
    found = act()  # type: ignore[operator]  # any callable
    print(f"{what:46} {time.perf_counter() - start:9.3f} s, {time.process_time() - busy:9.3f} s of the processor")
    return found


def appended(journal: Journal, numbers: range, *, on_disk: bool) -> None:
    """Append records, and print how long one takes."""
    took = []
    for number in numbers:
        fields = record(number)
        start = time.perf_counter()
        journal.add("accepted", on_disk=on_disk, **fields)
        took.append((time.perf_counter() - start) * 1e3)
        if number % 64 == 0 and journal.is_untidy:
            journal.tidy()  # a session does this on another thread
    how = "on the disk" if on_disk else "not waiting for the disk"
    print(f"append, {how}: median {np.median(took):.2f} ms, 99 % {np.percentile(took, 99):.2f} ms")


def main() -> None:
    """Print all times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=100_000)
    count = parser.parse_args().objects
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        journal = Journal(folder)
        journal.note_pixels("image", "pixels")
        appended(journal, range(count), on_disk=False)
        appended(journal, range(count, count + 200), on_disk=True)
        journal.close()
        path = folder / "journal.sqlite"
        print(f"database: {path.stat().st_size / 1e6:.0f} MB")
        timed("list all sessions", lambda: list_journals(folder))
        shape = [_DEPTH, _SIDE, _SIDE]
        [target] = timed("find the newest layer of an image", lambda: find_targets(path, "pixels", "", shape))  # type: ignore[misc]
        timed("count its objects, read the newest", lambda: summarize_layer(path, target.layer_id))
        entries, _damaged = timed("read all of its records", lambda: read_layer(path, target.layer_id))  # type: ignore[misc]
        timed("restore", lambda: restore(entries, path))
        old = folder / "old.jsonl"
        with old.open("wb", buffering=0) as file:
            file.write(encode_line({"format": FORMAT, "version": VERSION}))
            took = []
            for number in range(count):
                line = encode_line({"number": number, "time": "", "kind": "accepted", **record(number)})
                start = time.perf_counter()
                file.write(line)
                if number % max(1, count // 200) == 0:
                    os.fsync(file.fileno())
                    took.append((time.perf_counter() - start) * 1e3)
        print(f"JSON lines: append, on the disk: median {np.median(took):.2f} ms; {old.stat().st_size / 1e6:.0f} MB")
        timed("JSON lines: read, as list and search did", lambda: read_lines(old))


if __name__ == "__main__":
    main()
