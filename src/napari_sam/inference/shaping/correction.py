"""Additive correction: what an earlier click gave stays, unless a click says that it goes.

Done on the logits, not on the masks: the mask of the larger of two logits holds both masks, that of the smaller is held
by both, at any threshold; and the model gets back with the next click what the person saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

from napari_sam.prompts import PointPrompt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.inference.request import EngineLike
    from napari_sam.inference.search import CropPrediction
    from napari_sam.inference.shaping.settings import Correction
    from napari_sam.planes.picture import CropPicture
    from napari_sam.prompts import PromptSet

BRANCHES = 10.0
"""Area in squares of the greatest depth from which on a mask is one with branches; a disc has 3, one that is four times
as long as wide 13. Vessels and drawn trees gain from here on; nuclei do not get there."""


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedPrediction:
    """An answer that goes on from the one before; see `napari_sam.inference.search.CropPrediction`."""

    masks: NDArray[np.bool_]
    scores: NDArray[np.float32]
    logits: NDArray[np.float32]


def added_kind(prompts: PromptSet, earlier: PromptSet | None) -> Literal["more", "less"] | None:
    """Tell what was added to earlier prompts: only positive clicks, only negative ones, or something else (None)."""
    if earlier is None or not set(earlier.unpainted) <= set(prompts):
        return None
    # What is painted holds for both.
    added = set(prompts.unpainted) - set(earlier)
    kinds = {prompt.positive if isinstance(prompt, PointPrompt) else None for prompt in added}
    # A box is another thing than before, and both kinds at once say nothing of the one or the other.
    return "more" if kinds == {True} else "less" if kinds == {False} else None


def is_wanted(correction: Correction, earlier: NDArray[np.float32]) -> bool:
    """Tell whether an answer is to go on from an earlier one, of which these are the logits, (h, w)."""
    return correction == "on" or (correction == "branches" and slenderness(earlier > 0) >= BRANCHES)


def slenderness(mask: NDArray[np.bool_]) -> float:
    """Return the area of a mask, (h, w) bool, in squares of its greatest depth; 0 where it is empty."""
    if not mask.any():
        return 0.0
    return float(mask.sum() / ndimage.distance_transform_edt(np.pad(mask, 1)).max() ** 2)


def corrected(
    engine: EngineLike,
    picture: CropPicture,
    found: CropPrediction,
    earlier: NDArray[np.float32],
    kind: Literal["more", "less"],
) -> CorrectedPrediction:
    """Let an answer go on from an earlier one.

    Parameters
    ----------
    engine : EngineLike
        What answered.
    picture : CropPicture
        What it saw.
    found : CropPrediction
        The answer there.
    earlier : numpy.ndarray, shape (h, w), float32
        Logits of the earlier answer, on the grid of this picture.
    kind : {"more", "less"}
        "more" takes nothing away of the earlier mask, "less" adds nothing to it.
    """
    logits = (np.maximum if kind == "more" else np.minimum)(found.logits, earlier)
    return CorrectedPrediction(engine.masks(picture.plane, logits), found.scores, logits)
