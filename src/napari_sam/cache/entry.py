"""One embedding in one file: safetensors, with what it is and a checksum in its metadata.

Whatever happened to a file, cut, flipped bits, another name, an older layout, is noticed when it is read.

Files are read and written here, not by the library: it holds the interpreter's lock while it copies 50 MB, which stops
a window for 80 ms, and a process that is killed in its ``save_file`` leaves files with names of its own behind.
"""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from napari_sam.geometry import Frame
from napari_sam.packed import PackedArray, PackedEmbedding

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import BufferedReader
    from pathlib import Path

    from numpy.typing import NDArray

VERSION = "1"
"""Layout of the files; raise it with every change of what is written below."""

_LONGEST_HEADER = 1 << 20  # bytes; what claims to be longer is damaged
_CODES = {"float16": "F16", "float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64", "uint8": "U8"}
_DTYPES = {code: np.dtype(name) for name, code in _CODES.items()}


class DamagedEntry(Exception):
    """A file does not hold the embedding that its name promises; the message says why."""


def largest_size(packed: PackedEmbedding) -> int:
    """Bytes that the file of an embedding has at most."""
    return packed.nbytes + 1024 + 256 * len(packed.arrays)


def write_entry(path: Path, packed: PackedEmbedding) -> None:
    """Write an embedding to a file.

    Raises
    ------
    OSError
        If the disk is full, say, or the folder cannot be written to.
    """
    frame = packed.frame
    about = json.dumps(
        {
            "key": packed.key,
            "weights": packed.weights,
            "frame": [frame.plane, frame.content, frame.canvas, frame.anchor],
            "arrays": [[array.dtype, array.order] for array in packed.arrays],
        }
    )
    values = [np.ascontiguousarray(array.values) for array in packed.arrays]
    metadata = {"version": VERSION, "about": about, "checksum": _checksum(about, values)}
    header: dict[str, Any] = {"__metadata__": metadata}
    start = 0
    for number, value in enumerate(values):
        span = [start, start + value.nbytes]
        header[str(number)] = {"dtype": _CODES[value.dtype.name], "shape": value.shape, "data_offsets": span}
        start += value.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that values are aligned
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for value in values:
            file.write(_bytes(value))


def read_entry(path: Path, key: str) -> PackedEmbedding:
    """Read the embedding `key` from a file.

    Raises
    ------
    DamagedEntry
        If the file does not hold it, whole and unchanged.
    OSError
        If there is no such file, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            header, size = _read_header(file)
            metadata = header.pop("__metadata__")
            if metadata["version"] != VERSION:
                raise DamagedEntry(f"it has layout {metadata['version']}, not {VERSION}")
            values = _read_values(file, [header[str(number)] for number in range(len(header))], size)
        if _checksum(metadata["about"], values) != metadata["checksum"]:
            raise DamagedEntry("its checksum differs")
        return _embedding(json.loads(metadata["about"]), values, key)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedEntry("it is cut, or no embedding at all") from error


def _read_header(file: BufferedReader) -> tuple[dict[str, Any], int]:
    """Read the header, and tell how many bytes follow it."""
    left = os.fstat(file.fileno()).st_size - 8
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= min(left, _LONGEST_HEADER):
        raise DamagedEntry("it is cut, or no embedding at all")
    return json.loads(file.read(length)), left - length


def _read_values(file: BufferedReader, entries: list[dict[str, Any]], size: int) -> list[NDArray[Any]]:
    kinds = [(_DTYPES[entry["dtype"]], tuple(entry["shape"])) for entry in entries]
    # Compared before memory is taken: a damaged header may ask for any amount.
    if sum(dtype.itemsize * math.prod(shape) for dtype, shape in kinds) != size:
        raise DamagedEntry("it is cut, or longer than it should be")
    values: list[NDArray[Any]] = [np.empty(shape, dtype) for dtype, shape in kinds]
    for value in values:
        file.readinto(_bytes(value))
    return values


def _embedding(about: dict[str, Any], values: list[NDArray[Any]], key: str) -> PackedEmbedding:
    if about["key"] != key:
        raise DamagedEntry(f"it holds the embedding {about['key']}")
    plane, content, canvas, anchor = about["frame"]
    arrays = tuple(
        PackedArray(value, dtype, tuple(order)) for value, (dtype, order) in zip(values, about["arrays"], strict=True)
    )
    return PackedEmbedding(key, about["weights"], Frame(tuple(plane), tuple(content), tuple(canvas), anchor), arrays)


def _bytes(value: NDArray[Any]) -> memoryview:
    """Look at a contiguous array as its bytes."""
    return value.reshape(-1).view(np.uint8).data


def _checksum(about: str, values: Iterable[NDArray[Any]]) -> str:
    """Digest of all that a file says: the xxh128 of Y. Collet, which guards against accidents."""
    hasher = xxhash.xxh3_128(about.encode())
    for value in values:
        hasher.update(f"{value.dtype}{value.shape}".encode())
        hasher.update(_bytes(value))
    return hasher.hexdigest()
