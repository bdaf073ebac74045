"""The bundled model from data to file: train it, measure it on images it has not seen, write weights and model card."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from napari_sam.errors import DeviceError
from napari_sam.evaluation.accuracy import measure_accuracy
from napari_sam.evaluation.dataset import spread
from napari_sam.model.compact.model import CompactConfig, CompactSam
from napari_sam.predictor import Predictor
from napari_sam.progress import no_progress
from napari_sam.training.bundled.candidate_ranking import fit_ranker, ranking_images
from napari_sam.training.bundled.export import commit, export, load_average
from napari_sam.training.bundled.matching import Matching, matched_start
from napari_sam.training.config import TrainingConfig
from napari_sam.training.data.batches import CropSource
from napari_sam.training.data.loader import share_images
from napari_sam.training.data.pools import ObjectPool, ScenePool, TypicalPool
from napari_sam.training.log_plot import draw_log
from napari_sam.training.loop import CHECKPOINT, LOG, SCORE, Trainer
from napari_sam.training.networks.compact import TrainableCompact
from napari_sam.training.ranks import ALONE, Ranks
from napari_sam.training.synthetic.holdout_scenes import unseen_images
from napari_sam.training.synthetic.scene_dataset import open_bank

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from napari_sam.evaluation.dataset import LabelledImage
    from napari_sam.progress import Progress
    from napari_sam.training.bundled.dataset import BundledData
    from napari_sam.training.data.pools import Pool

__all__ = [
    "CARD",
    "WEIGHTS",
    "BundledConfig",
    "export",
    "load_average",
    "measure",
    "train_bundled",
]

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
    kinds_share, real_share : float
        Shares of many kinds and of BBBC038 in a batch; the rest are scenes. What is not there leaves its share to the
        others.
    held_out : tuple of str
        Kinds that are kept wholly out of training.
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
    kinds_share: float = 0.45
    real_share: float = 0.35
    held_out: tuple[str, ...] = ()
    workers: int = 2
    checked_objects: int = 12
    unseen: int = 8


def train_bundled(
    config: BundledConfig,
    data: BundledData,
    folder: Path,
    *,
    device: str = "cpu",
    progress: Progress = no_progress,
    tell: Callable[[str], None] | None = None,
    start: Mapping[str, Tensor] | Matching | None = None,
    origin: dict[str, Any] | None = None,
    ranks: Ranks = ALONE,
) -> Path:
    """Train the bundled model, or go on with a run that was cut, and export it.

    Parameters
    ----------
    config : BundledConfig
    data : BundledData
        What `napari_sam.training.bundled.dataset.read_data` read.
    folder : Path
        Gets the bank of scenes, the checkpoints, the log with its plot, and in the end the weights and their card.
    device : str
        A torch device.
    progress : Progress
        Called with the share of each stage that is done; may raise `Cancelled`. A run that trains already writes a
        checkpoint then, and lets it pass.
    tell : callable, optional
        Called with words for every new stage, and after every step.
    start : mapping of str to Tensor or Matching, optional
        Weights to begin with, or a trained model whose features a new encoder begins with, where there is no checkpoint
        to go on from.
    origin : dict, optional
        More on where the run is from, for the card.
    ranks : Ranks
        The processes that train together, each with the same arguments.

    Returns
    -------
    Path
        The weights.

    Raises
    ------
    DeviceError
        If the memory of a GPU runs out.
    """
    tell = tell or (lambda _words: None)
    # One after the other: what the first one renders, the others find.
    source = ranks.in_turn(lambda: _source(config, data, folder, progress, tell))
    facts = data.facts | {
        "commit": commit(),
        # Read back where the run goes on.
        "bundled": {name: getattr(config, name) for name in ("scenes", "kinds_share", "real_share", "held_out")},
    }
    if isinstance(start, Matching):
        # A run that goes on has learnt more than what it began with.
        resuming, matching = (folder / CHECKPOINT).exists(), start
        start = None if resuming else ranks.first_alone(lambda: _match(config, matching, source, progress, tell))
    build = partial(TrainableCompact, config.model)
    facts |= origin or {}
    trainer = Trainer(build, config.training, source, folder, device, start=start, origin=facts, ranks=ranks)

    def check(average: CompactSam) -> dict[str, float]:
        tell("Checking")
        numbers = _check(average, data, progress)
        # Drawn at every check, for whoever looks on.
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
    return ranks.first_alone(lambda: _export_better(config, folder, data, trainer, progress, tell))


def _match(
    config: BundledConfig, matching: Matching, source: CropSource, progress: Progress, tell: Callable[[str], None]
) -> dict[str, Tensor]:
    # The student begins with random weights: the same ones for the same seed.
    torch.manual_seed(config.training.seed)
    student = CompactSam(config.model)
    return matched_start(
        student, matching.teacher, matching.trunk, source, seed=config.training.seed, progress=progress, tell=tell
    )


def _source(
    config: BundledConfig, data: BundledData, folder: Path, progress: Progress, tell: Callable[[str], None]
) -> CropSource:
    """Open the bank, and put real images where the processes that draw batches can share them."""
    # Without an object there is nothing to prompt for.
    nuclei, kinds = ([image for image in images if image.labels.any()] for images in (data.nuclei, data.kinds))
    shared: list[Sequence[LabelledImage]] = [nuclei, kinds]
    if config.training.workers:
        folder.mkdir(parents=True, exist_ok=True)
        shared = [
            share_images(images, folder / f"{name}.bin") for name, images in (("nuclei", nuclei), ("kinds", kinds))
        ]
    pools: list[tuple[Pool, float]] = []
    if nuclei:
        pools.append((TypicalPool(shared[0]), config.real_share))
    if kinds:
        pools.append((ObjectPool(shared[1], data.settings), config.kinds_share))
    if config.scenes:
        tell("Rendering scenes")
        seed = config.training.seed
        bank = open_bank(folder / "bank", config.scenes, seed=seed, workers=config.workers, progress=progress)
        pools.append((ScenePool(bank), max(0.0, 1 - config.real_share - config.kinds_share)))
    return CropSource(pools)


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


def _check(model: CompactSam, data: BundledData, progress: Progress) -> dict[str, float]:
    """Measure some objects of each held-out part: what the log shows, and the score."""
    some = {
        "": data.nuclei_held_out[:: max(1, len(data.nuclei_held_out) // _CHECKED_IMAGES)],
        "kinds ": spread(data.kinds_held_out, 2 * _CHECKED_IMAGES),
        "unseen ": unseen_images(_CHECKED_SCENES),
    }
    numbers: dict[str, float] = {}
    measured = []
    for done, (name, images) in enumerate(some.items()):
        part = measure(model, images, _CHECKED_OBJECTS, lambda share, done=done: progress((done + share) / len(some)))
        measured.append(part.get("all"))
        numbers |= {f"{name}{measure}": value for measure, value in part.get("all", {}).items()}
    return numbers | {SCORE: score(*measured)}


def score(*measured: Mapping[str, float] | None) -> float:
    """Mean over 1 click, 3 clicks and a box, and over sets of images; those that are None are left out."""
    values = [numbers[name] for numbers in measured if numbers is not None for name in _SCORED]
    return sum(values) / len(values)


def _export_better(
    config: BundledConfig,
    folder: Path,
    data: BundledData,
    trainer: Trainer[CompactSam],
    progress: Progress,
    tell: Callable[[str], None],
) -> Path:
    """Measure the last and the best averaged model on all of the validation images, and export the better one."""
    files, ranked = [folder / CHECKPOINT], []
    # There is none where the run ended before its first check.
    if trainer.best.path.exists():
        files.append(trainer.best.path)
    scenes = unseen_images(config.unseen)
    measured = []
    for file in files:
        tell("Fitting the order of candidates, measuring")
        # In half precision, as it will be shipped.
        model = load_average(file, config.model)[0].to(trainer.device)
        model = fit_ranker(model, ranking_images(data), seed=config.training.seed, progress=progress)
        ranked.append(model)
        objects = config.checked_objects
        nuclei = measure(model, data.nuclei_held_out, objects, lambda share: progress(0.4 * share), automatic=True)
        kinds = measure(model, data.kinds_held_out, objects, lambda share: progress(0.4 + 0.4 * share))
        unseen = measure(model, scenes, objects, lambda share: progress(0.8 + 0.2 * share))
        measured.append((score(*(part.get("all") for part in (nuclei, kinds, unseen))), nuclei, kinds, unseen))
    better = max(range(len(files)), key=lambda index: measured[index][0])
    _, nuclei, kinds, unseen = measured[better]
    if (folder / LOG).exists():
        draw_log(folder / LOG)
    weights, card, average = folder / WEIGHTS, folder / CARD, ranked[better].cpu()
    return export(files[better], weights, card, nuclei, config.model, kinds=kinds, unseen=unseen, average=average)
