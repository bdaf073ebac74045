"""micro-sam's decoders of instances, which are published as a second file beside the checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.checkpoints import download
from napari_sam.checkpoints.checksums import file_digests
from napari_sam.checkpoints.receipts import weights_folder
from napari_sam.checkpoints.registry import CHECKPOINT_SUFFIXES, list_models
from napari_sam.errors import WeightsError
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam.checkpoints.registry import Algorithm, ModelSpec
    from napari_sam.progress import Progress

_ENDING = "_decoder"


def beside(checkpoint: Path) -> Path | None:
    """Return the decoder that lies beside a checkpoint: of ``vit_b.pt``, ``vit_b_decoder.pt``; None without one."""
    suffixes = dict.fromkeys((checkpoint.suffix, *CHECKPOINT_SUFFIXES))
    places = (checkpoint.with_name(f"{checkpoint.stem}{_ENDING}{suffix}") for suffix in suffixes)
    return next((place for place in places if place.is_file()), None)


def target_path(spec: ModelSpec) -> Path:
    """Where the decoder of a model lies, or will lie."""
    return weights_folder() / f"{spec.name}{_ENDING}.pt"


def is_missing(spec: ModelSpec) -> bool:
    """Whether a decoder is published for a model and is not on this machine."""
    return spec.decoder is not None and not target_path(spec).is_file()


def ensure(spec: ModelSpec, progress: Progress = no_progress, *, limits: download.Limits | None = None) -> None:
    """Download the decoder of a model, if one is published and not here.

    Raises
    ------
    WeightsError
        If it cannot be had.
    """
    if spec.decoder is None or not is_missing(spec):
        return
    checksum: tuple[Algorithm, str] = ("xxh128", spec.decoder.xxh128)
    # It has less than its model, also where trainers keep the encoder in it once more.
    source = download.DownloadSource(f"{spec.name}{_ENDING}", spec.decoder.urls, None, checksum, spec.largest_size)
    download.download(source, target_path(spec), progress, limits=limits)


def verify(spec: ModelSpec, progress: Progress = no_progress) -> None:
    """Compare the checksum of a decoder that is here.

    Raises
    ------
    WeightsError
        If it differs.
    """
    path = target_path(spec)
    if spec.decoder is None or not path.is_file():
        return
    if file_digests(path, ["xxh128"], progress)["xxh128"] != spec.decoder.xxh128:
        raise WeightsError(
            f"The decoder of {spec.name} ({path}) is damaged: its xxh128 checksum differs. Delete it, and run "
            f"`napari-sam models download {spec.name}`."
        )


def recognise(path: Path, progress: Progress = no_progress) -> ModelSpec | None:
    """Find the model that a file is the published decoder of; None if it is none."""
    digest = file_digests(path, ["xxh128"], progress)["xxh128"]
    return next((spec for spec in list_models() if spec.decoder is not None and spec.decoder.xxh128 == digest), None)


def remove(spec: ModelSpec) -> int:
    """Delete the decoder of a model and what an unfinished download has left; return the bytes freed."""
    path = target_path(spec)
    freed = (path.stat().st_size if path.is_file() else 0) + download.partial_size(path)
    path.unlink(missing_ok=True)
    download.clear(path)
    return freed
