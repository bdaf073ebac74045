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

from napari_sam.cache.packed import PackedArray, PackedEmbedding
from napari_sam.files import open_plain, without_links
from napari_sam.geometry import Frame

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import BufferedReader
    from pathlib import Path

    from numpy.typing import NDArray

VERSION = "1"
"""Layout of the files; raise it with every change of what is written below."""

LARGEST = 1 << 30
"""Bytes that a file has at most; of a plane as large as a model may see, it has a tenth."""

_LONGEST_HEADER = 1 << 20  # bytes; what claims to be longer is damaged
_MOST_PIXELS = 1 << 31  # along a side of a plane
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
    with open(path, "wb", opener=without_links) as file:
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
        If there is no such file, or it is a folder or a pipe, or cannot be read.
    """
    try:
        with open_plain(path) as file:
            header, size = _read_header(file)
            metadata = header.pop("__metadata__")
            if metadata["version"] != VERSION:
                raise DamagedEntry(f"it has layout {metadata['version']}, not {VERSION}")
            values = _read_values(file, [header[str(number)] for number in range(len(header))], size)
        if _checksum(metadata["about"], values) != metadata["checksum"]:
            raise DamagedEntry("its checksum differs")
        return _embedding(json.loads(metadata["about"]), values, key)
    except (DamagedEntry, OSError):
        raise
    except Exception as error:  # whoever forges a file chooses which: nothing here is a fault of ours
        raise DamagedEntry("it is cut, or no embedding at all") from error


def _read_header(file: BufferedReader) -> tuple[dict[str, Any], int]:
    """Read the header, and tell how many bytes follow it."""
    left = os.fstat(file.fileno()).st_size - 8
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= min(left, _LONGEST_HEADER) or left > LARGEST:
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
    arrays = tuple(_array(value, dtype, order) for value, (dtype, order) in zip(values, about["arrays"], strict=True))
    if not isinstance(about["weights"], str):
        raise DamagedEntry("its weights have no name")
    return PackedEmbedding(key, about["weights"], _frame(*about["frame"]), arrays)


def _array(values: NDArray[Any], dtype: Any, order: Any) -> PackedArray:
    """Check what the file says of one array, which decides how it is unpacked."""
    if dtype not in _CODES or sorted(order) != list(range(values.ndim)):
        raise DamagedEntry("it describes its arrays wrongly")
    return PackedArray(values, dtype, tuple(order))


def _frame(plane: Any, content: Any, canvas: Any, anchor: Any) -> Frame:
    """Check what the file says of the plane; `Frame` itself compares its sides with each other."""
    sides = [*plane, *content, *canvas]
    if len(sides) != 6 or not all(type(side) is int and side < _MOST_PIXELS for side in sides):
        raise DamagedEntry("it tells no size of a plane")
    if type(anchor) not in (int, float) or not 0 <= anchor <= 1:
        raise DamagedEntry("it tells no place of a plane")
    return Frame(tuple(plane), tuple(content), tuple(canvas), anchor)


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
