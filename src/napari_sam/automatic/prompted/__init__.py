"""Many prompts, one object each: points, boxes and rough masks, answered in batches."""

from __future__ import annotations

from napari_sam.automatic.prompted.answering import answer_objects
from napari_sam.automatic.prompted.objects import (
    PromptedObject,
    grid_points,
    objects_of_labels,
    objects_of_prompts,
)

__all__ = ["PromptedObject", "answer_objects", "grid_points", "objects_of_labels", "objects_of_prompts"]
