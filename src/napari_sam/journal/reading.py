"""Reading a journal, past what is damaged in it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam.errors import InputError
from napari_sam.files import home
from napari_sam.journal.lines import FORMAT, VERSION, decode_line, is_checked

if TYPE_CHECKING:
    import os

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JournalRecords:
    """What a journal holds.

    Attributes
    ----------
    records : tuple of dict
        Oldest first.
    damaged : int
        Lines that could not be read; each was a record, or a piece of one.
    """

    records: tuple[dict[str, Any], ...]
    damaged: int


def journal_files(folder: str | os.PathLike[str] | None = None) -> list[Path]:
    """List the journals of a folder, by default the user's, oldest first."""
    place = Path(folder) if folder is not None else home() / "journal"
    # Names begin with the time, in UTC.
    return sorted(path for path in place.glob("*.jsonl") if path.is_file())


def read_journal(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read the records of a journal, oldest first; damaged lines are left out, with a warning in the log.

    The arguments and errors are those of `read_lines`.
    """
    found = read_lines(path)
    if found.damaged:
        _log.warning("%s: %d damaged lines were left out", path, found.damaged)
    return list(found.records)


def read_lines(path: str | os.PathLike[str]) -> JournalRecords:
    """Read a journal past damaged lines, and count them.

    Raises
    ------
    InputError
        If the file cannot be read, is not a journal, or is of a newer version.
    """
    try:
        if not Path(path).is_file():
            raise InputError(f"There is no journal {path}. `napari-sam journal list` shows those that there are.")
        # Bytes, not text: a damaged letter must cost its line, and not the file.
        lines = [line for line in Path(path).read_bytes().split(b"\n") if line]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    sound = [is_checked(line) for line in lines]
    # Journals of the first releases have no checksums; JSON alone tells there.
    read = [decode_line(line) if good or not any(sound) else None for line, good in zip(lines, sound, strict=True)]
    headers = [line for line in read if line is not None and "format" in line]
    records = tuple(line for line in read if line is not None and _is_record(line))
    if any(header["format"] != FORMAT for header in headers) or not (headers or records):
        raise InputError(f"{path} is not a journal of accepted objects.")
    if newer := [header.get("version") for header in headers if header.get("version") != VERSION]:
        raise InputError(f"{path} is of version {str(newer[0])[:20]}; update napari-sam-live to read it.")
    return JournalRecords(records, len(lines) - len(records) - len(headers))


def _is_record(line: dict[str, Any]) -> bool:
    return isinstance(line.get("number"), int) and isinstance(line.get("kind"), str) and "format" not in line
