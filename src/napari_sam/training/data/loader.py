"""What a step works on: drawn on the spot by the training threads, or ahead of time by other processes.

Every draw is seeded with the run's seed, the step and the part of the batch: who draws, and how many do, changes
nothing. A GPU is fast enough to wait for a single process, so there batches are prefetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.files import part_path, replacing
from napari_sam.training.data.batches import Batch
from napari_sam.training.processes import deaf_to_interrupts, set_up

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from napari_sam.training.config import TrainingConfig
    from napari_sam.training.data.batches import BatchSource

_AHEAD = 2  # batches that each process holds ready
_ALIGNED = 16  # bytes

_Entry: TypeAlias = "tuple[str, str, tuple[int, int], int]"  # name, kind, (H, W), offset in the file
_Packed: TypeAlias = "tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None, int, int]"


@dataclass(frozen=True, slots=True)
class BatchPart:
    """One part of a step's batch, and what else is random about it.

    Attributes
    ----------
    batch : Batch
    seed : int
        Of the simulated person.
    extra_rounds : int
        Rounds without gradient.
    """

    batch: Batch
    seed: int
    extra_rounds: int


def draw_part(source: BatchSource, config: TrainingConfig, step: int, part: int) -> BatchPart:
    """Draw one part of a step's batch, always the same for one seed, step and part."""
    # Of the step alone: all parts of a batch have one size.
    side = int(np.random.default_rng((config.seed, step)).choice(config.sides))
    rng = np.random.default_rng((config.seed, step, part))
    seed = int(rng.integers(2**62))
    batch = source.draw(rng, config.crops(side), config.objects, side)
    return BatchPart(batch, seed, int(rng.integers(config.extra_rounds + 1)))


class _Steps(Dataset[list[_Packed]]):
    """Steps as a data set, for PyTorch's loader: item i is all parts of step i."""

    def __init__(self, source: BatchSource, config: TrainingConfig, first_part: int) -> None:
        self._source, self._config = source, config
        self._parts = range(first_part, first_part + config.threads)

    def __getitem__(self, step: int) -> list[_Packed]:
        return [_pack(draw_part(self._source, self._config, step, part)) for part in self._parts]


def _pack(drawn: BatchPart) -> _Packed:
    """Flatten for the way between processes; masks go as bytes, a quarter of what they weigh as floats."""
    batch = drawn.batch
    masks = batch.masks.to(torch.uint8)
    return batch.images, batch.objects, masks, batch.dense, batch.complete, batch.texts, drawn.seed, drawn.extra_rounds


def _unpack(packed: _Packed, device: torch.device) -> BatchPart:
    tensors, (texts, seed, extra_rounds) = packed[:5], packed[5:]
    images, objects, masks, dense, complete = (part.to(device, non_blocking=True) for part in tensors)
    told = None if texts is None else texts.to(device, non_blocking=True)
    return BatchPart(Batch(images, objects, masks.float(), dense, complete, told), seed, extra_rounds)


def prefetched(
    source: BatchSource, config: TrainingConfig, first: int, device: torch.device, *, first_part: int = 0
) -> Iterator[list[BatchPart]]:
    """Yield the parts of steps `first`, `first` + 1, ... on the device, drawn ahead by `config.workers` processes.

    Parameters
    ----------
    source : BatchSource
        Goes to the processes by pickling: `SharedImages` go as the name of a file.
    config : TrainingConfig
    first : int
        The step to begin with.
    device : torch.device
    first_part : int
        Number of the first part of each batch: several processes that train together have different ones.
    """
    # Processes that start now inherit it: Ctrl-C is for this process, which lets them go in order.
    with deaf_to_interrupts():
        loader = iter(
            DataLoader(
                _Steps(source, config, first_part),
                batch_size=None,  # an item is a batch already
                sampler=range(first, config.steps),
                num_workers=config.workers,
                prefetch_factor=_AHEAD,
                pin_memory=device.type == "cuda",
                worker_init_fn=set_up,
                multiprocessing_context="spawn",  # a fork of a process with threads and a GPU may hang
            )
        )
    for parts in loader:
        yield [_unpack(tuple(part), device) for part in parts]


class SharedImages(Sequence[LabelledImage]):
    """Images that lie in one file, which processes map instead of each holding a copy.

    Parameters
    ----------
    file : Path
        What `share_images` wrote.
    entries : tuple
        Where each image lies in it.
    """

    def __init__(self, file: Path, entries: tuple[_Entry, ...]) -> None:
        self._recipe = (file, entries)
        self._images = _mapped(file, entries)

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> LabelledImage: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[LabelledImage]: ...

    def __getitem__(self, index: int | slice) -> LabelledImage | Sequence[LabelledImage]:
        return self._images[index]

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedImages, self._recipe


def share_images(images: Sequence[LabelledImage], file: Path) -> SharedImages:
    """Write the pixels and labels of images to one file, and open it."""
    entries = []
    with replacing(file, part_path(file)) as part, part.open("wb") as stream:
        for item in images:
            height, width = item.labels.shape
            entries.append((item.name, item.kind, (height, width), stream.tell()))
            stream.write(np.ascontiguousarray(item.labels, np.uint16).tobytes())
            stream.write(np.ascontiguousarray(item.image, np.uint8).tobytes())
            # NumPy reads numbers faster, and some machines only, where they are aligned.
            stream.write(bytes(-stream.tell() % _ALIGNED))
    return SharedImages(file, tuple(entries))


def _mapped(file: Path, entries: Sequence[_Entry]) -> list[LabelledImage]:
    if not entries:
        return []
    contents = np.memmap(file, np.uint8, "r")
    images = []
    for name, kind, (height, width), start in entries:
        middle, stop = start + 2 * height * width, start + 5 * height * width
        # Labels first: they are of two bytes, and every entry begins aligned.
        labels = contents[start:middle].view(np.uint16).reshape(height, width)
        images.append(LabelledImage(name, kind, contents[middle:stop].reshape(height, width, 3), labels))
    return images
