"""How good masks are after so many clicks, or with a box, by a robot that clicks as reviewers of the field do.

The first click lies deepest in the object, every further one deepest in the largest region that is wrong (Xu et al.
2016; Sofiiuk et al. 2022; Kirillov et al. 2023, appendix A). With more than one candidate the one that the model itself
rates best is taken: that is what a person sees first.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import ndimage

from napari_sam.progress import no_progress
from napari_sam.prompts import BoxPrompt, MaskPrompt, PointPrompt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam.evaluation.dataset import LabelledImage
    from napari_sam.progress import Progress
    from napari_sam.prompts import Prompt

CLICKS = 5
"""Clicks that the robot makes on every object."""

_REPORTED = (1, 2, 3, 5)


class Answer(Protocol):
    """Candidate masks, best first: the part of `napari_sam.predictor.Prediction` that is looked at."""

    @property
    def masks(self) -> NDArray[np.bool_]:
        """Shape (n, H, W)."""

    @property
    def logits(self) -> NDArray[np.float32]:
        """Shape (n, h, w)."""


class Segmenter(Protocol):
    """What is evaluated, such as a `napari_sam.predictor.Predictor`."""

    def embed(self, image: NDArray[np.uint8], /) -> Any:
        """Encode an (H, W, 3) image."""

    def predict(self, embedding: Any, prompts: Sequence[Prompt], /) -> Answer:
        """Answer the prompts for one object."""


@dataclass(frozen=True, slots=True)
class ObjectScore:
    """What became of one object.

    Attributes
    ----------
    image, kind : str
        Where it is, and the type of that image.
    label : int
        Its label there.
    clicks : tuple of float
        IoU after 1, 2, ... clicks.
    box : float
        IoU with a tight box and nothing else.
    """

    image: str
    kind: str
    label: int
    clicks: tuple[float, ...]
    box: float


def intersection_over_union(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """IoU of two masks of one shape; 1 when both are empty."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


def next_click(truth: NDArray[np.bool_], answer: NDArray[np.bool_]) -> PointPrompt:
    """Click where the largest wrong region is deepest; the edge of the plane is a border too.

    Parameters
    ----------
    truth, answer : numpy.ndarray, shape (H, W), bool
        An empty answer gives the first click. A perfect one gives one more click in the object.

    Returns
    -------
    PointPrompt
        Positive where the object was missed, negative where something else was taken for it.
    """
    regions = [ndimage.label(wrong) for wrong in (truth & ~answer, answer & ~truth)]
    sizes = [np.bincount(region.ravel())[1:].max(initial=0) for region, _count in regions]
    if not any(sizes):
        region = truth
    else:
        labels, _count = regions[int(np.argmax(sizes))]
        region = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return PointPrompt((float(y), float(x)), positive=bool(truth[y, x]))


def click_curve(
    segmenter: Segmenter, embedding: Any, truth: NDArray[np.bool_], clicks: int = CLICKS, *, carry: bool = True
) -> tuple[float, ...]:
    """Click on one object and measure the mask after every click.

    Parameters
    ----------
    segmenter : Segmenter
    embedding : object
        What `segmenter` made of the image.
    truth : numpy.ndarray, shape (H, W), bool
        The object, not empty.
    clicks : int
    carry : bool
        Whether each answer's logits go back in with the next click, as a `MaskPrompt`.

    Returns
    -------
    tuple of float
        IoU after 1, 2, ... clicks.
    """
    answer = np.zeros_like(truth)
    points: list[Prompt] = []
    earlier: list[Prompt] = []
    scores = []
    for _ in range(clicks):
        points.append(next_click(truth, answer))
        prediction = segmenter.predict(embedding, [*points, *earlier])
        answer = prediction.masks[0]
        earlier = [MaskPrompt(prediction.logits[0])] if carry else []
        scores.append(intersection_over_union(answer, truth))
    return tuple(scores)


def tight_box(mask: NDArray[np.bool_]) -> BoxPrompt:
    """Box through the centres of the outermost pixels of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return BoxPrompt((rows[0], columns[0]), (rows[-1], columns[-1]))


def evaluate(
    segmenter: Segmenter,
    images: Sequence[LabelledImage],
    *,
    clicks: int = CLICKS,
    most_objects: int | None = None,
    least_area: int = 16,
    carry: bool = True,
    seed: int = 0,
    progress: Progress = no_progress,
) -> list[ObjectScore]:
    """Measure every object of some images, or a random sample of them.

    Parameters
    ----------
    segmenter : Segmenter
    images : sequence of LabelledImage
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
        Called after every image.
    """
    scores = []
    rng = np.random.default_rng(seed)
    for done, item in enumerate(images, 1):
        areas = np.bincount(item.labels.ravel())
        areas[0] = 0
        labels = rng.permutation(np.flatnonzero(areas >= least_area))[:most_objects]
        embedding = segmenter.embed(item.image) if len(labels) else None
        for label in sorted(labels.tolist()):
            truth = item.labels == label
            curve = click_curve(segmenter, embedding, truth, clicks, carry=carry)
            box = intersection_over_union(segmenter.predict(embedding, [tight_box(truth)]).masks[0], truth)
            scores.append(ObjectScore(item.name, item.kind, label, curve, box))
        progress(done / len(images))
    return scores


def summarise(scores: Sequence[ObjectScore]) -> dict[str, dict[str, float]]:
    """Average over objects, for each type of image and for "all".

    Returns
    -------
    dict of str to dict
        Type of image to ``{"objects": n, "1 click": mIoU, "2 clicks": ..., "box": mIoU}``.
    """
    groups: Mapping[str, list[ObjectScore]] = defaultdict(list)
    for score in scores:
        groups["all"].append(score)
        groups[score.kind].append(score)
    return {kind: dict(_means(group)) for kind, group in groups.items()}


def _means(group: Sequence[ObjectScore]) -> Iterator[tuple[str, float]]:
    yield "objects", float(len(group))
    curves = np.array([score.clicks for score in group])
    for count in _REPORTED:
        if count <= curves.shape[1]:
            yield f"{count} click{'s' if count > 1 else ''}", round(float(curves[:, count - 1].mean()), 4)
    yield "box", round(float(np.mean([score.box for score in group])), 4)
