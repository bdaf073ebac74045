"""A record of every accepted object, so that nothing accepted is ever lost: one file a session, one JSON object a line.

Lines are only ever added, and each is on the disk before `Journal.add` returns, unless asked otherwise. Masks are
run-length encoded as COCO does it (column by column, starting with a run of background; uncompressed counts), of the
whole plane.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.model.store import home

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FORMAT = "napari-sam-journal"
VERSION = 1


def encode_mask(mask: NDArray[np.bool_], origin: tuple[int, int], shape: tuple[int, int]) -> dict[str, Any]:
    """Encode a mask of a plane as COCO's uncompressed RLE.

    Parameters
    ----------
    mask : numpy.ndarray, shape (h, w), bool
        The mask, cut to a box.
    origin : (int, int)
        Upper left pixel of the box on the plane, (y, x).
    shape : (int, int)
        Height and width of the plane.

    Returns
    -------
    dict
        ``{"size": [H, W], "counts": [...]}``: lengths of runs of background and object in turns, in column-major order.
    """
    height, width = shape
    # A row of background above and below ends every run within its column.
    padded = np.zeros((mask.shape[0] + 2, mask.shape[1]), dtype=np.int8)
    padded[1:-1] = mask
    change = np.diff(padded, axis=0).T
    column, start = np.nonzero(change == 1)
    _, stop = np.nonzero(change == -1)
    first = (origin[1] + column) * height + origin[0]
    begins, ends = first + start, first + stop
    # A run that reaches the bottom goes on at the top of the next column.
    joined = ends[:-1] == begins[1:]
    begins, ends = begins[np.r_[True, ~joined][: len(begins)]], ends[np.r_[~joined, True][: len(ends)]]
    edges = np.concatenate([[0], np.stack([begins, ends], axis=1).ravel(), [height * width]])
    counts = np.diff(edges)
    return {"size": [height, width], "counts": [int(c) for c in (counts if counts[-1] else counts[:-1])]}


def decode_mask(encoded: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Decode what `encode_mask` gave, to the whole plane, (H, W) bool.

    Raises
    ------
    InputError
        If the runs do not fill the plane.
    """
    height, width = encoded["size"]
    counts = np.asarray(encoded["counts"], dtype=np.int64)
    if counts.sum() != height * width or (counts < 0).any():
        raise InputError(f"This mask is damaged: its runs cover {counts.sum()} of {height * width} pixels.")
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape((width, height)).T


class Journal:
    """Adds records to a file of its own; the file is made with the first one.

    Parameters
    ----------
    folder : path-like, optional
        Where the file goes; by default "journal" in the user's folder of this plugin.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = Path(folder) if folder is not None else home() / "journal"
        self.path: Path | None = None
        """The file; None until there is something in it."""
        self._count = 0

    def add(self, kind: str, *, on_disk: bool = True, **fields: Any) -> int:
        """Add a record, and return its number.

        Parameters
        ----------
        kind : str
            What happened.
        on_disk : bool
            Wait until it is on the disk. Without that it outlives this process, but not a power failure; `sync` makes
            up for it, on any thread.
        **fields
            What is to be kept of it; anything that JSON can hold.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        record = {"number": self._count, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), "kind": kind}
        line = json.dumps(record | fields, separators=(",", ":"))
        with self._open() as stream:
            stream.write(line + "\n")
            stream.flush()
            if on_disk:
                os.fsync(stream.fileno())
        self._count += 1
        return self._count - 1

    def sync(self) -> None:
        """Wait until all records are on the disk; safe on any thread.

        Raises
        ------
        OSError
            If they cannot be brought there.
        """
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as stream:
                os.fsync(stream.fileno())

    def _open(self) -> Any:
        if self.path is not None:
            return self.path.open("a", encoding="utf-8")
        self._folder.mkdir(parents=True, exist_ok=True)
        stem = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
        for number in range(10_000):
            path = self._folder / f"{stem}-{number}.jsonl"
            try:
                stream = path.open("x", encoding="utf-8")
            except FileExistsError:
                continue
            stream.write(json.dumps({"format": FORMAT, "version": VERSION}) + "\n")
            self.path = path
            return stream
        raise FileExistsError(f"{self._folder} is full of journals of this second")


def read_journal(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read the records of a journal, oldest first.

    A last line that was cut short, by a power failure for instance, is left out.

    Raises
    ------
    InputError
        If the file is not a journal, is of a newer version, or is damaged before its end.
    """
    lines = Path(path).read_text(encoding="utf-8", errors="replace").split("\n")
    records: list[dict[str, Any]] = []
    for number, line in enumerate(lines):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == len(lines) - 1:  # what follows the last line break: nothing, or a line cut short
                break
            raise InputError(f"{path} is damaged in line {number + 1}: {error}.") from error
    if not records or not isinstance(records[0], dict) or records[0].get("format") != FORMAT:
        raise InputError(f"{path} is not a journal of accepted objects.")
    if records[0].get("version") != VERSION:
        raise InputError(f"{path} is of version {records[0].get('version')}; update napari-sam-live to read it.")
    return records[1:]
