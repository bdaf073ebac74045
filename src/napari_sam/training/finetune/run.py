"""A run of teaching: measured, taught, measured again, and kept where it is better."""

from __future__ import annotations

import copy
import hashlib
import json
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sam import __version__
from napari_sam.checkpoints.adapters.base_model import apply_adapter
from napari_sam.checkpoints.adapters.file import DOWN, Adapter, AdapterOrigin, write_adapter
from napari_sam.errors import DeviceError, InputError
from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.files import write_whole
from napari_sam.progress import no_progress
from napari_sam.training.config import TrainingConfig, usual
from napari_sam.training.data.augment import disturb_gently
from napari_sam.training.data.batches import CropSource
from napari_sam.training.data.pools import KindSettings, ObjectPool, ScenePool
from napari_sam.training.finetune.encoded import EncodedSource, encode_planes
from napari_sam.training.finetune.known import KnownEmbeddings
from napari_sam.training.finetune.leavings import (
    ADAPTER_FILE,
    BEFORE,
    ENCODED,
    REPORT,
    SAMPLES_BEFORE,
    finished_report,
)
from napari_sam.training.finetune.measuring import (
    Measured,
    measure_elsewhere,
    measure_model,
    once,
    sample_images,
    searched_planes,
)
from napari_sam.training.finetune.pictures import draw_comparison
from napari_sam.training.finetune.report import FinetuneReport
from napari_sam.training.finetune.trainable import TrainableAdapter
from napari_sam.training.finetune.verdict import MOST_LOSS, judge, loss
from napari_sam.training.loop import Trainer
from napari_sam.training.networks.adaptable import adaptable
from napari_sam.training.ranks import ALONE, Ranks
from napari_sam.training.synthetic.scene_dataset import SceneBank
from napari_sam.training.synthetic.scenes import draw_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor

    from napari_sam.cache.disk import DiskStore
    from napari_sam.progress import Progress
    from napari_sam.training.data.batches import BatchSource
    from napari_sam.training.material import MaterialSplit, TaughtPlane
    from napari_sam.training.networks.base import BaseModel, Network

_RUN = "run.json"

_NEVER = 1e9  # seconds
_STEPS = 100_000  # more than there is time for
_RATE = 4e-3
_SIZES = (16.0, 96.0)  # crop pixels of an object: what the model brings an object to before it looks closely
_OBJECTS_OF_SAM = 4
_SAMPLED = 24  # objects of the sample images
_WHOLE, _PARTLY = "all labelled", "some labelled"
_STRENGTHS = (0.6, 0.45, 0.3)
"""Of what was learnt: less of it forgets less (Wortsman et al. 2022, who mix the weights of before and after). Of all
that a run of seven minutes on gravel had learnt, nuclei lost .034; of seven tenths .024, of half .014, while gravel had
gained nine tenths and eight tenths of its clicks, and more of what is found without prompts."""

_REHEARSED = 0.2
"""Share of crops that are of synthetic scenes, so that what was learnt from others is not forgotten (Robins 1995)."""

_SCENES, _SCENE_SIDE = 96, 256  # pixels

_ENCODING = 0.3
"""Share of the time that planes may be encoded in."""

_MEASURING, _LEARNING = 0.12, 0.7
"""Shares of the whole, for the bar of progress: before it is learnt, and that itself."""

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
    measured_objects: int = 60
    searched: int = 3
    licence: str = ""
    keep_worse: bool = False
    seed: int = 0


