"""How good a model is on a person's own labels: clicks, a box, and everything at once."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from napari_sam import samples
from napari_sam.automatic import segment_everything
from napari_sam.evaluation.average_precision import average_precision
from napari_sam.evaluation.clicks import evaluate
from napari_sam.evaluation.dataset import LabelledImage, spread
from napari_sam.evaluation.metrics import object_measures
from napari_sam.files import part_path, replacing
from napari_sam.predictor import Predictor
from napari_sam.progress import no_progress
from napari_sam.training.finetune.known import KnowingPredictor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.model.protocol import PromptableModel
    from napari_sam.predictor import Embedding
    from napari_sam.progress import Progress
    from napari_sam.training.finetune.known import KnownEmbeddings

WORDS = "words"
MEASURES = ("1 click", "3 clicks", "box", "AP@50", "AP", WORDS)
"""What is measured, in the order of tables. Of a model that finds nothing by itself, AP is missing, and
words where none are taught."""

_CLICKS = 3
_MOVES = ((0.37, 0.41), (0.59, 0.23))
"""Shares of the height and of the width. Two: objects in rows may meet their neighbours with one."""
_LABELS = "labels of "


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What came out.

    Attributes
    ----------
    numbers : dict of str to float
        Those of `MEASURES` that could be taken, 0 to 1; "objects" and "planes", how many there were; "everything", on
        how many planes all objects were searched for.
    labels : dict of str to numpy.ndarray
        Of each such plane, by its name, what was found there: (H, W) int.
    """

    numbers: dict[str, float]
    labels: dict[str, NDArray[np.integer[Any]]]


def measure_model(
    model: PromptableModel,
    images: Sequence[LabelledImage],
    *,
    most_objects: int,
    searched: Sequence[str] = (),
    known: KnownEmbeddings | None = None,
    progress: Progress = no_progress,
) -> Measured:
    """Measure a model on labelled planes.

    Parameters
    ----------
    model : PromptableModel
    images : sequence of LabelledImage
    most_objects : int
        For clicks and boxes, of all images together; as many of each.
    searched : sequence of str
        Names of images on which to search for all objects, if the model can.
    known : KnownEmbeddings, optional
        By the model's image encoder: what is there is not encoded again, and what is encoded is kept there.
    progress : Progress
        May raise `Cancelled`.
    """
    # No falling back on the processor when memory runs out: that would move the model away from its training.
    predictor = Predictor(model, "unsaved", fall_back=False) if known is None else KnowingPredictor(model, known)
    precision: list[NDArray[np.float64]] = []
    labels: dict[str, NDArray[np.integer[Any]]] = {}

    def visit(item: LabelledImage, embedding: Embedding) -> None:
        if item.name in searched and predictor.has_dense_head:
            labels[item.name] = segment_everything(predictor, embedding)
            precision.append(average_precision(item.labels, labels[item.name]))

    each = max(1, round(most_objects / max(1, len(images))))
    scores = evaluate(predictor, images, clicks=_CLICKS, most_objects=each, progress=progress, visit=visit)
    numbers = {name: value for name, value in object_measures(scores).items() if name in MEASURES}
    if precision:
        numbers |= {"AP@50": float(np.mean([row[0] for row in precision])), "AP": float(np.mean(precision))}
    numbers |= {"objects": float(len(scores)), "planes": float(len(images)), "everything": float(len(precision))}
    return Measured({name: round(value, 4) for name, value in numbers.items()}, labels)


def measure_elsewhere(
    model: PromptableModel,
    images: Sequence[LabelledImage],
    *,
    most_objects: int,
    known: KnownEmbeddings | None = None,
) -> float:
    """Measure a model where the labels of planes were moved to other places: what it has without looking.

    Returns
    -------
    float
        Mean over clicks and box, and over some moves; NaN without objects.
    """
    scores = []
    for down, right in _MOVES:
        moved = [replace(image, labels=_rolled(image.labels, down, right)) for image in images]
        scores.append(prompted_score(measure_model(model, moved, most_objects=most_objects, known=known).numbers))
    return float(np.mean(scores))


def _rolled(labels: NDArray[np.integer[Any]], down: float, right: float) -> NDArray[np.integer[Any]]:
    height, width = labels.shape
    return np.roll(labels, (round(down * height), round(right * width)), (0, 1))


def once(file: Path, measure: Callable[[], Measured]) -> Measured:
    """Measure, and keep what came out in a file; where there is one, read that."""
    if file.exists():
        with suppress(OSError, ValueError, KeyError, BadZipFile), np.load(file, allow_pickle=False) as saved:
            labels = {name.removeprefix(_LABELS): saved[name] for name in saved.files if name.startswith(_LABELS)}
            return Measured(json.loads(str(saved["numbers"])), labels)
    found = measure()
    with replacing(file, part_path(file)) as part, part.open("wb") as stream:
        labels = {_LABELS + name: values for name, values in found.labels.items()}
        np.savez_compressed(stream, numbers=np.array(json.dumps(found.numbers)), **labels)
    return found


def prompted_score(numbers: Mapping[str, float]) -> float:
    """Mean over one click, three clicks and a box, of those that were measured; NaN if none was."""
    values = [numbers[name] for name in ("1 click", "3 clicks", "box") if name in numbers]
    return float(np.mean(values)) if values else float("nan")


def sample_images() -> list[LabelledImage]:
    """Give the labelled images of the package, by which it is told what a model forgets: nuclei and whole cells."""
    images = []
    for name in samples.LABELLED:
        (data, _options, _kind), *_ = getattr(samples, name)()
        images.append(LabelledImage(name, name, np.asarray(data), samples.labels_of(name)))
    return images


def searched_planes(images: Sequence[LabelledImage], complete: Sequence[bool], most: int) -> tuple[str, ...]:
    """Choose planes to search for all objects on: of those where all are labelled, as nothing can be said of others."""
    return tuple(image.name for image in spread([i for i, whole in zip(images, complete, strict=True) if whole], most))
