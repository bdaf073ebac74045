"""A model learns words: from labelled images and a CLIP model to a checkpoint with a text projection.

After Segment Anything (Kirillov et al. 2023, section 7.5 and appendix D.5): no words are needed to train. The first
prompt is what CLIP's image tower makes of the object, then come clicks; in use, what its text tower makes of a phrase
takes that place.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_sam.errors import DeviceError, InputError
from napari_sam.model.sam.sam import Sam
from napari_sam.progress import no_progress
from napari_sam.training.bundled.export import commit
from napari_sam.training.config import TrainingConfig, usual
from napari_sam.training.data.batches import CropSource
from napari_sam.training.data.loader import share_images
from napari_sam.training.data.object_texts import ObjectTexts
from napari_sam.training.data.pools import ObjectPool
from napari_sam.training.log_plot import draw_log
from napari_sam.training.loop import CHECKPOINT, LOG, SCORE, Trainer
from napari_sam.training.text.embeddings import ObjectCrops, embed_objects
from napari_sam.training.text.export import export_words
from napari_sam.training.text.measuring import measure_words
from napari_sam.training.text.trainable import TrainableText, description_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.evaluation.dataset import LabelledImage
    from napari_sam.progress import Progress
    from napari_sam.training.networks.base import BaseModel, Network
    from napari_sam.training.text.embeddings import ClipModelToUse, Embedded
    from napari_sam.training.text.images import TextData
    from napari_sam.training.text.trainable import Trained

_ASKED_BY_WORDS = 0.5  # of the objects, where clicks and boxes must not be forgotten
_STEPS_ON_CPU, _STEPS_ON_GPU = 2000, 10_000
_IMAGES_OF_SAM = {"cpu": 1}  # in a step, on each thread; on a GPU:
_IMAGES_ON_GPU = 8


@dataclass(frozen=True, slots=True)
class TextConfig:
    """A whole run.

    Attributes
    ----------
    trained : {"projection", "decoder", "all"}
        What learns. With more than the projection, half of the objects are pointed at, so that this is not forgotten.
    training : TrainingConfig
    crops : ObjectCrops
        What the CLIP model is shown.
    checked_objects : int
        Objects of each validation image.
    """

    trained: Trained = "decoder"
    training: TrainingConfig = field(default_factory=TrainingConfig)
    crops: ObjectCrops = field(default_factory=ObjectCrops)
    checked_objects: int = 6


def usual_training(device_type: str, network: Network) -> TrainingConfig:
    """Return settings that suit a device and a model.

    Parameters
    ----------
    device_type : str
        "cuda", "cpu", ...
    network : CompactSam or Sam
        Crops for a SAM are as large as its canvas, so that there are few of them in a step.
    """
    cpu = device_type == "cpu"
    config = replace(
        usual(device_type), steps=_STEPS_ON_CPU if cpu else _STEPS_ON_GPU, learning_rate=1e-3, warmup=100, ema=0.995
    )
    if not isinstance(network, Sam):
        return config
    images = _IMAGES_OF_SAM.get(device_type, _IMAGES_ON_GPU)
    return replace(config, sides=(network.config.side,), reference_side=None, images=images)


def resumed(folder: Path) -> TrainingConfig | None:
    """Read the settings of the run in a folder; None where there is none.

    Raises
    ------
    InputError
        If its checkpoint cannot be read.
    """
    state = _checkpoint(folder)
    return None if state is None else TrainingConfig.restored(state["config"])


def train_text(
    config: TextConfig,
    base: BaseModel,
    data: TextData,
    clip: ClipModelToUse,
    folder: Path,
    *,
    device: str = "cpu",
    progress: Progress = no_progress,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Teach a model words, or go on with a run that was cut, and export it.

    Parameters
    ----------
    config : TextConfig
    base : BaseModel
        What it is before.
    data : TextData
    clip : ClipModelToUse
        Whose embeddings stand for words. It is not loaded where it has seen all objects before.
    folder : Path
        Gets the embeddings, the checkpoints, the log with its plot, and in the end the weights and their card.
    device : str
        A torch device.
    progress : Progress
        Called with the share of each stage that is done; may raise `Cancelled`, after which the same call goes on.
    tell : callable, optional
        Called with words for every new stage, and after every step.

    Returns
    -------
    Path
        The checkpoint, which `napari_sam.load_predictor` takes.

    Raises
    ------
    InputError
        If the folder holds a run with another model, CLIP model or `trained`, the base takes words of another CLIP
        model, its encoder cannot be trained, or no object is large enough.
    DeviceError
        If the memory of a GPU runs out.
    """
    tell = tell or (lambda _words: None)
    _require_trainable(base, config.trained, clip)
    tell("Showing objects to CLIP")
    seen = embed_objects([*data.images, *data.held_out], clip, config.crops, folder / "clip", progress)

    def measure(network: Network) -> dict[str, float]:
        known = seen.vectors[len(data.images) :]
        return measure_words(network, seen.space, data.held_out, known, config.checked_objects, progress)

    def check(average: Network) -> dict[str, float]:
        tell("Checking")
        numbers = measure(average)
        if (folder / LOG).exists():
            draw_log(folder / LOG)
        return numbers | ({SCORE: numbers["words"]} if numbers else {})

    trainer = _trainer(config, base, data, seen, folder, device)
    tell("Training")
    try:
        average = trainer.run(progress, check, tell)
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"The memory of {device} is not enough for {config.training.images} images in a step. "
            f"Run the command again with --batch {max(1, config.training.images // 2)}."
        ) from error
    tell("Measuring")
    measured = _take_better(trainer, average, measure)
    if (folder / LOG).exists():
        draw_log(folder / LOG)
    facts = _account(trainer, sum(map(len, seen.vectors[: len(data.images)])), measured)
    return export_words(base, average.state_dict(), seen.space, config.trained, folder, facts)


