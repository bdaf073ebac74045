"""The mask of the previous plane as a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.propagation.strategies.mask_prompts import box_margin
from napari_sam.propagation.strategies.query import ask

if TYPE_CHECKING:
    from napari_sam.inference.engine import Engine
    from napari_sam.progress import Progress
    from napari_sam.propagation.strategies.protocol import StrategyAnswer, Task


@dataclass(frozen=True, slots=True)
class Previous:
    """Asks the model with the mask of the previous plane, where it is."""

    title: str = "Previous mask"
    description: str = "Asks the model on each plane with the mask of the plane before. For objects that hardly move."
    needs_both_ends: bool = False

    def answer(self, engine: Engine, task: Task, progress: Progress) -> StrategyAnswer:
        """Find the object on one plane."""
        expected = task.before[-1].mask
        return ask(engine, task.plane, expected, box_margin([seen.mask for seen in task.before]), progress)
