"""What SA-1B and COCO say of a mask beside its pixels: its box and its area."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.datasets.documents import finite, numbers

if TYPE_CHECKING:
    from napari_sam.datasets.documents import Intake
    from napari_sam.masks import BoxedMask

_BOX_SLACK = 1.5
"""Pixels that a box may differ from that of the mask: SAM's own generator counts sides one pixel short."""


def box_record(mask: BoxedMask) -> list[int]:
    """Return the box of a mask as COCO has it: x, y, width and height in pixels."""
    # Boxes of masks that are cut out of a plane may be larger than what is in them.
    rows, columns = np.flatnonzero(mask.mask.any(axis=1)), np.flatnonzero(mask.mask.any(axis=0))
    y, x = mask.origin[0] + int(rows[0]), mask.origin[1] + int(columns[0])
    return [x, y, int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1]


def tell_differences(annotation: dict[str, Any], mask: BoxedMask, intake: Intake, place: int) -> None:
    """Tell where area and box are not those of the mask; the mask is what counts."""
    if "area" in annotation and abs(finite(annotation["area"], "area") - mask.area) >= 1:
        intake.fault(f"annotation {place}: area is {annotation['area']}, its mask has {mask.area} px.")
    if "bbox" in annotation:
        box = numbers(annotation["bbox"], "bbox", 4)
        real = box_record(mask)
        if max(abs(said - is_) for said, is_ in zip(box, real, strict=True)) > _BOX_SLACK:
            intake.fault(f"annotation {place}: bbox is {annotation['bbox']}, its mask lies in {real}.")
