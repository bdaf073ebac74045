"""The benchmark of accuracy: one pass over labelled images, all measures of one model, for each type of image.

`measure_accuracy` does the work; `napari_sam.evaluation.report` shows what came out of it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam import __version__
from napari_sam.automatic import segment_everything
from napari_sam.evaluation.average_precision import THRESHOLDS, average_precision
from napari_sam.evaluation.clicks import CLICKS, LEAST_AREA, evaluate
from napari_sam.evaluation.metrics import answers, bootstrap_interval, calibration, object_means, object_measures
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam.evaluation.dataset import LabelledImage
    from napari_sam.evaluation.scores import ObjectScore
    from napari_sam.predictor import Embedding, Predictor
    from napari_sam.progress import Progress

ALL = "all"
"""The row that sums up every type of image."""


@dataclass(frozen=True, slots=True)
class ImageScore:
    """What automatic segmentation made of one image.

    Attributes
    ----------
    image, kind : str
        Which, and its type.
    precision : tuple of float
        Average precision at each of `napari_sam.evaluation.average_precision.THRESHOLDS`.
    """

    image: str
    kind: str
    precision: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """One type of image.

    Attributes
    ----------
    images, objects : int
        How many were measured.
    measures : dict of str to float
        What `napari_sam.evaluation.metrics.object_measures` gives; "AP" and "AP@50" for automatic segmentation. What
        could not be measured is missing.
    intervals : dict of str to (float, float)
        95 % intervals of those measures that are means.
    """

    images: int
    objects: int
    measures: dict[str, float]
    intervals: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class ModelAccuracy:
    """What came out for one model.

    Attributes
    ----------
    model : str
        Its name, as it was asked for.
    device : str
        Words for where it ran.
    objects : tuple of ObjectScore
    automatic : tuple of ImageScore
        Empty where the model cannot segment without prompts, or was not to.
    summaries : dict of str to Summary
        "all" first, then each type of image, by name.
    notes : tuple of str
        What was not measured, and why.
    """

    model: str
    device: str
    objects: tuple[ObjectScore, ...]
    automatic: tuple[ImageScore, ...]
    summaries: dict[str, Summary]
    notes: tuple[str, ...]

    def scores_of(self, kind: str) -> list[ObjectScore]:
        """Return the objects of one type of image, or of "all"."""
        return [score for score in self.objects if kind in (ALL, score.kind)]

    def precision_of(self, kind: str) -> NDArray[np.float64]:
        """Average precision of one type of image, or of "all": (images, thresholds), float64."""
        rows = [score.precision for score in self.automatic if kind in (ALL, score.kind)]
        # Where nothing was measured, the array still has a column for each threshold.
        return np.array(rows, dtype=np.float64).reshape(-1, len(THRESHOLDS))


@dataclass(frozen=True, slots=True)
class AccuracyReport:
    """What came out for one set of images.

    Attributes
    ----------
    data : str
        The set.
    models : tuple of ModelAccuracy
        At least one.
    clicks : int
        Made on each object.
    settings : dict
        Other settings that a person needs to repeat it.
    notes : tuple of str
        What a person should know about the set.
    """

    data: str
    models: tuple[ModelAccuracy, ...]
    clicks: int = CLICKS
    settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Rows of its tables: "all", and the types of image if there is more than one."""
        found = tuple(self.models[0].summaries)
        # With one type of image only, its row would repeat that of all.
        return found if len(found) > 2 else found[:1]

    def to_json(self) -> dict[str, Any]:
        """Return the sums, ready for `json.dumps`; single objects are not in it."""
        return {
            "format": "napari-sam-accuracy",
            "version": 1,
            "napari-sam-live": __version__,
            "data": self.data,
            "settings": {"clicks": self.clicks, "least area": LEAST_AREA, **self.settings},
            "notes": list(self.notes),
            "models": [_model_json(model) for model in self.models],
        }


