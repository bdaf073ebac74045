"""One line of a journal of the releases before the database: a JSON object that ends with a checksum of itself.

A byte that changed on the disk would else give another label or another mask without a word.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import Any

FORMAT = "napari-sam-journal"
VERSION = 1

_CHECK = re.compile(rb',"crc":"([0-9a-f]{8})"\}$')


def encode_line(record: dict[str, Any]) -> bytes:
    """Write a record as a line, with its checksum and a line break.

    Raises
    ------
    TypeError
        If JSON does not hold it.
    """
    text = json.dumps(record, separators=(",", ":")).encode()
    # In place of the closing brace, so that a line is still one JSON object.
    return text[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(text)


def is_checked(line: bytes) -> bool:
    """Tell whether a line, without its line break, carries the right checksum."""
    found = _CHECK.search(line)
    return found is not None and int(found[1], 16) == zlib.crc32(line[: found.start()] + b"}")


def decode_line(line: bytes) -> dict[str, Any] | None:
    """Read a line, without its line break; None where it holds no JSON object."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return {key: value for key, value in record.items() if key != "crc"} if isinstance(record, dict) else None
