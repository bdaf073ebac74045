"""A bank of synthetic scenes on disk, rendered once by several processes, read by the trainer without delay."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sam.progress import no_progress
from napari_sam.training.scenes import draw_scene

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.progress import Progress
    from napari_sam.training.shapes import Labels

SHARD = 250
"""Scenes in one file."""


@dataclass(frozen=True, slots=True)
class SceneBank:
    """Rendered scenes, mapped from disk.

    Attributes
    ----------
    images : tuple of numpy.ndarray, each (SHARD, side, side, 3), uint8
    labels : tuple of numpy.ndarray, each (SHARD, 2, side, side), uint8
    """

    images: tuple[NDArray[np.uint8], ...]
    labels: tuple[Labels, ...]

    def __len__(self) -> int:
        return sum(len(shard) for shard in self.images)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], Labels]:
        shard, row = divmod(index, SHARD)
        return self.images[shard][row], self.labels[shard][row]


def open_bank(
    folder: Path, scenes: int, side: int = 256, seed: int = 0, workers: int = 1, progress: Progress = no_progress
) -> SceneBank:
    """Open a bank, rendering what is not there yet.

    Parameters
    ----------
    folder : Path
        Made if missing. Shards that are complete are kept, so that rendering can be cut and taken up again.
    scenes : int
        At least so many scenes: rounded up to whole shards.
    side : int
        Pixels.
    seed : int
        Scene i of a seed is the same on every run.
    workers : int
        Processes that render.
    progress : Progress
        Called after every shard.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stems = [folder / f"scenes-{side}-{seed}-{index:04d}" for index in range(-(-scenes // SHARD))]
    missing = [index for index, stem in enumerate(stems) if not _files(stem)[1].exists()]
    if missing:
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            jobs = [pool.submit(_render, stems[index], index * SHARD, side, seed) for index in missing]
            for done, job in enumerate(as_completed(jobs), 1):
                job.result()
                progress(done / len(missing))
    mapped = [tuple(np.load(file, mmap_mode="r") for file in _files(stem)) for stem in stems]
    return SceneBank(tuple(images for images, _ in mapped), tuple(labels for _, labels in mapped))


def _files(stem: Path) -> tuple[Path, Path]:
    """Files of a shard, in the order in which they are written: the second one says that both are there."""
    return stem.with_suffix(".images.npy"), stem.with_suffix(".labels.npy")


def _render(stem: Path, first: int, side: int, seed: int) -> None:
    torch.set_num_threads(1)
    pairs = [draw_scene(np.random.default_rng((seed, first + index)), side) for index in range(SHARD)]
    for file, arrays in zip(_files(stem), zip(*pairs, strict=True), strict=True):
        part = file.with_suffix(".part")
        with part.open("wb") as stream:
            np.save(stream, np.stack(arrays))
        os.replace(part, file)
