"""What a person paints, laid over answers: on their masks, and on the logits that go back with the next question."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.masks import BoxedMask
from napari_sam.prompts import PromptSet
from napari_sam.prompts.model_prompts import painted_logits

if TYPE_CHECKING:
    from napari_sam.inference.request import EngineLike
    from napari_sam.inference.search import CropCandidate
    from napari_sam.planes.picture import CropPicture
    from napari_sam.prompts import PaintPrompt


def with_paint(
    engine: EngineLike, found: CropCandidate, picture: CropPicture, paint: PaintPrompt | None
) -> CropCandidate:
    """Paint the logits of a candidate; its mask stays as the model gave it.

    Parameters
    ----------
    engine : EngineLike
        What found it.
    found : CropCandidate
        The candidate.
    picture : CropPicture
        What it was found in.
    paint : PaintPrompt or None
        What is painted, data pixels of the plane.
    """
    # Without masks as prompts, logits never go back.
    if paint is None or "mask" not in getattr(engine.predictor, "prompt_kinds", frozenset({"mask"})):
        return found
    here = found.crop.prompts(PromptSet((paint,))).paint
    if here is None:
        return found
    frame, _grid = engine.predictor.grid(picture.plane)
    return replace(found, logits=painted_logits(found.logits, here, frame))


def painted_mask(paint: PaintPrompt, plane: tuple[int, int]) -> BoxedMask:
    """Return the mask that is painted where there was none, on a plane of (H, W) pixels."""
    return paint.over(BoxedMask((0, 0), np.zeros((0, 0), dtype=bool), plane))
