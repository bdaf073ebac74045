"""Learning from planes: with adapters, for so many minutes, with as much at a time as memory allows."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sam.errors import DeviceError, InputError
from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.progress import no_progress
from napari_sam.training.config import TrainingConfig, usual
from napari_sam.training.data.augment import disturb_gently
from napari_sam.training.data.batches import CropSource
from napari_sam.training.data.object_texts import ObjectTexts
from napari_sam.training.data.pools import KindSettings, ObjectPool, ScenePool
from napari_sam.training.finetune.encoded import EncodedSource, encode_planes
from napari_sam.training.finetune.leavings import ENCODED
from napari_sam.training.finetune.trainable import TrainableAdapter
from napari_sam.training.loop import Trainer
from napari_sam.training.networks.adaptable import adaptable
from napari_sam.training.synthetic.scene_dataset import SceneBank
from napari_sam.training.synthetic.scenes import draw_scene
from napari_sam.training.text.embeddings import ObjectCrops, embed_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

    from napari_sam.progress import Progress
    from napari_sam.training.data.batches import BatchSource
    from napari_sam.training.finetune.known import KnownEmbeddings
    from napari_sam.training.material import TaughtPlane
    from napari_sam.training.networks.base import BaseModel, Network
    from napari_sam.training.ranks import Ranks
    from napari_sam.training.text.embeddings import ClipModelToUse, Embedded

_NEVER = 1e9  # seconds
_STEPS = 100_000  # more than there is time for
_RATE = 4e-3
_SIZES = (16.0, 96.0)  # crop pixels of an object: what the model brings an object to before it looks closely
_OBJECTS_OF_SAM = 4
_LEAST_SHOWN = 100  # pixels of an object that a CLIP model is shown
_ASKED_BY_WORDS = 0.5  # of the objects, where words are taught: clicks and boxes must not be forgotten
_WHOLE, _PARTLY = "all labelled", "some labelled"

_REHEARSED = 0.2
"""Share of crops that are of synthetic scenes, so that what was learnt from others is not forgotten (Robins 1995)."""

_SCENES, _SCENE_SIDE = 96, 256  # pixels

_ENCODING = 0.3
"""Share of the time that planes may be encoded in."""

_LITTLE_MEMORY = ("not enough memory", "can't allocate memory", "alloc")  # what PyTorch says of a processor's


@dataclass(frozen=True, slots=True)
class FinetuneConfig:
    """How to teach.

    Attributes
    ----------
    minutes : float
        Of learning, planes encoded ahead included; what is measured before and after takes its own time.
    rank : int
        Of the adapters.
    learning_rate : float or None
        Highest; None: what suits the model.
    objects : int
        Of each crop.
    encoder_blocks : int
        How many of the last blocks of a SAM's image encoder learn, too.
    measured_objects, searched : int
        Held-out objects that are prompted for, and planes on which all objects are searched for.
    licence : str
        Of what comes out, as the person chooses it.
    keep_worse : bool
        Keep the model in any case.
    seed : int
    """

    minutes: float = 10.0
    rank: int = 16
    learning_rate: float | None = None
    objects: int = 6
    encoder_blocks: int = 0
    measured_objects: int = 60
    searched: int = 3
    licence: str = ""
    keep_worse: bool = False
    seed: int = 0


def learn(
    config: FinetuneConfig,
    base: BaseModel,
    planes: tuple[TaughtPlane, ...],
    folder: Path,
    device: str,
    progress: Progress,
    tell: Callable[[str], None],
    ranks: Ranks,
    known: KnownEmbeddings | None,
    seen: Embedded | None,
) -> tuple[Trainer[Network], dict[str, Tensor]]:
    """Learn from planes, with as many at a time as memory allows; return the run, and the adapter."""
    training = training_config(config, base.network, torch.device(device).type)
    space = None if seen is None else seen.space
    build = partial(TrainableAdapter, base, config.rank, config.encoder_blocks, space)
    # One after the other: what the first one encodes, the others find.
    limit = _ENCODING * 60 * config.minutes if ranks.first else 0.0
    source, spent = ranks.in_turn(
        lambda: batch_source(
            config, base, planes, folder, seconds=limit, known=known, seen=seen, progress=progress, tell=tell
        )
    )
    if training.max_seconds is not None:
        training = replace(training, max_seconds=max(1.0, training.max_seconds - ranks.value(spent)))
    while True:
        trainer = Trainer(build, training, source, folder, device, ranks=ranks)
        tell("Learning")
        try:
            average = trainer.run(progress, tell=partial(_tell_minutes, tell, trainer))
            return trainer, build().learnt(average)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _is_for_want_of_memory(error):
                raise
            training = _smaller(training, device)
            tell(f"Not enough memory: going on with {training.images} crops and {training.objects} objects at a time")


def show_objects(network: Network, images: Sequence[LabelledImage], clip: ClipModelToUse, folder: Path) -> Embedded:
    """Show the objects of planes to a CLIP model, once for all parts of a run.

    Raises
    ------
    InputError
        If the network takes words of another one, or no object is large enough.
    """
    space = network.text_space
    if space is not None and space.model != clip.name:
        raise InputError(
            f"This model takes words of {space.model} already, and cannot learn those of {clip.name} as well. "
            f"Use --clip {space.source or space.model}, or begin with a model without words."
        )
    try:
        return embed_objects(images, clip, ObjectCrops(_LEAST_SHOWN), folder)
    except InputError as error:
        raise InputError(
            f"No object covers {_LEAST_SHOWN} pixels or more, so that there is nothing to learn words by. Leave out "
            "--text, or label larger objects."
        ) from error


def _tell_minutes(tell: Callable[[str], None], trainer: Trainer[Network], words: str) -> None:
    """Count minutes in the place of steps, of which there are more than there is time for."""
    limit = (trainer.config.max_seconds or 0.0) / 60
    tell(f"step {trainer.step}, {trainer.seconds / 60:.1f} of {limit:.1f} minutes, {words.rpartition(', ')[2]}")


def batch_source(
    config: FinetuneConfig,
    base: BaseModel,
    planes: tuple[TaughtPlane, ...],
    folder: Path,
    *,
    seconds: float,
    known: KnownEmbeddings | None = None,
    seen: Embedded | None = None,
    progress: Progress = no_progress,
    tell: Callable[[str], None] = lambda _words: None,
) -> tuple[BatchSource, float]:
    """Make what draws batches of planes.

    Parameters
    ----------
    config : FinetuneConfig
    base : BaseModel
    planes : tuple of TaughtPlane
    folder : Path
        Of the run: gets what is encoded ahead.
    seconds : float
        After which no turned plane is encoded.
    known : KnownEmbeddings, optional
    seen : Embedded, optional
        What a CLIP model makes of the objects of the planes, in their order: half of them are asked for by it.
    progress : Progress
    tell : callable

    Returns
    -------
    source : BatchSource
    spent : float
        Seconds that it took to encode planes ahead.
    """
    learner = adaptable(base.network, config.encoder_blocks)
    texts = None if seen is None else ObjectTexts(seen.vectors, seen.space.width, _ASKED_BY_WORDS)
    if learner.canvas_side is not None:
        tell("Encoding planes")
        began, blocks = time.monotonic(), config.encoder_blocks
        encoded = encode_planes(
            base.network,
            # What is kept without the last blocks is something else.
            f"{base.sha256} {blocks}" if blocks else base.sha256,
            planes,
            folder / ENCODED,
            seconds=seconds,
            known=None if blocks else known,
            begin=learner.begin,
            progress=progress,
        )
        return EncodedSource(base.network, planes, encoded, learner.window, texts), time.monotonic() - began
    # A part of the encoder learns, too, so that crops are encoded in every step.
    images = [LabelledImage(plane.name, _kind(plane), plane.image, plane.labels) for plane in planes]
    kinds = {kind: [image for image in images if image.kind == kind] for kind in (_WHOLE, _PARTLY)}
    settings = {kind: KindSettings(float(len(some)), kind == _WHOLE) for kind, some in kinds.items() if some}
    taught = ObjectPool(images, settings, _SIZES)
    if texts is not None:
        # No CLIP model has been trained on scenes, whose colours mean nothing.
        return CropSource([(taught, 1.0)], texts), 0.0
    rehearsed = ScenePool(_scenes(config.seed))
    return CropSource([(taught, 1 - _REHEARSED), (rehearsed, _REHEARSED)], disturb=disturb_gently), 0.0


def _scenes(seed: int) -> SceneBank:
    """Render a few of the scenes that the bundled model learnt from."""
    images, labels = zip(
        *(draw_scene(np.random.default_rng((seed, index)), _SCENE_SIDE) for index in range(_SCENES)), strict=True
    )
    return SceneBank((np.stack(images),), (np.stack(labels),))


def training_config(config: FinetuneConfig, network: Network, device_type: str) -> TrainingConfig:
    """Return how to train: what is usual for the device, but for a short run on few images."""
    training = replace(
        usual(device_type),
        steps=_STEPS,
        max_seconds=60 * config.minutes,
        objects=config.objects,
        learning_rate=config.learning_rate or _RATE,
        weight_decay=0.0,
        warmup=20,
        ema=0.99,
        seed=config.seed,
        save_every=30.0,
        check_every=_NEVER,
        workers=0,
    )
    side = adaptable(network).canvas_side
    if side is None:
        return training
    # One plane fills the processor; its features do not lie about in several threads.
    return replace(training, images=1, threads=1, objects=_OBJECTS_OF_SAM, sides=(side,), extra_rounds=1)


def _is_for_want_of_memory(error: BaseException) -> bool:
    ours = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return ours or any(words in str(error).lower() for words in _LITTLE_MEMORY)


def _smaller(training: TrainingConfig, device: str) -> TrainingConfig:
    """Halve what is worked on at a time.

    Raises
    ------
    DeviceError
        If it cannot be less.
    """
    if training.threads > 1:
        return replace(training, threads=training.threads // 2)
    if training.images > 1:
        return replace(training, images=training.images // 2)
    if training.objects > 1:
        return replace(training, objects=training.objects // 2)
    raise DeviceError(f"The memory of {device} is not enough to teach this model. Teach the bundled one.")


def _kind(plane: TaughtPlane) -> str:
    return _WHOLE if plane.complete else _PARTLY
