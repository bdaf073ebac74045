"""How to train: the numbers of a run, and good ones for a processor and for a GPU."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from napari_sam.training.optimizer import Algorithm

_MOST_WORKERS = 24  # more only take memory: a GPU is not that fast


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to train.

    Attributes
    ----------
    steps : int
        Length of the schedule.
    max_seconds : float or None
        Ends the schedule earlier: the learning rate follows whichever of steps and time is further on. Time counts
        over all parts of a run that was cut.
    images, objects : int
        Crops in a step, on each thread; objects of each crop.
    reference_side : int or None
        The side that `images` is meant for: of larger crops there are fewer, of smaller ones more, so that every step
        takes about the same memory. None: always `images`.
    threads : int
        Parts of a batch that are worked on side by side, each by one thread of the processor. On a GPU, 1.
    sides : tuple of int
        Side of the crops, pixels, drawn anew for each step; one that stands here twice is drawn twice as often.
    extra_rounds : int
        At most so many rounds without gradient between the first and the last.
    learning_rate, weight_decay, warmup, clip, ema, dense_weight : float
        AdamW's, steps until the full rate, norm of the gradient, decay of the averaged weights, the dense head's loss.
    backbone_share : float
        Of the learning rate, for a trunk that has learnt from ImageNet.
    optimizer : {"adamw", "muon"}
        See `napari_sam.training.optimizer.Optimizers`.
    bfloat16 : bool
        Matrix products in bfloat16: faster on a GPU and on a few processors.
    seed : int
    save_every, check_every : float
        Seconds between checkpoints, and between checks of the averaged model.
    log_every : int
        Steps between lines of the log.
    workers : int
        Processes that draw batches ahead; 0 leaves the drawing to the threads.
    patience : int or None
        Ends the run after so many checks that brought nothing better. None: never, because under a cosine schedule
        the last steps are the best.
    """

    steps: int = 20_000
    max_seconds: float | None = None
    images: int = 4
    objects: int = 4
    reference_side: int | None = None
    threads: int = 1
    sides: tuple[int, ...] = (192, 192, 192, 256)
    extra_rounds: int = 2
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    warmup: int = 150
    clip: float = 1.0
    ema: float = 0.998
    dense_weight: float = 0.5
    backbone_share: float = 0.1
    optimizer: Algorithm = "adamw"
    bfloat16: bool = False
    seed: int = 0
    save_every: float = 300.0
    check_every: float = 1200.0
    log_every: int = 20
    workers: int = 0
    patience: int | None = None

    def crops(self, side: int) -> int:
        """Crops of `side` pixels that each thread works on in a step."""
        if self.reference_side is None:
            return self.images
        return max(1, round(self.images * (self.reference_side / side) ** 2))

    @classmethod
    def restored(cls, saved: dict[str, Any]) -> TrainingConfig:
        """Read the settings of a checkpoint; those that it is too old to know have their defaults."""
        known = {field.name for field in fields(cls)}
        settings: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in saved.items() if name in known
        }
        return cls(**settings)


def usual(device_type: str) -> TrainingConfig:
    """Return settings that suit a device.

    Parameters
    ----------
    device_type : str
        "cuda", "cpu", ... as PyTorch names it. A GPU takes large batches in bfloat16, which other processes draw, and
        the higher rate that goes with them; a processor eight crops, side by side on as many threads as it has cores.
    """
    cores = available_cores()
    if device_type == "cpu":
        threads = max(count for count in (1, 2, 4, 8) if count <= cores)
        return TrainingConfig(images=8 // threads, objects=6, threads=threads)
    return TrainingConfig(
        steps=30_000,
        images=96,
        reference_side=256,
        sides=(192, 256, 256, 256, 384),
        learning_rate=1e-3,
        warmup=500,
        ema=0.9995,
        bfloat16=device_type == "cuda",
        workers=max(1, min(_MOST_WORKERS, cores - 1)),
    )


def with_wishes(
    config: TrainingConfig,
    *,
    steps: int | None = None,
    hours: float | None = None,
    batch: int | None = None,
    threads: int | None = None,
    learning_rate: float | None = None,
) -> TrainingConfig:
    """Return settings with what a person asked for; None leaves what is there.

    Parameters
    ----------
    config : TrainingConfig
    steps, threads, learning_rate
        See `TrainingConfig`.
    hours : float, optional
        After which the schedule ends.
    batch : int, optional
        Images in a step, on all threads together.

    Raises
    ------
    InputError
        If the images cannot be shared out among the threads, or there is no time.
    """
    threads = threads or config.threads
    batch = batch or config.images * config.threads
    if batch % threads:
        raise InputError(f"{batch} images cannot be shared out evenly among {threads} threads. Change one of the two.")
    if hours is not None and hours <= 0:
        raise InputError(f"{hours} hours are no time to train in. Give more than 0.")
    return replace(
        config,
        steps=steps or config.steps,
        max_seconds=config.max_seconds if hours is None else 3600 * hours,
        images=batch // threads,
        threads=threads,
        learning_rate=learning_rate or config.learning_rate,
    )


def available_cores() -> int:
    """Count the cores that this process may use: on a shared machine, and beside others of ``torchrun``, fewer."""
    # Not on every system, and Python's own os.process_cpu_count comes with version 3.13.
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
