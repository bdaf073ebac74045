"""Looks for an object through crops: at full detail first, and through a larger crop while it is cut off.

Knows nothing of models: whoever calls it reads a crop, and answers prompts in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_sam.planes import bounding_box, choose_crop, grown

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sam.planes import Crop
    from napari_sam.prompts import PromptSet

MOST_PIXELS = 1 << 28
"""Pixels that are read at most for a crop that grows by itself: 16384 x 16384, some seconds from a fast disk."""

_MOST_CROPS = 12
DOUBTFUL = 0.6
"""Predicted IoU below which a click is looked at from farther away, too: the middle of a large object shows nothing."""
_STEP_BACK = 4
_ALIKE = 0.8
"""Candidates of two crops whose boxes overlap by this share (IoU) are one object seen twice."""
_BORDER = 1.5
"""So are those whose boxes differ by so many pixels of the coarser picture."""


class CropPrediction(Protocol):
    """What was answered in one crop; a `napari_sam.predictor.Prediction` is one."""

    @property
    def masks(self) -> NDArray[np.bool_]:
        """Candidate masks on the picture, (n, h, w), best first."""

    @property
    def scores(self) -> NDArray[np.float32]:
        """Predicted IoU of each."""

    @property
    def logits(self) -> NDArray[np.float32]:
        """Low-resolution logits of each."""


@dataclass(frozen=True, slots=True, eq=False)
class CropCandidate:
    """One candidate.

    Attributes
    ----------
    crop : Crop
        Where it was seen.
    mask : numpy.ndarray, shape (h, w), bool
        On the picture of the crop.
    score : float
        Predicted IoU.
    logits : numpy.ndarray, shape (h, w), float32
        Low-resolution logits on the model's canvas, as the picture of this crop lies there.
    cut : bool
        Whether the mask goes on beyond the crop.
    """

    crop: Crop
    mask: NDArray[np.bool_]
    score: float
    logits: NDArray[np.float32]
    cut: bool

    @property
    def box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """First and last pixel of the mask's bounding box, data pixels of the plane; None for an empty mask."""
        box = bounding_box(self.mask)
        if box is None:
            return None
        return self.crop.to_plane(box[0]), self.crop.to_plane(np.array(box[1]) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class CropPlanner:
    """A plane, and the model that looks at it.

    Attributes
    ----------
    shape : (int, int)
        Height and width of the plane, data pixels.
    side : int
        Longest side of the model's canvas, model pixels.
    spacing : (float, float)
        Distance between pixels along y and x.
    fitted : callable
        Lays a crop on the pixels that it can be read from; see `napari_sam.planes.pyramid.Pyramid.fitted`.
    cost : callable
        Counts the pixels that reading a crop touches.
    """

    shape: tuple[int, int]
    side: int
    spacing: tuple[float, float]
    fitted: Callable[[Crop], Crop]
    cost: Callable[[Crop], int]

    def crop_for(self, prompts: PromptSet, known: tuple[Any, Any] | None = None) -> Crop:
        """Choose the first crop for some prompts; see `napari_sam.planes.choose_crop`."""
        return self.fitted(choose_crop(self.shape, prompts, self.side, known=known, spacing=self.spacing))

    def larger(self, crop: Crop, mask: NDArray[np.bool_], prompts: PromptSet) -> Crop | None:
        """Choose the next crop for a mask that is cut off; None where there is none, or it would take too long."""
        return self._affordable(grown(crop, mask, self.shape, prompts, self.side, self.spacing), crop)

    def coarser(self, crop: Crop, prompts: PromptSet) -> Crop | None:
        """Choose a crop that shows much more of the plane; None where there is none, or it would take too long."""
        if crop.covers(self.shape):
            return None
        # The finer axis takes the larger steps, and `choose_crop` counts along it.
        least = _STEP_BACK * max(crop.steps)
        return self._affordable(choose_crop(self.shape, prompts, self.side, spacing=self.spacing, least=least), crop)

    def _affordable(self, wanted: Crop | None, crop: Crop) -> Crop | None:
        if wanted is None:
            return None
        wanted = self.fitted(wanted)
        # A coarser level may give just the crop that was looked at.
        return wanted if wanted != crop and self.cost(wanted) <= MOST_PIXELS else None


def search_object(
    planner: CropPlanner, prompts: PromptSet, crop: Crop, answer: Callable[[Crop], CropPrediction], *, grow: bool = True
) -> tuple[CropCandidate, ...]:
    """Answer the prompts for one object, through as many crops as it takes to see all of it.

    Parameters
    ----------
    planner : CropPlanner
        The plane.
    prompts : PromptSet
        Data pixels of the plane.
    crop : Crop
        Where to look first.
    answer : callable
        Reads a crop and answers the prompts in it.
    grow : bool
        Whether to look through a larger crop where the best candidate is cut off, or none convinces.

    Returns
    -------
    tuple of CropCandidate
        Best first, as many as one crop gives. Candidates that are cut off are left out where others are not, unless
        crops do not grow.
    """
    seen: list[CropCandidate] = []
    for _ in range(_MOST_CROPS):
        prediction = answer(crop)
        count = len(prediction.masks)
        here = [
            CropCandidate(crop, mask, float(score), logits, any(crop.cut_sides(mask, planner.shape)))
            for mask, score, logits in zip(prediction.masks, prediction.scores, prediction.logits, strict=True)
        ]
        # One answer follows from all prompts: only the last one counts. Three are a choice among sizes.
        seen = [*seen, *here] if count > 1 else here
        larger = None
        if grow and here[0].cut:
            larger = planner.larger(crop, here[0].mask, prompts)
        # Only a choice among sizes is looked at again: one answer that follows from all prompts is what was asked for.
        elif grow and count > 1 and here[0].score < DOUBTFUL:
            larger = planner.coarser(crop, prompts)
        if larger is None:
            break
        crop = larger
    # The person chose what to look at: what goes on beyond it counts as well.
    if not grow:
        return tuple(seen)
    # Where all are cut off, the last crop shows the most of them.
    kept = [found for found in seen if not found.cut] or [found for found in seen if found.crop == crop]
    chosen: list[CropCandidate] = []
    for found in sorted(kept, key=lambda found: -found.score):
        if not any(_alike(found, other) for other in chosen):
            chosen.append(found)
    return tuple(chosen[:count])


def _alike(one: CropCandidate, other: CropCandidate) -> bool:
    """Whether two crops show the same object. Candidates of one crop are told apart by the model."""
    if one.crop == other.crop or one.box is None or other.box is None:
        return False
    (low, high), (low2, high2) = one.box, other.box
    # A coarse picture places a border by a pixel of its own, which may be much of a small object.
    if np.abs([low - low2, high - high2]).max() <= _BORDER * max(*one.crop.steps, *other.crop.steps):
        return True
    common = np.prod(np.clip(np.minimum(high, high2) - np.maximum(low, low2) + 1, 0, None))
    areas = np.prod(high - low + 1) + np.prod(high2 - low2 + 1)
    return bool(common >= _ALIKE * (areas - common))
