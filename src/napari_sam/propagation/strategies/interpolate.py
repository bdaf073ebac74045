"""The shape between two annotated planes as a prompt.

See `napari_sam.masks.between` for how the shape is found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.masks import between, iou
from napari_sam.propagation.strategies.flow import Flow
from napari_sam.propagation.strategies.mask_prompts import box_margin
from napari_sam.propagation.strategies.protocol import StrategyAnswer
from napari_sam.propagation.strategies.query import ask

if TYPE_CHECKING:
    from napari_sam.inference.engine import Engine
    from napari_sam.progress import Progress
    from napari_sam.propagation.strategies.protocol import Task

_LEAST_AGREEMENT = 0.5  # IoU of the model's mask with the interpolated one; below it the latter is taken


@dataclass(frozen=True, slots=True)
class Interpolate:
    """Asks the model where interpolation between two annotated planes puts the object."""

    title: str = "Interpolate"
    description: str = (
        "Between two annotated planes, asks the model where the shape in between should be, and takes that shape where "
        "the model disagrees. Where only one side is annotated, follows the motion instead."
    )
    needs_both_ends: bool = True
    beyond: Flow = field(default_factory=Flow)

    def answer(self, engine: Engine, task: Task, progress: Progress) -> StrategyAnswer:
        """Find the object on one plane."""
        if task.ahead is None:
            return self.beyond.answer(engine, task, progress)
        share = (task.index - task.start.index) / (task.ahead.index - task.start.index)
        expected = between(np.asarray(task.start.mask, bool), np.asarray(task.ahead.mask, bool), share)
        found = ask(engine, task.plane, expected, box_margin([expected]), progress)
        agreement = iou(found.mask, expected)
        return StrategyAnswer(found.mask if agreement >= _LEAST_AGREEMENT else expected, found.score * agreement)
