"""A run's own copy of what it learns from: it stays as it was, whatever becomes of the images."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.files import open_plain, read_small, replacing, write_whole
from napari_sam.io.outputs import reason, remedy
from napari_sam.io.reading import reading, require_file
from napari_sam.training.material.taught import TaughtPlane

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

INDEX_FILE = "material.json"
"""Says which planes there are; written last, so that it names only what is there."""
_FORMAT, _VERSION = "napari-sam-material", 1
_MOST = 1 << 26  # bytes of the index: some hundred thousand planes
_DIGEST = re.compile(r"[0-9a-f]{32}")


def save_material(planes: Sequence[TaughtPlane], folder: Path) -> None:
    """Keep planes in a folder; what was kept there before is replaced.

    Each plane is a file named by its digest, and takes its name when it is whole. A run that is cut leaves what was
    there before.

    Parameters
    ----------
    planes : sequence of TaughtPlane
    folder : Path
        Made if it is not there.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for plane in planes:
            digest = _digest(plane)
            path = _plane_path(folder, digest)
            if not path.is_file():
                with replacing(path) as temporary, temporary.open("xb") as file:
                    np.savez_compressed(file, image=plane.image, labels=plane.labels)
            rows.append({"name": plane.name, "group": plane.group, "complete": plane.complete, "pixels": digest})
        text = json.dumps({"format": _FORMAT, "version": _VERSION, "planes": rows}, indent=1, ensure_ascii=False)
        write_whole(folder / INDEX_FILE, text)
        kept = {row["pixels"] for row in rows}
        for path in folder.glob("plane-*.npz"):
            if path.stem.removeprefix("plane-") not in kept:
                with suppress(OSError):
                    path.unlink()
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {reason(error)}. {remedy(error)}") from error


def load_material(folder: Path) -> list[TaughtPlane]:
    """Read what `save_material` kept.

    Returns
    -------
    list of TaughtPlane
        In their order, to the last bit.

    Raises
    ------
    InputError
        If there is nothing, or something of it is damaged.
    """
    path = folder / INDEX_FILE
    require_file(path)
    with reading(path):
        about = json.loads(read_small(path, _MOST))
        if not isinstance(about, dict) or about.get("format") != _FORMAT:
            raise InputError(f"{path} does not say what a model learns from. Choose the folder of a run.")
        if about.get("version") != _VERSION:
            raise InputError(
                f"{path} is of version {str(about.get('version'))[:20]}; update napari-sam-live to read it."
            )
        rows = [_checked(row) for row in about["planes"]]
    return [_load(folder, row) for row in rows]


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    """Read what is said of one plane."""
    if not all(isinstance(row[key], str) for key in ("name", "group", "pixels")):
        raise ValueError("a plane has no name")
    if not isinstance(row["complete"], bool) or not _DIGEST.fullmatch(row["pixels"]):
        raise ValueError("a plane is not described")
    return row


def _load(folder: Path, row: dict[str, Any]) -> TaughtPlane:
    path = _plane_path(folder, row["pixels"])
    require_file(path)
    # Without Python objects, which could do anything when they are read.
    with reading(path), open_plain(path) as file, np.load(file, allow_pickle=False) as arrays:
        plane = TaughtPlane(row["name"], row["group"], arrays["image"], arrays["labels"], row["complete"])
        if _digest(plane) != row["pixels"]:
            raise ValueError("its pixels are not those that were written")
    return plane


def _plane_path(folder: Path, digest: str) -> Path:
    return folder / f"plane-{digest}.npz"


def _digest(plane: TaughtPlane) -> str:
    """Return a digest of the pixels and the labels of a plane."""
    digest = hashlib.blake2b(digest_size=16)
    for array in (plane.image, plane.labels):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
