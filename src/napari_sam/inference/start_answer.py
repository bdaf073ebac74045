"""Looks at an object that exists as if the model had just found its mask.

The mask counts as the earlier answer for the object (see `napari_sam.inference.refinement`), although no model made it:
its logits are made of its pixels, on the canvas of the crop in which the object is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam.inference.crop_choice import planner_for
from napari_sam.inference.search import CropCandidate
from napari_sam.prompts import BoxPrompt, PromptSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.inference.request import EngineLike
    from napari_sam.inference.starting import StartingMask
    from napari_sam.planes import Crop
    from napari_sam.planes.picture import CropPicture
    from napari_sam.planes.source import PlaneSource

_DOUBT = 2.0
"""The logits of a mask that is to be corrected reach no farther than this.

With firm ones the model believes the mask more than a click: 48 faulty masks on images of BBBC038 that the bundled
model was not trained on, each corrected by one click, come to a mean IoU of 0.83 (too large), 0.89 (half missing) and
0.60 (two as one) with logits up to 8, and to 0.92, 0.93 and 0.70 with these."""


def see_starting(
    engine: EngineLike, source: PlaneSource, start: StartingMask, see: Callable[[Crop], CropPicture]
) -> tuple[CropCandidate, CropPicture]:
    """Look at the object as if the model had just found the mask: where, on which picture, and with which logits.

    Parameters
    ----------
    engine : EngineLike
        The model.
    source : PlaneSource
        The plane.
    start : StartingMask
        The mask; not empty.
    see : callable
        Reads a crop of the plane, and embeds it where that is wanted.
    """
    planner = planner_for(engine, source)
    crop = planner.crop_for(PromptSet(), start_box(start))
    picture = see(crop)
    mask = crop.on_picture(start.mask)
    firm = (
        engine.predictor.mask_prompt(picture.plane, mask).logits
        if takes_masks(engine)
        else np.zeros((1, 1), np.float32)
    )
    return CropCandidate(crop, mask, 1.0, np.clip(firm, -_DOUBT, _DOUBT), cut=False), picture


def with_start(engine: EngineLike, prompts: PromptSet, start: StartingMask) -> PromptSet:
    """Say where the object is to a model that takes no masks: by a box, unless the person drew one."""
    if takes_masks(engine) or prompts.box is not None or "box" not in engine.predictor.prompt_kinds:
        return prompts
    (top, left), (bottom, right) = start_box(start)
    return PromptSet((*prompts, BoxPrompt((top - 0.5, left - 0.5), (bottom + 0.5, right + 0.5))))


def start_box(start: StartingMask) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the first and the last pixel of the mask's box, data pixels, (y, x)."""
    rows, columns = start.mask.box
    return (float(rows.start), float(columns.start)), (float(rows.stop - 1), float(columns.stop - 1))


def takes_masks(engine: EngineLike) -> bool:
    """Whether a model takes the earlier answer; one that does not say takes it."""
    return "mask" in getattr(engine.predictor, "prompt_kinds", frozenset({"mask"}))
