"""A bank of synthetic scenes on disk, rendered once by several processes, read by the trainer without delay."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_sam.files import replacing
from napari_sam.progress import no_progress
from napari_sam.training.processes import deaf_to_interrupts, set_up
from napari_sam.training.synthetic.scenes import draw_scene

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.progress import Progress
    from napari_sam.training.synthetic.shapes import Labels

SHARD = 250
"""Scenes in one file."""

_JOB = 25  # scenes that a process renders at a time: so long a cancel waits
_POLL = 0.2  # seconds

_Rendered: TypeAlias = "tuple[NDArray[np.uint8], Labels]"


@dataclass(frozen=True, slots=True)
class SceneBank:
    """Rendered scenes, mapped from disk.

    Attributes
    ----------
    images : tuple of numpy.ndarray, each (SHARD, side, side, 3), uint8
        The last may hold fewer.
    labels : tuple of numpy.ndarray, each (SHARD, 2, side, side), uint8
    shards : tuple of _Shard
        The files: another process gets their names, not the pixels.
    """

    images: tuple[NDArray[np.uint8], ...]
    labels: tuple[Labels, ...]
    shards: tuple[_Shard, ...] = ()

    def __len__(self) -> int:
        return sum(len(shard) for shard in self.images)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], Labels]:
        shard, row = divmod(index, SHARD)
        return self.images[shard][row], self.labels[shard][row]

    def __reduce__(self) -> tuple[Any, ...]:
        return (_map, (self.shards,)) if self.shards else (SceneBank, (self.images, self.labels))


@dataclass(frozen=True, slots=True)
class _Shard:
    """Scenes `first` to `first` + `count` of a bank; the files may hold more."""

    stem: Path
    first: int
    count: int

    @property
    def files(self) -> tuple[Path, Path]:
        """In the order in which they are written: the second one says that both are there."""
        return self.stem.with_suffix(".images.npy"), self.stem.with_suffix(".labels.npy")


def open_bank(
    folder: Path, scenes: int, side: int = 256, seed: int = 0, workers: int = 1, progress: Progress = no_progress
) -> SceneBank:
    """Open a bank, rendering what is not there yet.

    Parameters
    ----------
    folder : Path
        Made if missing. Shards that are complete are kept, so that rendering can be cut and taken up again.
    scenes : int
        How many; a rest that does not fill a shard gets a file of its own.
    side : int
        Pixels.
    seed : int
        Scene i of a seed is the same on every run, whatever `scenes` is.
    workers : int
        Processes that render.
    progress : Progress
        Called a few times a second while scenes are rendered; may raise `Cancelled`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards = tuple(_shard(folder, first, min(SHARD, scenes - first), side, seed) for first in range(0, scenes, SHARD))
    missing = [shard for shard in shards if not shard.files[1].exists()]
    if missing:
        _render_all(missing, side, seed, workers, progress)
    return _map(shards)


def _shard(folder: Path, first: int, count: int, side: int, seed: int) -> _Shard:
    whole = _Shard(folder / f"scenes-{side}-{seed}-{first // SHARD:04d}", first, count)
    if count == SHARD or whole.files[1].exists():  # a whole shard of a larger bank serves a smaller one
        return whole
    return _Shard(whole.stem.with_name(f"{whole.stem.name}-first{count}"), first, count)


def _map(shards: tuple[_Shard, ...]) -> SceneBank:
    images, labels = (
        tuple(np.load(shard.files[which], mmap_mode="r")[: shard.count] for shard in shards) for which in (0, 1)
    )
    return SceneBank(images, labels, shards)


def _render_all(shards: list[_Shard], side: int, seed: int, workers: int, progress: Progress) -> None:
    """Render shards side by side; each is written as soon as its last scene is there."""
    jobs: dict[Future[_Rendered], tuple[_Shard, int]] = {}
    rendered: dict[_Shard, dict[int, _Rendered]] = {shard: {} for shard in shards}
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=set_up) as pool:
        with deaf_to_interrupts():
            for shard in shards:
                for start in range(0, shard.count, _JOB):
                    job = pool.submit(_render, shard.first + start, min(_JOB, shard.count - start), side, seed)
                    jobs[job] = shard, start
        total = len(jobs)
        try:
            while jobs:
                done, _ = wait(jobs, _POLL, FIRST_COMPLETED)
                for job in done:
                    shard, start = jobs.pop(job)
                    rendered[shard][start] = job.result()
                    if sum(len(images) for images, _ in rendered[shard].values()) == shard.count:
                        # Written and let go: a whole bank would not fit into memory.
                        _write(shard, rendered.pop(shard))
                progress(1 - len(jobs) / total)
        except BaseException:
            # A cancel waits only for jobs that have begun.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _render(first: int, count: int, side: int, seed: int) -> _Rendered:
    # Each scene from a seed of its own, whoever renders it and with which others.
    images, labels = zip(
        *(draw_scene(np.random.default_rng((seed, first + index)), side) for index in range(count)), strict=True
    )
    return np.stack(images), np.stack(labels)


def _write(shard: _Shard, parts: dict[int, _Rendered]) -> None:
    ordered = [parts[start] for start in sorted(parts)]
    for file, arrays in zip(shard.files, zip(*ordered, strict=True), strict=True):
        with replacing(file, file.with_suffix(".part")) as part, part.open("wb") as stream:
            np.save(stream, np.concatenate(arrays))