def finetune(
    config: FinetuneConfig,
    base: BaseModel,
    origin: AdapterOrigin,
    split: MaterialSplit,
    folder: Path,
    *,
    device: str = "cpu",
    progress: Progress = no_progress,
    tell: Callable[[str], None] | None = None,
    ranks: Ranks = ALONE,
    cache: DiskStore | None = None,
) -> FinetuneReport:
    """Teach a model, or go on with a run that was cut.

    Parameters
    ----------
    config : FinetuneConfig
    base : BaseModel
        Is not changed.
    origin : AdapterOrigin
        What the base model is.
    split : MaterialSplit
        What to learn from, and what to measure by.
    folder : Path
        Gets the checkpoints, and in the end `ADAPTER_FILE`, `REPORT` and pictures. The adapter of a model that is not
        better is not written.
    device : str
        A torch device.
    progress : Progress
        Called with the share of the whole that is done; may raise `Cancelled`, after which the same call goes on.
    tell : callable, optional
        Called with words for every new stage, and after every step.
    ranks : Ranks
        The processes that learn together, each with the same arguments.
    cache : DiskStore, optional
        The person's embeddings. They are used where they are those of the model and of planes that it learns from or
        is measured on; nothing is written there.

    Returns
    -------
    FinetuneReport

    Raises
    ------
    InputError
        If the folder holds a run with another model or other labels.
    DeviceError
        If memory runs out with one plane in a step.
    """
    tell = tell or (lambda _words: None)
    if (done := ranks.first_alone(lambda: _claim(folder, config, origin, split))) is not None:
        tell("This run is at its end. To teach for longer, give another folder.")
        return done
    known = None if adaptable(base.network).canvas_side is None else KnownEmbeddings(base.sha256, cache)
    measuring = _Measuring(config, split, folder, progress, known)
    network = base.network.to(device)
    tell("Measuring the model as it is")
    before, samples_before = ranks.first_alone(lambda: measuring.before(network))
    learning = _part(progress, _MEASURING, _LEARNING)
    trainer, tensors = _learn(config, base, split.training, folder, device, learning, tell, ranks, known)

    def conclude() -> FinetuneReport:
        tell("Measuring what was learnt")
        strength, samples_after, after, taught = measuring.after(network, tensors, samples_before)
        verdict = judge(before.numbers, after.numbers, same_image=split.same_image)
        if verdict.better:
            verdict = judge(
                before.numbers, after.numbers, elsewhere=measuring.elsewhere(taught), same_image=split.same_image
            )
        report = FinetuneReport(
            base=origin.name,
            minutes=round(trainer.seconds / 60, 2),
            steps=trainer.step,
            planes=len(split.training),
            objects=sum(map(_count, split.training)),
            split=split.words,
            strength=strength,
            before=before.numbers,
            after=after.numbers,
            samples_before=samples_before.numbers,
            samples_after=samples_after.numbers,
            better=verdict.better,
            kept=verdict.better or config.keep_worse,
            verdict=verdict.words,
            same_image=split.same_image,
            licence=config.licence,
            version=__version__,
        )
        draw_comparison(folder, measuring.held_out, before.labels, after.labels)
        (folder / ADAPTER_FILE).unlink(missing_ok=True)
        if report.kept:
            write_adapter(folder / ADAPTER_FILE, Adapter(weakened(tensors, strength), origin, report.to_dict()))
        # Last: where it is, the run is over.
        write_whole(folder / REPORT, json.dumps(report.to_dict(), indent=2) + "\n")
        return report

    return ranks.first_alone(conclude)


class _Measuring:
    """What a run is measured by: held-out planes, and the sample images."""

    def __init__(
        self,
        config: FinetuneConfig,
        split: MaterialSplit,
        folder: Path,
        progress: Progress,
        known: KnownEmbeddings | None,
    ) -> None:
        self.held_out = [plane.labelled for plane in split.held_out]
        self._folder, self._progress = folder, progress
        self._most, self._known = config.measured_objects, known
        searched = searched_planes(self.held_out, [plane.complete for plane in split.held_out], config.searched)
        self._measure = partial(measure_model, images=self.held_out, most_objects=self._most, searched=searched)
        self._samples = partial(measure_model, images=sample_images(), most_objects=_SAMPLED)

    def before(self, network: Network) -> tuple[Measured, Measured]:
        """Measure a model as it is, once for all parts of a run: on held-out planes, on the samples."""
        progress = _part(self._progress, 0, _MEASURING)
        held_out = once(self._folder / BEFORE, lambda: self._measure(network, known=self._known, progress=progress))
        return held_out, once(self._folder / SAMPLES_BEFORE, lambda: self._samples(network, known=self._known))

    def after(
        self, network: Network, tensors: Mapping[str, Tensor], samples_before: Measured
    ) -> tuple[float, Measured, Measured, Network]:
        """Take as much of what was learnt as forgets little.

        Returns
        -------
        strength : float
            How much that is.
        samples, held_out : Measured
            With it.
        taught : Network
        """
        for strength in _STRENGTHS:
            taught = copy.deepcopy(network)
            apply_adapter(self._folder / ADAPTER_FILE, taught, tensors, strength)
            samples = self._samples(taught, known=self._known)
            if loss(samples_before.numbers, samples.numbers) <= MOST_LOSS:
                break
        progress = _part(self._progress, _MEASURING + _LEARNING, 1 - _MEASURING - _LEARNING)
        return strength, samples, self._measure(taught, known=self._known, progress=progress), taught

    def elsewhere(self, taught: Network) -> float:
        """Measure what a model has without looking."""
        return measure_elsewhere(taught, self.held_out, most_objects=self._most, known=self._known)


