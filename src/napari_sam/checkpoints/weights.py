"""Checkpoints on this machine: where they are, whether they are right, and how they get there."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam.checkpoints import decoders, download
from napari_sam.checkpoints.adapters.file import read_card
from napari_sam.checkpoints.checksums import file_digests
from napari_sam.checkpoints.container import container_problem
from napari_sam.checkpoints.receipts import drop_receipt, read_receipt, receipts, weights_folder, write_receipt
from napari_sam.checkpoints.registry import BUNDLED, CHECKPOINT_SUFFIXES, ModelSpec, get_model, list_models
from napari_sam.errors import WeightsError
from napari_sam.files import absence, printable
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sam.checkpoints.receipts import Receipt
    from napari_sam.checkpoints.registry import Algorithm
    from napari_sam.progress import Progress

_PACKAGED = Path(__file__).resolve().parent.parent / "weights"


_MODEL = 0.9
"""Share of a download after which the model is here, and its decoder is not."""


class State(StrEnum):
    """Where a checkpoint stands; the value is what a person reads."""

    BUNDLED = "bundled"
    ON_DISK = "on disk"
    TO_DOWNLOAD = "to download"
    DAMAGED = "damaged"


def lookup(name: str) -> ModelSpec:
    """Return the model called `name`, of the registry or imported by the person.

    Raises
    ------
    WeightsError
        If there is none; the message names the nearest.
    """
    return get_model(name, (*list_models(), *imported()))


def imported() -> tuple[ModelSpec, ...]:
    """Models that the person imported under names of their own, by name."""
    known = {spec.name for spec in list_models()}
    return tuple(_imported(receipt) for receipt in receipts() if receipt.name not in known)


def _imported(receipt: Receipt) -> ModelSpec:
    card = read_card(weights_folder() / receipt.file)
    return ModelSpec(
        name=receipt.name,
        title=receipt.name if card is None else f"{receipt.name} (taught)",
        architecture=receipt.architecture,
        urls=(),
        size=receipt.size,
        sha256=receipt.sha256,
        licence="yours" if card is None else printable(str(card.get("licence") or "yours"), 40),
        domain="yours",
        use_for=f"Imported from {receipt.source}." if card is None else _lesson(card),
    )


def _lesson(card: Mapping[str, Any]) -> str:
    """Say of a taught model, in a sentence, what it was taught."""
    words = f"Taught to {printable(str(card.get('base', '?')), 40)}"
    with suppress(KeyError, TypeError, ValueError):
        words += f" with {int(card['objects'])} objects on {int(card['planes'])} planes"
    with suppress(KeyError, TypeError, ValueError):
        was, now = (float(card[part]["1 click"]) for part in ("before", "after"))
        where = "another part of its image" if card.get("same_image") else "others"
        words += f"; one click on {where}: mean IoU {was:.2f} before, {now:.2f} now"
    return f"{words}."


def target_path(spec: ModelSpec) -> Path:
    """Where the file of `spec` lies, or will lie."""
    if spec.bundled:
        return _PACKAGED / f"{BUNDLED}.safetensors"
    if not spec.urls:
        receipt = read_receipt(spec.name)
        return weights_folder() / (receipt.file if receipt else spec.filename)
    return weights_folder() / spec.filename


def find(spec: ModelSpec) -> Path | None:
    """Return the file of `spec` if it is on this machine, right or not."""
    path = target_path(spec)
    return path if path.is_file() else None


def status(spec: ModelSpec) -> State:
    """Say where a checkpoint stands, without reading it: sizes are compared, not checksums (`verify` does that)."""
    path = find(spec)
    if spec.bundled:
        return State.BUNDLED if path else State.DAMAGED
    if path is None:
        return State.TO_DOWNLOAD if spec.urls else State.DAMAGED
    receipt = read_receipt(spec.name)
    expected = spec.size or (receipt.size if receipt else None)
    return State.ON_DISK if expected in (None, path.stat().st_size) else State.DAMAGED


def partial_size(spec: ModelSpec) -> int:
    """Bytes of an unfinished download of `spec`; 0 if there is none."""
    return download.partial_size(target_path(spec))


def verify(spec: ModelSpec, progress: Progress = no_progress) -> str:
    """Read a file and compare its checksum.

    Parameters
    ----------
    spec : ModelSpec
        Of the registry, or from `imported`.
    progress : Progress
        Called after every mebibyte; may raise `Cancelled`.

    Returns
    -------
    str
        With what it was compared, for a person.

    Raises
    ------
    WeightsError
        If the file is not there, or not what it should be.
    """
    path = find(spec)
    if path is None:
        raise WeightsError(_missing(spec))
    expected: tuple[Algorithm, str]
    if spec.bundled:
        expected, words = ("sha256", _card_sha256()), "sha256 of its model card"
    elif spec.checksum and spec.urls:
        expected, words = spec.checksum, f"{spec.checksum[0]} as published"
    elif receipt := read_receipt(spec.name):
        expected, words = ("sha256", receipt.sha256), f"sha256 of the day it came from {receipt.source}"
    else:
        if problem := container_problem(path, progress):
            raise WeightsError(_damaged(spec, path, problem))
        return "well-formed (no checksum is published)"
    algorithm, digest = expected
    if file_digests(path, [algorithm], progress)[algorithm] != digest:
        raise WeightsError(_damaged(spec, path, f"its {algorithm} checksum differs"))
    decoders.verify(spec)
    return words


def ensure(spec: ModelSpec, progress: Progress = no_progress, *, limits: download.Limits | None = None) -> Path:
    """Return the file of `spec`, downloading it if it is missing or damaged.

    A file that a person put into the folder by hand is read once and compared with the checksum. A decoder that is
    published with it comes along when it is downloaded; without one, the model can be used all the same.

    Raises
    ------
    WeightsError
        If it cannot be had; the message says what to do.
    """
    state, path = status(spec), target_path(spec)
    if state is State.BUNDLED:
        return path
    # The receipt says that it was compared once; without one, somebody else put it there.
    if state is State.ON_DISK and read_receipt(spec.name) is None:
        try:
            verify(spec, progress)
        except WeightsError:
            state = State.DAMAGED
        else:
            with suppress(WeightsError):  # a folder shared by an administrator need not be ours to write to
                _record(spec, path, "a file put there by hand", progress)
    if state is State.ON_DISK:
        return path
    if not spec.urls:
        raise WeightsError(_damaged(spec, path, "it is missing or cut"))
    source = download.DownloadSource(spec.name, spec.urls, spec.size, spec.checksum, spec.largest_size)
    share = 1.0 if spec.decoder is None else _MODEL
    download.download(source, path, lambda done: progress(share * done), replace=state is State.DAMAGED, limits=limits)
    _record(spec, path, spec.urls[0], no_progress)
    with suppress(WeightsError):
        decoders.ensure(spec, lambda done: progress(share + (1 - share) * done), limits=limits)
    return path


def resolve(model: str | os.PathLike[str], progress: Progress = no_progress) -> tuple[Path, ModelSpec | None]:
    """Turn what a person typed into a file: the name of a model, downloaded if need be, or the path of a checkpoint.

    Parameters
    ----------
    model : str or path
        A name wins over a file of the same name in the current folder; write ``./name`` for the file.
    progress : Progress
        Called while a download goes on; may raise `Cancelled`.

    Returns
    -------
    path : Path
        The checkpoint.
    spec : ModelSpec or None
        Its row; None for a file that no row describes.

    Raises
    ------
    WeightsError
        If there is neither such a model nor such a file, or it cannot be downloaded.
    """
    text = os.fspath(model)
    path = Path(text).expanduser()
    # A bare word is a name, so that a misspelt one is answered with the nearest names.
    looks_like_path = not isinstance(model, str) or path.suffix in CHECKPOINT_SUFFIXES or len(path.parts) > 1
    if not looks_like_path:
        spec = lookup(text)
        return ensure(spec, progress), spec
    if missing := absence(path):
        raise WeightsError(
            f"{missing} Give the path of a checkpoint, or the name of a model: `napari-sam models list` shows them."
        )
    return path, recognise(path, thorough=False)


def recognise(path: Path, progress: Progress = no_progress, *, thorough: bool = True) -> ModelSpec | None:
    """Find the row of the registry that a file belongs to, by its checksum; None if there is none.

    Without `thorough`, a file whose exact size is not published for any row is not read, and not recognised.
    """
    size = path.stat().st_size
    # Reading gigabytes for a checksum is worth it only where it can match.
    rows = [s for s in list_models() if s.checksum and (s.size == size or (thorough and s.size is None))]
    if not rows:
        return None
    try:
        digests = file_digests(path, {row.checksum[0] for row in rows if row.checksum}, progress)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}. Check the disk.") from error
    return next((row for row in rows if row.checksum and digests[row.checksum[0]] == row.checksum[1]), None)


def remove(spec: ModelSpec) -> int:
    """Delete the file of a model, its receipt and any unfinished download; return the bytes freed.

    Raises
    ------
    WeightsError
        If one of them cannot be deleted.
    """
    if spec.bundled:
        raise WeightsError("The bundled model is part of the package and cannot be removed.")
    path = target_path(spec)
    freed = (path.stat().st_size if path.is_file() else 0) + partial_size(spec)
    try:
        # The receipt after its file: one without a file says that it is missing, which is true.
        path.unlink(missing_ok=True)
        drop_receipt(spec.name)
        download.clear(path)
        freed += decoders.remove(spec)
    except OSError as error:
        raise WeightsError(
            f"{error.filename} cannot be deleted: {error.strerror}. Delete it by hand, or change its permissions."
        ) from error
    return freed


def _record(spec: ModelSpec, path: Path, source: str, progress: Progress) -> None:
    """Write the receipt of a file that has just been found right."""
    sha256 = spec.sha256 or file_digests(path, ["sha256"], progress)["sha256"]
    write_receipt(spec.name, path, sha256, spec.architecture, source)


def _missing(spec: ModelSpec) -> str:
    if not spec.urls:
        return _damaged(spec, target_path(spec), "it is missing")
    return f"{spec.name} is not on this machine. Get it with `napari-sam models download {spec.name}`."


def _damaged(spec: ModelSpec, path: Path, problem: str) -> str:
    if spec.bundled:
        cure = "Reinstall napari-sam-live"
    elif spec.urls:
        cure = f"Run `napari-sam models download {spec.name}`"
    else:
        cure = f"Import it again, or drop it with `napari-sam models remove {spec.name}`"
    return f"{spec.name} ({path}) is damaged: {problem}. {cure}."


def _card_sha256() -> str:
    """Checksum of the bundled file, from the model card that lies beside it."""
    card = _PACKAGED / f"{BUNDLED}.json"
    try:
        return str(json.loads(card.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(
            f"The card of the bundled model ({card}) cannot be read. Reinstall napari-sam-live."
        ) from error
