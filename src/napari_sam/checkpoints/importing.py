"""Checkpoints that someone carried in: from a colleague, from a training run, on a stick."""

from __future__ import annotations

import os
import re
import shutil
from itertools import count
from typing import TYPE_CHECKING

from napari_sam.checkpoints import decoders
from napari_sam.checkpoints.checksums import file_digests, new_hasher
from napari_sam.checkpoints.container import container_problem
from napari_sam.checkpoints.receipts import read_receipt, weights_folder, write_receipt
from napari_sam.checkpoints.registry import ARCHITECTURES, CHECKPOINT_SUFFIXES, ModelSpec, list_models
from napari_sam.checkpoints.weights import imported, lookup, recognise, target_path
from napari_sam.errors import WeightsError
from napari_sam.files import HOME_VARIABLE, absence, format_bytes, open_plain, printable, replacing
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam.progress import Progress

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST = 56  # letters of a name made out of a file's, which leaves room for a number
_BLOCK = 1 << 22


def import_file(
    path: Path,
    name: str | None = None,
    architecture: str | None = None,
    progress: Progress = no_progress,
    *,
    after_file: bool = False,
) -> ModelSpec:
    """Copy a checkpoint that someone carried in into the folder.

    Parameters
    ----------
    path : Path
        The file.
    name : str, optional
        What to call it; needed for a file that the registry does not know by its checksum.
    architecture : str, optional
        One of `ARCHITECTURES`, for a file whose keys do not tell, such as weights fine-tuned from MedSAM.
    progress : Progress
        Called while the file is read and copied; may raise `Cancelled`.
    after_file : bool
        Call a file that the registry does not know after itself, instead of asking for a name.

    Returns
    -------
    ModelSpec
        The row, by whose name the model is used from now on.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, unknown and unnamed, or cannot be loaded.
    """
    if missing := absence(path):
        raise WeightsError(f"{missing} Choose the checkpoint itself.")
    if problem := container_problem(path, lambda fraction: progress(fraction / 6)):
        raise WeightsError(f"{path} cannot be imported: {problem}. Copy or download it again.")
    if architecture is not None and architecture not in ARCHITECTURES:
        raise WeightsError(f"There is no architecture {architecture!r}. Known: {', '.join(ARCHITECTURES)}.")
    known = recognise(path, lambda fraction: progress((1 + fraction) / 6))
    if known is None and name is None and (model := decoders.recognise(path)) is not None:
        _copy(path, decoders.target_path(model), lambda fraction: progress((1 + fraction) / 2))
        return model
    if known is not None and name in (None, known.name):
        name, architecture, target = known.name, known.architecture, target_path(known)
    else:
        name = _own_name(path, free_name(path) if name is None and after_file else name)
        architecture = architecture or (known.architecture if known else None)
        _check_loads(path, architecture, lambda fraction: progress((2 + fraction) / 6))
        target = weights_folder() / (name + (path.suffix if path.suffix in CHECKPOINT_SUFFIXES else ".pt"))
    sha256 = _copy(path, target, lambda fraction: progress((1 + fraction) / 2))
    write_receipt(name, target, sha256, architecture, printable(path.name))
    return lookup(name)


def free_name(path: Path) -> str:
    """Make a name for a model out of its file's, such as "my-cells" for "my cells.pth".

    With a number where another model has that name already; the same file imported again gets the name that it has.
    """
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:_LONGEST] or "checkpoint"
    published, here = {row.name for row in list_models()}, {row.name for row in imported()}
    names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    return next(name for name in names if name not in published and (name not in here or _is_same(path, name)))


def _is_same(path: Path, name: str) -> bool:
    """Tell whether a file is the one that was imported under a name."""
    receipt = read_receipt(name)
    if receipt is None or receipt.size != path.stat().st_size:
        return False
    return file_digests(path, ["sha256"])["sha256"] == receipt.sha256


def _own_name(path: Path, name: str | None) -> str:
    """Check the name that a person gives to a file that the registry does not know."""
    if name is None:
        raise WeightsError(
            f"{path.name} is none of the published checkpoints. To import it all the same, give it a name: "
            f"`napari-sam models import {path.name} --name NAME`."
        )
    if any(row.name == name for row in list_models()):
        raise WeightsError(
            f"{path.name} is not {name}: its checksum differs from the published one. It is damaged or another "
            f"version; fetch it again, or import it under a name of its own."
        )
    if not _NAME.fullmatch(name):
        raise WeightsError(f"{name!r} cannot be a model's name: use letters, digits, dots, dashes and underscores.")
    return name


def _check_loads(path: Path, architecture: str | None, progress: Progress) -> None:
    """Refuse an unknown file that cannot be used before it is copied."""
    from napari_sam.checkpoints.loading import load_checkpoint  # torch, which listing and downloading do without

    load_checkpoint(path, architecture=architecture, progress=progress)


def _copy(source: Path, target: Path, progress: Progress) -> str:
    """Copy under a temporary name, then rename; return the SHA-256. A copy onto itself only reads."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.samefile(source):
            return file_digests(source, ["sha256"], progress)["sha256"]
        size, done, hasher = max(source.stat().st_size, 1), 0, new_hasher("sha256")
        if shutil.disk_usage(target.parent).free < size:
            raise WeightsError(
                f"There is not enough space in {target.parent}: {format_bytes(size)} are needed. Free some, or set "
                f"{HOME_VARIABLE} to a folder on another disk."
            )
        with replacing(target) as temporary, open_plain(source) as reading, temporary.open("xb") as writing:
            while block := reading.read(_BLOCK):
                writing.write(block)
                hasher.update(block)
                done += len(block)
                progress(min(done / size, 1.0))
            writing.flush()
            os.fsync(writing.fileno())
    except OSError as error:
        raise WeightsError(
            f"{source} could not be copied to {target.parent}: {error.strerror or error}. Check the disk and its "
            f"permissions, or set {HOME_VARIABLE} to another folder."
        ) from error
    return hasher.hexdigest()
