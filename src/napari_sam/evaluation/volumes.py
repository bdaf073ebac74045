"""How well objects are carried through volumes: one click on each, on its middle plane.

Compared with clicks on every plane, which is what carrying saves, and with the rule of micro-sam (`projection`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.errors import InputError
from napari_sam.evaluation.metrics import bootstrap_interval
from napari_sam.evaluation.simulated_user import next_click
from napari_sam.inference.segmenter import segment_plane
from napari_sam.masks import BoxedMask, iou
from napari_sam.planes.source import ArrayPlanes
from napari_sam.progress import no_progress
from napari_sam.prompts import PromptSet
from napari_sam.propagation import DEFAULT_RULES, Annotated, PropagationStep, propagate
from napari_sam.propagation.strategies.projection import PROJECTION_RULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sam.evaluation.synthetic_volumes import Volume
    from napari_sam.inference.engine import Engine
    from napari_sam.progress import Progress

    Masks = dict[int, NDArray[np.bool_]]

CLICKS = "clicks"
"""Method that clicks on every plane of the object instead of carrying it: it is told where the object ends."""

GOOD = 0.8
"""IoU of a plane below which a person would correct it."""

LEAST_PLANES = 3
"""Objects on fewer planes are left out."""


@dataclass(frozen=True, slots=True)
class VolumeScore:
    """How well one object was found.

    Attributes
    ----------
    volume, kind : str
        Where it is.
    label : int
        Its number there.
    method : str
        A strategy, or `CLICKS`.
    iou : float
        Of all voxels, 3-D.
    planes : int
        On which it is.
    corrections : int
        Planes, with the object or with a mask, whose IoU is less than `GOOD`.
    beyond, missed : int
        Planes with a mask but no object, and the other way round.
    """

    volume: str
    kind: str
    label: int
    method: str
    iou: float
    planes: int
    corrections: int
    beyond: int
    missed: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One method against another, object by object.

    Attributes
    ----------
    difference : float
        Mean of the 3-D IoU of the one less that of the other.
    interval : (float, float) or None
        95 % interval, by drawing the volumes anew; None with too few volumes.
    better, worse : int
        Objects on which the one is ahead, or behind, by more than .01.
    """

    difference: float
    interval: tuple[float, float] | None
    better: int
    worse: int


def measure_volume(
    engine: Engine, volume: Volume, methods: Sequence[str], *, most: int | None = None, progress: Progress = no_progress
) -> Iterator[VolumeScore]:
    """Find the objects of a volume.

    Parameters
    ----------
    engine : Engine
    volume : Volume
    methods : sequence of str
        Strategies, and `CLICKS`.
    most : int, optional
        Objects at most, evenly over their numbers. Default: all.
    progress : Progress
        Called after each object; may raise `Cancelled`.

    Yields
    ------
    VolumeScore
        For each object each method.
    """
    image = volume.image
    # Limits of the whole volume, as those of a layer: all planes must look alike.
    planes = ArrayPlanes(image, 0, (0, None, None), _limits(image), spacing=volume.spacing[1:])
    labels = [label for label in np.unique(volume.labels) if label and _planes(volume, label) >= LEAST_PLANES]
    if most is not None and len(labels) > most:
        labels = [labels[round(at)] for at in np.linspace(0, len(labels) - 1, most)]
    for number, label in enumerate(labels, 1):
        truth = volume.labels == label
        for method in methods:
            found = _clicked(engine, planes, truth) if method == CLICKS else _carried(engine, planes, truth, method)
            yield _score(volume, int(label), method, truth, found)
        progress(number / len(labels))


def compare(scores: Sequence[VolumeScore], one: str, other: str) -> Comparison:
    """Compare two methods on the objects that both were measured on.

    Raises
    ------
    InputError
        If there is no such object.
    """
    found = {method: {(s.volume, s.label): s for s in scores if s.method == method} for method in (one, other)}
    both = [key for key in found[one] if key in found[other]]
    if not both:
        raise InputError(f"No object was measured with both {one} and {other}.")
    gains = np.array([found[one][key].iou - found[other][key].iou for key in both])
    return Comparison(
        float(gains.mean()),
        # Whole volumes are drawn anew: the objects of one are alike.
        bootstrap_interval(gains, [volume for volume, _ in both]),
        int((gains > 0.01).sum()),
        int((gains < -0.01).sum()),
    )


def _limits(image: NDArray[np.generic]) -> tuple[float, float] | None:
    low, high = float(np.min(image)), float(np.max(image))
    return (low, high) if high > low else None


def _planes(volume: Volume, label: int) -> int:
    return int(np.count_nonzero((volume.labels == label).any(axis=(1, 2))))


def _click(engine: Engine, planes: ArrayPlanes, truth: NDArray[np.bool_], index: int) -> NDArray[np.bool_]:
    """Click once on a plane, and take what a person sees first."""
    # An empty answer asks for the first click.
    click = next_click(truth[index], np.zeros_like(truth[index]))
    source = planes.source(index)
    best = segment_plane(engine, source, PromptSet((click,))).candidates[0]
    return BoxedMask(best.origin, best.mask, source.view.shape).whole()


def _clicked(engine: Engine, planes: ArrayPlanes, truth: NDArray[np.bool_]) -> Masks:
    return {index: _click(engine, planes, truth, index) for index in _where(truth)}


def _carried(engine: Engine, planes: ArrayPlanes, truth: NDArray[np.bool_], strategy: str) -> Masks:
    where = _where(truth)
    middle = where[len(where) // 2]
    mask = _click(engine, planes, truth, middle)
    if not mask.any():
        return {}
    # How micro-sam stops belongs to its rule.
    rules = PROJECTION_RULES if strategy == "projection" else DEFAULT_RULES
    steps = propagate(engine, planes, [Annotated(middle, mask)], strategy=strategy, rules=rules)
    return {middle: mask} | {step.index: step.mask for step in steps if isinstance(step, PropagationStep)}


def _where(truth: NDArray[np.bool_]) -> list[int]:
    found: list[int] = np.flatnonzero(truth.any(axis=(1, 2))).tolist()
    return found


def _score(volume: Volume, label: int, method: str, truth: NDArray[np.bool_], found: Masks) -> VolumeScore:
    answer = np.zeros_like(truth)
    for index, mask in found.items():
        answer[index] = mask
    real, drawn = truth.any(axis=(1, 2)), answer.any(axis=(1, 2))
    # Planes that have neither would count as perfect.
    either = np.flatnonzero(real | drawn)
    bad = sum(bool(iou(truth[index], answer[index]) < GOOD) for index in either)
    return VolumeScore(
        volume.name,
        volume.kind,
        label,
        method,
        iou(truth, answer),
        int(real.sum()),
        bad,
        int((drawn & ~real).sum()),
        int((real & ~drawn).sum()),
    )