def _part(progress: Progress, start: float, share: float) -> Progress:
    """Tell the progress of a part as that of the whole."""
    return lambda done: progress(start + share * done)


def _claim(folder: Path, config: FinetuneConfig, origin: AdapterOrigin, split: MaterialSplit) -> FinetuneReport | None:
    """Write which run a folder holds, or see that it is the same; return its report where it is at its end.

    Raises
    ------
    InputError
        If it is another.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file, hasher = folder / _RUN, hashlib.sha256()
    for plane in (*split.training, *split.held_out):
        hasher.update(f"{plane.group}{plane.image.shape}{plane.complete}".encode())
        hasher.update(plane.image.tobytes() + plane.labels.tobytes())
    run = {"base": origin.sha256, "labels": hasher.hexdigest(), "rank": config.rank, "seed": config.seed}
    if not file.exists():
        write_whole(file, json.dumps(run))
    elif json.loads(file.read_text(encoding="utf-8")) != run:
        raise InputError(
            f"{folder} holds a run with another model, other labels or another rank. Give another folder, or "
            "delete this one."
        )
    return finished_report(folder)


def _learn(
    config: FinetuneConfig,
    base: BaseModel,
    planes: tuple[TaughtPlane, ...],
    folder: Path,
    device: str,
    progress: Progress,
    tell: Callable[[str], None],
    ranks: Ranks,
    known: KnownEmbeddings | None,
) -> tuple[Trainer[Network], dict[str, Tensor]]:
    """Learn from planes, with as many at a time as memory allows; return the run, and the adapter."""
    training = training_config(config, base.network, torch.device(device).type)
    build = partial(TrainableAdapter, base, config.rank)
    # One after the other: what the first one encodes, the others find.
    source, spent = ranks.in_turn(lambda: _source(config, base, planes, folder, progress, tell, ranks, known))
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


def _tell_minutes(tell: Callable[[str], None], trainer: Trainer[Network], words: str) -> None:
    """Count minutes in the place of steps, of which there are more than there is time for."""
    limit = (trainer.config.max_seconds or 0.0) / 60
    tell(f"step {trainer.step}, {trainer.seconds / 60:.1f} of {limit:.1f} minutes, {words.rpartition(', ')[2]}")


def _source(
    config: FinetuneConfig,
    base: BaseModel,
    planes: tuple[TaughtPlane, ...],
    folder: Path,
    progress: Progress,
    tell: Callable[[str], None],
    ranks: Ranks,
    known: KnownEmbeddings | None,
) -> tuple[BatchSource, float]:
    """Make what draws batches; return it, and the seconds that it took to encode planes ahead."""
    learner = adaptable(base.network)
    if learner.canvas_side is not None:
        tell("Encoding planes")
        began, limit = time.monotonic(), _ENCODING * 60 * config.minutes if ranks.first else 0.0
        encoded = encode_planes(
            base.network, base.sha256, planes, folder / ENCODED, seconds=limit, known=known, progress=progress
        )
        return EncodedSource(base.network, planes, encoded, learner.window), time.monotonic() - began
    # A part of the encoder learns, too, so that crops are encoded in every step.
    images = [LabelledImage(plane.name, _kind(plane), plane.image, plane.labels) for plane in planes]
    kinds = {kind: [image for image in images if image.kind == kind] for kind in (_WHOLE, _PARTLY)}
    settings = {kind: KindSettings(float(len(some)), kind == _WHOLE) for kind, some in kinds.items() if some}
    taught, rehearsed = ObjectPool(images, settings, _SIZES), ScenePool(_scenes(config.seed))
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


def weakened(tensors: Mapping[str, Tensor], strength: float) -> dict[str, Tensor]:
    """Take less of an adapter: of two factors, one is made smaller."""
    return {name: tensor if name.endswith(DOWN) else strength * tensor for name, tensor in tensors.items()}


def _kind(plane: TaughtPlane) -> str:
    return _WHOLE if plane.complete else _PARTLY


def _count(plane: TaughtPlane) -> int:
    return len(set(plane.labels.ravel().tolist()) - {0})
