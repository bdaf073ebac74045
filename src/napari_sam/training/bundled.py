"""The bundled model from data to file: train it, measure it on images it has not seen, write weights and model card."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from napari_sam.errors import DeviceError
from napari_sam.evaluation.accuracy import measure_accuracy
from napari_sam.model.compact import CompactConfig, CompactSam
from napari_sam.predictor import Predictor
from napari_sam.progress import no_progress
from napari_sam.training.bank import open_bank
from napari_sam.training.bbbc038 import read_archive, split
from napari_sam.training.card import commit, digest, export, load_average
from napari_sam.training.config import TrainingConfig
from napari_sam.training.data import Source
from napari_sam.training.feed import SharedSource, share_images
from napari_sam.training.loop import CHECKPOINT, LOG, SCORE, Trainer
from napari_sam.training.plot import draw_log
from napari_sam.training.unseen import unseen_images

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from napari_sam.evaluation.dataset import LabelledImage
    from napari_sam.progress import Progress

__all__ = ["CARD", "WEIGHTS", "BundledConfig", "export", "load_average", "measure", "train_bundled"]

WEIGHTS = "bundled.safetensors"
CARD = "bundled.json"

_SCORED = ("1 click", "3 clicks", "box")
_CHECKED_IMAGES, _CHECKED_SCENES, _CHECKED_OBJECTS = 12, 2, 3  # of BBBC038; of each unseen family; of each of these


@dataclass(frozen=True, slots=True)
class BundledConfig:
    """A whole run.

    Attributes
    ----------
    model : CompactConfig
    training : TrainingConfig
    scenes : int
        Synthetic scenes in the bank; 0 trains on real images alone.
    real_share : float
        Share of BBBC038 in a batch.
    workers : int
        Processes that render scenes.
    checked_objects : int
        Objects of each validation image in the card's metrics.
    unseen : int
        Scenes of each left-out family in the card's metrics.
    """

    model: CompactConfig = field(default_factory=CompactConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    scenes: int = 6000
    real_share: float = 0.5
    workers: int = 2
    checked_objects: int = 12
    unseen: int = 8


def train_bundled(
    config: BundledConfig,
    archive: Path,
    folder: Path,
    *,
    device: str = "cpu",
    progress: Progress = no_progress,
    tell: Callable[[str], None] | None = None,
    start: Mapping[str, Tensor] | None = None,
    origin: dict[str, Any] | None = None,
) -> Path:
    """Train the bundled model, or go on with a run that was cut, and export it.

    Parameters
    ----------
    config : BundledConfig
    archive : Path
        BBBC038, in a layout that `napari_sam.training.bbbc038.read_archive` reads.
    folder : Path
        Gets the bank of scenes, the checkpoints, the log with its plot, and in the end the weights and their card.
    device : str
        A torch device.
    progress : Progress
        Called with the share of each stage that is done; may raise `Cancelled`. A run that trains already writes a
        checkpoint then, and lets it pass.
    tell : callable, optional
        Called with words for every new stage, and after every step.
    start : mapping of str to Tensor, optional
        Weights to begin with, where there is no checkpoint to go on from.
    origin : dict, optional
        More on where the run is from, for the card.

    Returns
    -------
    Path
        The weights.

    Raises
    ------
    InputError
        If the archive cannot be read.
    DeviceError
        If the memory of a GPU runs out.
    """
    tell = tell or (lambda _words: None)
    tell("Reading BBBC038")
    real, held_out = split(read_archive(archive, progress))
    source = _source(config, real, folder, progress, tell)
    facts = {
        "commit": commit(),
        "bbbc038": {"images": len(real) + len(held_out), "training_images": len(real), "sha256": digest(archive)},
        "bundled": {"scenes": config.scenes, "real_share": config.real_share},
    }
    trainer = Trainer(config.model, config.training, source, folder, device, start=start, origin=facts | (origin or {}))

    def check(average: CompactSam) -> dict[str, float]:
        tell("Checking")
        numbers = _check(average, held_out, progress)
        draw_log(folder / LOG)
        return numbers

    tell("Training")
    try:
        trainer.run(progress, check, tell)
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"The memory of {device} is not enough for {config.training.images} images in a step. "
            f"Run the command again with --batch {max(1, config.training.images // 2)}."
        ) from error
    return _export_better(config, folder, held_out, trainer, progress, tell)


def _source(
    config: BundledConfig,
    real: Sequence[LabelledImage],
    folder: Path,
    progress: Progress,
    tell: Callable[[str], None],
) -> Source:
    """Open the bank, and put real images where the processes that draw batches can share them."""
    bank = None
    if config.scenes:
        tell("Rendering scenes")
        seed = config.training.seed
        bank = open_bank(folder / "bank", config.scenes, seed=seed, workers=config.workers, progress=progress)
    if not config.training.workers:
        return Source(real, bank, config.real_share)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "real-images.bin"
    return SharedSource(file, share_images(real, file), bank, config.real_share)


def measure(
    model: CompactSam,
    images: Sequence[LabelledImage],
    objects: int,
    progress: Progress = no_progress,
    *,
    automatic: bool = False,
) -> dict[str, dict[str, float]]:
    """Measure a model; see `napari_sam.evaluation.accuracy`.

    Parameters
    ----------
    model : CompactSam
    images : sequence of LabelledImage
    objects : int
        For clicks and boxes, of each image.
    progress : Progress
    automatic : bool
        Whether to segment each image without prompts, too.

    Returns
    -------
    dict of str to dict
        "all", if there was an object, and each type of image to its measures, and "objects", their number.
    """
    # No falling back on the processor when memory runs out: that would move the model away from its training.
    predictor = Predictor(model, "unsaved", fall_back=False)
    found = measure_accuracy(
        predictor, images, model="unsaved", most_objects=objects, automatic=automatic, progress=progress
    )
    return {
        kind: {"objects": float(summary.objects)} | {name: round(v, 4) for name, v in summary.measures.items()}
        for kind, summary in found.summaries.items()
        if summary.objects
    }


def _check(model: CompactSam, held_out: Sequence[LabelledImage], progress: Progress) -> dict[str, float]:
    """Measure some objects of BBBC038 and of the unseen families: what the log shows, and the score."""
    some = held_out[:: max(1, len(held_out) // _CHECKED_IMAGES)]
    real = measure(model, some, _CHECKED_OBJECTS, lambda share: progress(share / 2)).get("all")
    scenes = unseen_images(_CHECKED_SCENES)
    unseen = measure(model, scenes, _CHECKED_OBJECTS, lambda share: progress((1 + share) / 2))["all"]
    numbers = {} if real is None else dict(real)
    return numbers | {f"unseen {name}": value for name, value in unseen.items()} | {SCORE: score(real, unseen)}


def score(*measured: Mapping[str, float] | None) -> float:
    """Mean over 1 click, 3 clicks and a box, and over sets of images; those that are None are left out."""
    values = [numbers[name] for numbers in measured if numbers is not None for name in _SCORED]
    return sum(values) / len(values)


def _export_better(
    config: BundledConfig,
    folder: Path,
    held_out: Sequence[LabelledImage],
    trainer: Trainer,
    progress: Progress,
    tell: Callable[[str], None],
) -> Path:
    """Measure the last and the best averaged model on all of the validation images, and export the better one."""
    files = [folder / CHECKPOINT]
    if trainer.best.path.exists():
        files.append(trainer.best.path)
    scenes = unseen_images(config.unseen)
    measured = []
    for file in files:
        tell("Measuring")
        model = load_average(file, config.model)[0].to(trainer.device)
        real = measure(model, held_out, config.checked_objects, lambda share: progress(0.8 * share), automatic=True)
        unseen = measure(model, scenes, config.checked_objects, lambda share: progress(0.8 + 0.2 * share))
        measured.append((score(real.get("all"), unseen["all"]), real, unseen))
    better = max(range(len(files)), key=lambda index: measured[index][0])
    _, real, unseen = measured[better]
    if (folder / LOG).exists():
        draw_log(folder / LOG)
    return export(files[better], folder / WEIGHTS, folder / CARD, real, config.model, unseen=unseen)
