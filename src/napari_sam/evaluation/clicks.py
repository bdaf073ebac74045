"""How good masks are after so many clicks, or with a box, by a simulated user who clicks as the field has agreed on.

`simulated_user` says where. With more than one candidate the one that the model itself rates best is taken: that is
what a person sees first.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_sam.evaluation.metrics import object_measures
from napari_sam.evaluation.scores import ClickCurve, ObjectScore
from napari_sam.evaluation.simulated_user import next_click, tight_box
from napari_sam.masks import iou
from napari_sam.progress import no_progress
from napari_sam.prompts import MaskPrompt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam.evaluation.dataset import LabelledImage
    from napari_sam.planes.plane import Plane
    from napari_sam.progress import Progress
    from napari_sam.prompts import Prompt

CLICKS = 5
"""Clicks that the simulated user makes on every object."""

LEAST_AREA = 16
"""Pixels of the smallest object that is asked for."""


class PromptedMasks(Protocol):
    """Candidate masks, best first: the part of `napari_sam.predictor.Prediction` that is looked at."""

    @property
    def masks(self) -> NDArray[np.bool_]:
        """Shape (n, H, W)."""

    @property
    def scores(self) -> NDArray[np.float32]:
        """Predicted IoU of each mask, shape (n,)."""

    @property
    def logits(self) -> NDArray[np.float32]:
        """Shape (n, h, w)."""


class PromptedModel(Protocol):
    """What is evaluated, such as a `napari_sam.predictor.Predictor`."""

    @property
    def prompt_kinds(self) -> frozenset[str]:
        """Kinds of prompts that it takes: "point", "box", "mask"."""

    def embed(self, image: Plane, /) -> Any:
        """Encode a plane."""

    def predict(self, embedding: Any, prompts: Sequence[Prompt], /) -> PromptedMasks:
        """Answer the prompts for one object."""


def click_curve(
    segmenter: PromptedModel, embedding: Any, truth: NDArray[np.bool_], clicks: int = CLICKS, *, carry: bool = True
) -> ClickCurve:
    """Click on one object and measure the mask after every click.

    Parameters
    ----------
    segmenter : PromptedModel
    embedding : object
        What `segmenter` made of the image.
    truth : numpy.ndarray, shape (H, W), bool
        The object, not empty.
    clicks : int
        At least 1.
    carry : bool
        Whether each answer's logits go back in with the next click, as a `MaskPrompt`.

    Returns
    -------
    ClickCurve
    """
    # Nothing is found yet, so the first click goes to the middle of the object.
    answer = np.zeros_like(truth)
    points: list[Prompt] = []
    earlier: list[Prompt] = []
    measured, predicted = [], []
    best = 0.0
    for click in range(clicks):
        points.append(next_click(truth, answer))
        prediction = segmenter.predict(embedding, [*points, *earlier])
        answer = prediction.masks[0]
        earlier = [MaskPrompt(prediction.logits[0])] if carry else []
        measured.append(iou(answer, truth))
        predicted.append(float(prediction.scores[0]))
        # Only the first click has candidates to choose from.
        if click == 0:
            best = max(iou(mask, truth) for mask in prediction.masks)
    return ClickCurve(tuple(measured), tuple(predicted), best)


def evaluate(
    segmenter: PromptedModel,
    images: Sequence[LabelledImage],
    *,
    clicks: int = CLICKS,
    most_objects: int | None = None,
    least_area: int = LEAST_AREA,
    carry: bool = True,
    seed: int = 0,
    progress: Progress = no_progress,
    visit: Callable[[LabelledImage, Any], None] | None = None,
) -> list[ObjectScore]:
    """Measure every object of some images, or a random sample of them.

    Parameters
    ----------
    segmenter : PromptedModel
    images : sequence of LabelledImage
        Gone through once, in order.
    clicks : int
        See `click_curve`.
    most_objects : int or None
        Of each image, drawn at random; None takes all.
    least_area : int
        Pixels; smaller objects are left out.
    carry : bool
        See `click_curve`.
    seed : int
        Of the draw.
    progress : Progress
        Called after every object and every image.
    visit : callable, optional
        Called with each image and its embedding, so that more can be measured without encoding it once more.
    """
    scores: list[ObjectScore] = []
    rng = np.random.default_rng(seed)
    carry = carry and "mask" in segmenter.prompt_kinds
    for done, item in enumerate(images):
        # Labels may have gaps, and objects may be in several pieces.
        values, areas = np.unique(item.labels, return_counts=True)
        fit = (values != 0) & (areas >= least_area)
        # Drawn before the model is asked, so that all models get the same objects.
        chosen = sorted(rng.permutation(values[fit])[:most_objects].tolist())
        # Encoding is the slow part, and an image without objects needs none.
        embedding = segmenter.embed(item.plane) if chosen or visit else None
        for number, label in enumerate(chosen, 1):
            scores.append(_score(segmenter, embedding, item, label, clicks, carry=carry))
            progress((done + number / (len(chosen) + 1)) / len(images))
        if visit is not None:
            visit(item, embedding)
        progress((done + 1) / len(images))
    return scores


def _score(
    segmenter: PromptedModel, embedding: Any, item: LabelledImage, label: int, clicks: int, *, carry: bool
) -> ObjectScore:
    """Measure one object with every kind of prompt that the model takes."""
    truth = item.labels == label
    curve, best = ClickCurve((), (), 0.0), None
    if "point" in segmenter.prompt_kinds:
        curve = click_curve(segmenter, embedding, truth, clicks, carry=carry)
        best = curve.best
    box = box_predicted = None
    if "box" in segmenter.prompt_kinds:
        answer = segmenter.predict(embedding, [tight_box(truth)])
        box, box_predicted = iou(answer.masks[0], truth), float(answer.scores[0])
    area = int(np.count_nonzero(truth))
    return ObjectScore(
        item.name, item.kind, label, area, curve.measured, curve.predicted, best, box=box, box_predicted=box_predicted
    )


def summarise(scores: Sequence[ObjectScore]) -> dict[str, dict[str, float]]:
    """Sum up all objects, and those of each type of image.

    Returns
    -------
    dict of str to dict
        "all" or the type of image to ``{"objects": n, "1 click": mIoU, ...}``; see
        `napari_sam.evaluation.metrics.object_measures`.
    """
    groups: Mapping[str, list[ObjectScore]] = defaultdict(list)
    for score in scores:
        groups["all"].append(score)
        groups[score.kind].append(score)
    return {
        kind: {"objects": float(len(group))} | {name: round(value, 4) for name, value in object_measures(group).items()}
        for kind, group in groups.items()
    }
