"""Ask the model for an object that is expected somewhere, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.masks import box_slices
from napari_sam.propagation.strategies.mask_prompts import pieces, prompts_for
from napari_sam.propagation.strategies.protocol import StrategyAnswer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.inference.engine import Engine
    from napari_sam.planes.plane import Plane
    from napari_sam.progress import Progress

_REACH = 0.2  # of a piece's size: what is farther from where it is expected belongs to something else
_LEAST_REACH = 1.0  # pixels


def ask(engine: Engine, plane: Plane, expected: NDArray[np.bool_], margin: float, progress: Progress) -> StrategyAnswer:
    """Ask for an object.

    Parameters
    ----------
    engine : Engine
    plane : Plane
    expected : numpy.ndarray, shape (H, W), bool
        Where the object should be; not empty. Its pieces are asked for one by one, and belong together.
    margin : float
        Of boxes, data pixels, for models that take no clicks or no masks.
    progress : Progress
        May raise `Cancelled`.

    Returns
    -------
    StrategyAnswer
        Debris, and what lies too far from the place, is left out: objects that touch are not taken along. The score is
        the predicted IoU, the mean of the pieces weighted by their areas.
    """
    found = np.zeros_like(expected)
    scores, areas = [], []
    for piece in pieces(expected):
        prompts = prompts_for(engine.predictor, plane, piece, margin)
        prediction = engine.predict(plane, prompts, multimask=False, progress=progress)
        found |= prediction.masks[0] & _within_reach(piece)
        scores.append(float(prediction.scores[0]))
        areas.append(np.count_nonzero(piece))
    kept = pieces(found)
    mask: NDArray[np.bool_] = np.logical_or.reduce(kept) if kept else found
    return StrategyAnswer(mask, float(np.clip(np.average(scores, weights=areas), 0, 1)))


def _within_reach(piece: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Grow a piece by as much as it may grow from one plane to the next."""
    reach = _LEAST_REACH + _REACH * float(np.sqrt(np.count_nonzero(piece)))
    # Boxes are cut at whole pixels: one more, so that nothing within reach is cut off.
    around = box_slices(piece, reach + 1)
    grown = np.zeros_like(piece)
    grown[around] = ndimage.distance_transform_edt(~piece[around]) <= reach
    return grown