def _require_trainable(base: BaseModel, trained: Trained, clip: ClipModelToUse) -> None:
    if trained == "all" and not base.can_train_encoder:
        raise InputError("The image encoder of MobileSAM cannot be trained here. Use --train decoder or projection.")
    space = base.network.text_space
    if space is not None and space.model != clip.name:
        raise InputError(
            f"This model takes words of {space.model} already, and cannot learn those of {clip.name} as well. "
            f"Use --clip {space.source or space.model}, or begin with a model without words."
        )


def _trainer(
    config: TextConfig, base: BaseModel, data: TextData, seen: Embedded, folder: Path, device: str
) -> Trainer[Network]:
    """Make the run, or take it up where it was cut."""
    build = partial(TrainableText, base, seen.space, config.trained)
    state = _checkpoint(folder)
    if state is not None and state["model_config"] != description_of(base, seen.space, config.trained):
        raise InputError(
            f"{folder} holds a run with another model, CLIP model or --train. Give those that it was begun with, or "
            "another folder."
        )
    origin = {"commit": commit(), "device": device, "archives": data.cards}
    return Trainer(build, config.training, _source(config, data, seen, folder), folder, device, origin=origin)


def _source(config: TextConfig, data: TextData, seen: Embedded, folder: Path) -> CropSource:
    """Draw crops of the images that have an object to be asked for by words."""
    words_alone = config.trained == "projection"
    images: list[LabelledImage] = []
    vectors: list[dict[int, NDArray[np.float32]]] = []
    for image, known in zip(data.images, seen.vectors, strict=False):
        if known:
            # The projection learns nothing from an object that is pointed at.
            images.append(_only(image, known) if words_alone else image)
            vectors.append(known)
    if not images:
        raise InputError("No object of the images to train on is large enough. Give more, or a smaller --least-area.")
    shared = share_images(images, folder / "images.bin") if config.training.workers else images
    texts = ObjectTexts(vectors, seen.space.width, 1.0 if words_alone else _ASKED_BY_WORDS)
    return CropSource([(ObjectPool(shared, data.settings), 1.0)], texts)


def _only(image: LabelledImage, known: dict[int, NDArray[np.float32]]) -> LabelledImage:
    """Leave the objects of an image that have an embedding."""
    return replace(image, labels=np.where(np.isin(image.labels, list(known)), image.labels, 0))


def _take_better(
    trainer: Trainer[Network], average: Network, measure: Callable[[Network], dict[str, float]]
) -> dict[str, float]:
    """Measure the last averaged model, and put the best one of the checks in its place if that was better."""
    measured = measure(average)
    if measured and trainer.best.score > measured["words"]:
        best = torch.load(trainer.best.path, map_location=trainer.device, weights_only=True)
        average.load_state_dict(best["average"])
        measured = measure(average)
    return measured


def _account(trainer: Trainer[Network], objects: int, measured: dict[str, float]) -> dict[str, Any]:
    """Say for the card what was done, with what, and how good it is."""
    return {
        "training": {
            "steps": trainer.step,
            "hours": round(trainer.seconds / 3600, 2),
            "crops": trainer.crops,
            "objects_seen_by_clip": objects,
            "commit": trainer.origin.get("commit", "unknown"),
            "device": trainer.origin.get("device", "unknown"),
            "config": asdict(trainer.config),
        },
        "data": trainer.origin.get("archives", []),
        "validation": {
            "images": "a tenth of each kind; objects were asked for by CLIP embeddings of themselves, not by words",
            "metrics": {name: round(value, 4) for name, value in measured.items()},
        },
    }


def _checkpoint(folder: Path) -> dict[str, Any] | None:
    """Read a run's checkpoint, if there is one."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        TrainingConfig.restored(state["config"])
        str(state["model_config"])
    # What torch raises upon files of other kinds is not documented.
    except (RuntimeError, ValueError, LookupError, TypeError, EOFError, AttributeError, UnpicklingError) as error:
        raise InputError(f"{path} is not a checkpoint of a run, or damaged. Give another folder.") from error
    return state
