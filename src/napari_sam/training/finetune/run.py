"""A run of teaching: measured, taught, measured again, and kept where it is better."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from napari_sam import __version__
from napari_sam.checkpoints.adapters.base_model import apply_adapter
from napari_sam.checkpoints.adapters.file import DOWN, Adapter, AdapterOrigin, write_adapter
from napari_sam.errors import InputError
from napari_sam.files import write_whole
from napari_sam.model.text_projection import PART
from napari_sam.progress import no_progress
from napari_sam.training.finetune.known import KnownEmbeddings
from napari_sam.training.finetune.learning import FinetuneConfig, learn, show_objects
from napari_sam.training.finetune.leavings import (
    ADAPTER_FILE,
    BEFORE,
    CLIP,
    REPORT,
    SAMPLES_BEFORE,
    finished_report,
)
from napari_sam.training.finetune.measuring import (
    WORDS,
    Measured,
    measure_elsewhere,
    measure_model,
    once,
    sample_images,
    searched_planes,
)
from napari_sam.training.finetune.pictures import draw_comparison
from napari_sam.training.finetune.report import FinetuneReport
from napari_sam.training.finetune.verdict import MOST_LOSS, judge, loss
from napari_sam.training.networks.adaptable import adaptable
from napari_sam.training.ranks import ALONE, Ranks
from napari_sam.training.text.measuring import measure_words

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from torch import Tensor

    from napari_sam.cache.disk import DiskStore
    from napari_sam.progress import Progress
    from napari_sam.training.material import MaterialSplit, TaughtPlane
    from napari_sam.training.networks.base import BaseModel, Network
    from napari_sam.training.text.embeddings import ClipModelToUse, Embedded

_RUN = "run.json"

_SAMPLED = 24  # objects of the sample images
_STRENGTHS = (0.6, 0.45, 0.3)
"""Of what was learnt: less of it forgets less (Wortsman et al. 2022, who mix the weights of before and after). Of all
that a run of seven minutes on gravel had learnt, nuclei lost .034; of seven tenths .024, of half .014, while gravel had
gained nine tenths and eight tenths of its clicks, and more of what is found without prompts."""

_MEASURING, _LEARNING = 0.12, 0.7
"""Shares of the whole, for the bar of progress: before it is learnt, and that itself."""


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
    clip: ClipModelToUse | None = None,
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
    clip : ClipModelToUse, optional
        The CLIP model whose words are taught, too: objects are asked for by what it makes of them.

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
    learner = adaptable(base.network, config.encoder_blocks)  # refuses what cannot learn
    if (done := ranks.first_alone(lambda: _claim(folder, config, origin, split, clip))) is not None:
        tell("This run is at its end. To teach for longer, give another folder.")
        return done
    known = None if learner.canvas_side is None else KnownEmbeddings(base.sha256, cache)
    seen = None
    if clip is not None:
        tell("Showing objects to CLIP")
        shown = [plane.labelled for plane in (*split.training, *split.held_out)]
        seen = ranks.in_turn(lambda: show_objects(base.network, shown, clip, folder / CLIP))
    measuring = _Measuring(config, split, folder, progress, known, seen)
    network = base.network.to(device)
    tell("Measuring the model as it is")
    before, samples_before = ranks.first_alone(lambda: measuring.before(network))
    learning = _part(progress, _MEASURING, _LEARNING)
    trainer, tensors = learn(config, base, split.training, folder, device, learning, tell, ranks, known, seen)

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
            new = {name for name in tensors if PART in name} if base.network.text_space is None else set()
            kept = weakened(tensors, strength, new)
            write_adapter(folder / ADAPTER_FILE, Adapter(kept, origin, report.to_dict(), measuring.space))
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
        seen: Embedded | None,
    ) -> None:
        self.held_out = [plane.labelled for plane in split.held_out]
        self._folder, self._progress = folder, progress
        self._most, self._known = config.measured_objects, known
        self.space = None if seen is None else seen.space
        self._vectors = () if seen is None else seen.vectors[len(split.training) :]
        # A model whose encoder has learnt sees planes in another way.
        self._known_after = None if config.encoder_blocks else known
        searched = searched_planes(self.held_out, [plane.complete for plane in split.held_out], config.searched)
        self._measure = partial(measure_model, images=self.held_out, most_objects=self._most, searched=searched)
        self._samples = partial(measure_model, images=sample_images(), most_objects=_SAMPLED)

    def before(self, network: Network) -> tuple[Measured, Measured]:
        """Measure a model as it is, once for all parts of a run: on held-out planes, on the samples."""
        progress = _part(self._progress, 0, _MEASURING)
        held_out = once(
            self._folder / BEFORE,
            lambda: self._with_words(network, self._measure(network, known=self._known, progress=progress)),
        )
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
            apply_adapter(self._folder / ADAPTER_FILE, taught, tensors, strength, self.space)
            samples = self._samples(taught, known=self._known_after)
            if loss(samples_before.numbers, samples.numbers) <= MOST_LOSS:
                break
        progress = _part(self._progress, _MEASURING + _LEARNING, 1 - _MEASURING - _LEARNING)
        held_out = self._measure(taught, known=self._known_after, progress=progress)
        return strength, samples, self._with_words(taught, held_out), taught

    def _with_words(self, network: Network, measured: Measured) -> Measured:
        """Measure what a model answers to words, too, where they are taught."""
        if self.space is None:
            return measured
        # One that takes none finds nothing by them.
        found = {WORDS: 0.0}
        if network.text_space is not None:
            found |= measure_words(network, self.space, self.held_out, self._vectors, self._most)
        return replace(measured, numbers=measured.numbers | {WORDS: round(found[WORDS], 4)})

    def elsewhere(self, taught: Network) -> float:
        """Measure what a model has without looking."""
        return measure_elsewhere(taught, self.held_out, most_objects=self._most, known=self._known_after)


def _part(progress: Progress, start: float, share: float) -> Progress:
    """Tell the progress of a part as that of the whole."""
    return lambda done: progress(start + share * done)


def _claim(
    folder: Path, config: FinetuneConfig, origin: AdapterOrigin, split: MaterialSplit, clip: ClipModelToUse | None
) -> FinetuneReport | None:
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
    run: dict[str, object] = {
        "base": origin.sha256,
        "labels": hasher.hexdigest(),
        "rank": config.rank,
        "seed": config.seed,
    }
    if config.encoder_blocks:
        run["encoder_blocks"] = config.encoder_blocks
    if clip is not None:
        run["clip"] = clip.name
    if not file.exists():
        write_whole(file, json.dumps(run))
    elif json.loads(file.read_text(encoding="utf-8")) != run:
        raise InputError(
            f"{folder} holds a run with another model, other labels or another rank, or where another part learns. "
            "Give another folder, or delete this one."
        )
    return finished_report(folder)


def weakened(tensors: Mapping[str, Tensor], strength: float, new: Collection[str] = frozenset()) -> dict[str, Tensor]:
    """Take less of an adapter: of two factors, one is made smaller; what is new is left whole."""
    return {
        name: tensor if name.endswith(DOWN) or name in new else strength * tensor for name, tensor in tensors.items()
    }


def _count(plane: TaughtPlane) -> int:
    return len(set(plane.labels.ravel().tolist()) - {0})