def measure_accuracy(
    predictor: Predictor,
    images: Sequence[LabelledImage],
    *,
    model: str,
    clicks: int = CLICKS,
    most_objects: int | None = None,
    automatic: bool = True,
    progress: Progress = no_progress,
) -> ModelAccuracy:
    """Measure clicks, boxes and automatic segmentation of one model.

    Parameters
    ----------
    predictor : Predictor
    images : sequence of LabelledImage
        Gone through once, in order.
    model : str
        What to call it in tables.
    clicks : int
        On each object.
    most_objects : int or None
        For clicks and boxes, of each image; drawn at random, the same ones for every model. None takes all.
    automatic : bool
        Whether to segment each image without prompts, if the model can.
    progress : Progress
        May raise `Cancelled`.

    Returns
    -------
    ModelAccuracy
    """
    kinds: list[str] = []
    found: list[ImageScore] = []
    dense = automatic and predictor.has_dense_head

    def visit(item: LabelledImage, embedding: Embedding) -> None:
        # Images without objects count as well: what is made up there lowers the precision.
        kinds.append(item.kind)
        if dense:
            # Here, while the embedding is at hand: encoding is the slow part.
            precision = average_precision(item.labels, segment_everything(predictor, embedding))
            found.append(ImageScore(item.name, item.kind, tuple(precision.tolist())))

    objects = evaluate(predictor, images, clicks=clicks, most_objects=most_objects, progress=progress, visit=visit)
    return ModelAccuracy(
        model,
        predictor.device_text,
        tuple(objects),
        tuple(found),
        summaries(kinds, objects, found),
        tuple(_what_is_missing(predictor, model, automatic)),
    )


def summaries(
    kinds: Sequence[str], objects: Sequence[ObjectScore], automatic: Sequence[ImageScore]
) -> dict[str, Summary]:
    """Sum up everything, and each type of image.

    Parameters
    ----------
    kinds : sequence of str
        The type of each image that was measured.
    objects : sequence of ObjectScore
    automatic : sequence of ImageScore
    """
    images = Counter(kinds)
    return {
        kind: _summary(
            images[kind] if kind != ALL else len(kinds),
            [score for score in objects if kind in (ALL, score.kind)],
            [score for score in automatic if kind in (ALL, score.kind)],
        )
        for kind in (ALL, *sorted(images))
    }


def _summary(images: int, objects: Sequence[ObjectScore], automatic: Sequence[ImageScore]) -> Summary:
    measures = object_measures(objects)
    # Objects of one image are alike, so whole images are drawn, not objects.
    intervals = {
        name: bootstrap_interval(values, [score.image for score in objects])
        for name, values in object_means(objects).items()
    }
    if automatic:
        precision = np.array([score.precision for score in automatic], dtype=np.float64)
        # The first threshold is .5.
        for name, values in (("AP", precision.mean(1)), ("AP@50", precision[:, 0])):
            measures[name] = float(values.mean())
            intervals[name] = bootstrap_interval(values, [score.image for score in automatic])
    known = {name: interval for name, interval in intervals.items() if interval is not None}
    return Summary(images, len(objects), measures, known)


def _what_is_missing(predictor: Predictor, model: str, automatic: bool) -> list[str]:
    notes = []
    if "point" not in predictor.prompt_kinds:
        notes.append(f"{model} takes boxes only: there is nothing to say about clicks.")
    if not automatic:
        notes.append(f"{model}: automatic segmentation was not measured, as asked for.")
    elif not predictor.has_dense_head:
        notes.append(f"{model} has no dense head: it cannot segment without prompts, and has no AP.")
    return notes


def _model_json(model: ModelAccuracy) -> dict[str, Any]:
    kinds = {}
    for kind, summary in model.summaries.items():
        kinds[kind] = {
            "images": summary.images,
            "objects": summary.objects,
            "measures": _rounded(summary.measures),
            "intervals": {name: _rounded(limits) for name, limits in summary.intervals.items()},
            "calibration": [_rounded(asdict(b)) for b in calibration(*answers(model.scores_of(kind)))],
        }
        if model.automatic:
            means = model.precision_of(kind).mean(0).tolist()
            kinds[kind]["AP by threshold"] = {f"{t:.2f}": _rounded(v) for t, v in zip(THRESHOLDS, means, strict=True)}
    return {"model": model.model, "device": model.device, "notes": list(model.notes), "kinds": kinds}


def _rounded(value: Any) -> Any:
    """Round what has no meaning after the fourth decimal."""
    match value:
        case dict():
            return {key: _rounded(inner) for key, inner in value.items()}
        case tuple():
            return [_rounded(inner) for inner in value]
        case float():
            return round(value, 4)
    return value
