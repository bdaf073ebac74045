"""Draw each object again by the decoder, from one point in it.

After the automatic prompt generation of micro-sam (Archit et al. 2025, Nature Methods 22:579). Parts into which the
watershed cut an object give the same mask over again, of which one stays where masks are laid on a plane.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.automatic.proposals import Proposal
from napari_sam.masks import BoxedMask, deepest_pixel
from napari_sam.prompts import PointPrompt, PromptSet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sam.automatic.settings import DenseSettings
    from napari_sam.predictor import Embedding, Prediction, Predictor
    from napari_sam.progress import Progress

_LEAST_RANK = 0.3  # predicted IoU, times how stable a mask is
_MARGIN = 1.0  # of logits: a mask is stable that hardly changes when its threshold moves by so much


def refine(
    predictor: Predictor,
    embedding: Embedding,
    points: Sequence[tuple[float, float]],
    foreground: NDArray[np.float32],
    settings: DenseSettings,
    progress: Progress,
) -> list[Proposal]:
    """Have the decoder draw objects.

    Parameters
    ----------
    predictor : Predictor
    embedding : Embedding
        The plane's.
    points : sequence of (float, float)
        One in each object, data pixels, (y, x).
    foreground : numpy.ndarray, shape (H, W), float32
        Probability of foreground.
    settings : DenseSettings
    progress : Progress
        Called after every object; may raise `Cancelled`.

    Returns
    -------
    list of Proposal
        Up to three for each point, because a single point may mean several things: which of them is meant shows where
        they compete with those of the points around. What is too small or too faint is left out; several may be the
        same.
    """
    prompts = [PromptSet((PointPrompt(point),)) for point in points]
    proposals: list[Proposal] = []
    answers = predictor.predict_many(embedding, prompts, multimask=True)
    for done, (point, answer) in enumerate(zip(points, answers, strict=True), 1):
        proposals += _proposals(point, answer, foreground, settings)
        progress(done / len(prompts))
    return proposals


def deepest_points(objects: NDArray[np.int32]) -> Iterator[tuple[float, float]]:
    """Give the pixel of each object, labelled 1 to n, that is farthest from all others: data pixels, (y, x)."""
    for label, place in enumerate(ndimage.find_objects(objects), 1):
        y, x = deepest_pixel(objects[place] == label, closed=True)
        yield float(place[0].start + y), float(place[1].start + x)


def _proposals(
    point: tuple[float, float], answer: Prediction, foreground: NDArray[np.float32], settings: DenseSettings
) -> Iterator[Proposal]:
    """Make a proposal of each mask of an answer that is large and certain enough."""
    for place, (whole, score, logits) in enumerate(zip(answer.masks, answer.scores, answer.logits, strict=True)):
        boxed = BoxedMask.of(whole)
        if boxed.area < settings.least_area:
            continue
        certainty = float(foreground[boxed.box][boxed.mask].mean())
        if certainty < settings.certainty:
            continue
        stability = np.count_nonzero(logits > _MARGIN) / (np.count_nonzero(logits > -_MARGIN) or 1)
        proposal = Proposal(boxed, float(score), stability, point, foreground=certainty)
        # The best of a point is for the person to judge; others of low rank would only be in the way.
        if place == 0 or proposal.rank >= _LEAST_RANK:
            yield proposal
