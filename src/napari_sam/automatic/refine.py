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
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sam.automatic.settings import DenseSettings
    from napari_sam.predictor import Embedding, Prediction, Predictor
    from napari_sam.progress import Progress

_MARGIN = 1.0  # of logits: a mask is stable that hardly changes when its threshold moves by so much


def refine(
    predictor: Predictor,
    embedding: Embedding,
    objects: NDArray[np.int32],
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
    objects : numpy.ndarray, shape (H, W), int32
        Labels 1 to n, 0 for background: where to ask.
    foreground : numpy.ndarray, shape (H, W), float32
        Probability of foreground.
    settings : DenseSettings
    progress : Progress
        Called after every object; may raise `Cancelled`.

    Returns
    -------
    list of Proposal
        One for each object, less those that are too small or too faint; several may be the same.
    """
    prompts = [PromptSet((PointPrompt(point),)) for point in deepest_points(objects)]
    proposals = []
    # Three proposals, of which the best is kept: a single point may mean several things.
    answers = predictor.predict_many(embedding, prompts, multimask=True, most=1)
    for done, (asked, answer) in enumerate(zip(prompts, answers, strict=True), 1):
        if (proposal := _proposal(asked, answer, foreground, settings)) is not None:
            proposals.append(proposal)
        progress(done / len(prompts))
    return proposals


def deepest_points(objects: NDArray[np.int32]) -> Iterator[tuple[float, float]]:
    """Give the pixel of each object, labelled 1 to n, that is farthest from all others: data pixels, (y, x)."""
    for label, place in enumerate(ndimage.find_objects(objects), 1):
        y, x = deepest_pixel(objects[place] == label, closed=True)
        yield float(place[0].start + y), float(place[1].start + x)


def _proposal(
    asked: PromptSet, answer: Prediction, foreground: NDArray[np.float32], settings: DenseSettings
) -> Proposal | None:
    """Make a proposal of the best mask of an answer, if it is large and certain enough."""
    [whole], [score], [logits] = answer.masks, answer.scores, answer.logits
    boxed = BoxedMask.of(whole)
    area = boxed.area
    if area < settings.least_area or foreground[boxed.box][boxed.mask].mean() < settings.certainty:
        return None
    stability = np.count_nonzero(logits > _MARGIN) / (np.count_nonzero(logits > -_MARGIN) or 1)
    [point] = asked.points
    return Proposal(boxed, float(score), stability, point.position)
