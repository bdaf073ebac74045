"""Draw each object again by the decoder, from one point in it, and keep the best of what overlaps.

After the automatic prompt generation of micro-sam (Archit et al. 2025, Nature Methods 22:579). Parts into which the
watershed cut an object give the same mask over again, of which one stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.masks import box_slices, deepest_pixel
from napari_sam.prompts import PointPrompt, PromptSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sam.automatic.settings import DenseSettings
    from napari_sam.predictor import Embedding, Prediction, Predictor
    from napari_sam.progress import Progress

_MARGIN = 1.0  # of logits: a mask is stable that hardly changes when its threshold moves by so much


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A mask with its rank: where its bounding box lies, and its pixels there, eight to a byte."""

    rank: float
    place: tuple[slice, slice]
    packed: NDArray[np.uint8]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask in its bounding box."""
        height, width = (side.stop - side.start for side in self.place)
        return np.unpackbits(self.packed, count=height * width).reshape(height, width).astype(bool)


def refine(
    predictor: Predictor,
    embedding: Embedding,
    objects: NDArray[np.int32],
    foreground: NDArray[np.float32],
    settings: DenseSettings,
    progress: Progress,
) -> NDArray[np.int32]:
    """Replace objects by the decoder's masks.

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
    numpy.ndarray, shape (H, W), int32
        Labels 1 to m, 0 for background.
    """
    prompts = [PromptSet((PointPrompt(point),)) for point in deepest_points(objects)]
    candidates = []
    # Three candidates, of which the best is kept: a single point may mean several things.
    answers = predictor.predict_many(embedding, prompts, multimask=True, most=1)
    for done, answer in enumerate(answers, 1):
        if (candidate := _candidate(answer, foreground, settings)) is not None:
            candidates.append(candidate)
        progress(done / len(prompts))
    return _paint(candidates, objects.shape, settings)


def deepest_points(objects: NDArray[np.int32]) -> Iterator[tuple[float, float]]:
    """Give the pixel of each object, labelled 1 to n, that is farthest from all others: data pixels, (y, x)."""
    for label, place in enumerate(ndimage.find_objects(objects), 1):
        y, x = deepest_pixel(objects[place] == label, closed=True)
        yield float(place[0].start + y), float(place[1].start + x)


def _candidate(answer: Prediction, foreground: NDArray[np.float32], settings: DenseSettings) -> _Candidate | None:
    """Make a candidate of the best mask of an answer, if it is good enough."""
    [whole], [score], [logits] = answer.masks, answer.scores, answer.logits
    if score < settings.least_score or not whole.any():
        return None
    place = box_slices(whole)
    mask = whole[place]
    area = np.count_nonzero(mask)
    if area < settings.least_area or foreground[place][mask].mean() < settings.certainty:
        return None
    stability = np.count_nonzero(logits > _MARGIN) / (np.count_nonzero(logits > -_MARGIN) or 1)
    # There may be thousands of candidates.
    return _Candidate(float(score) * stability, place, np.packbits(mask))


def _paint(candidates: list[_Candidate], shape: tuple[int, ...], settings: DenseSettings) -> NDArray[np.int32]:
    """Lay masks on an empty plane, the best first; one that is there already, or mostly, is left out."""
    labels = np.zeros(shape, np.int32)
    areas = [0]
    for candidate in sorted(candidates, key=lambda c: -c.rank):
        mask, under = candidate.mask, labels[candidate.place]
        common = np.bincount(under[mask], minlength=1)
        # Number 0 counts the pixels that are still free.
        free, common[0] = common[0], 0
        area = np.count_nonzero(mask)
        smaller = np.minimum(area, areas[: len(common)])
        if (common > settings.most_common * smaller).any() or free < max(settings.least_area, area / 2):
            continue
        under[mask & (under == 0)] = len(areas)
        areas.append(int(free))
    return labels
