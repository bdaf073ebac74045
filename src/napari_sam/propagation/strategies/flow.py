"""The mask of the previous plane, moved with the pixels, as a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.propagation.strategies.mask_prompts import box_margin
from napari_sam.propagation.strategies.motion import moved
from napari_sam.propagation.strategies.query import ask

if TYPE_CHECKING:
    from napari_sam.inference.engine import Engine
    from napari_sam.progress import Progress
    from napari_sam.propagation.strategies.protocol import StrategyAnswer, Task


@dataclass(frozen=True, slots=True)
class Flow:
    """Asks the model where optical flow puts the mask of the previous plane."""

    title: str = "Follow the motion"
    description: str = (
        "Moves the mask of the plane before as the pixels move, grow and shrink, and asks the model there. "
        "For most objects the best choice."
    )
    needs_both_ends: bool = False

    def answer(self, engine: Engine, task: Task, progress: Progress) -> StrategyAnswer:
        """Find the object on one plane."""
        last = task.before[-1]
        expected = moved(last.mask, last.plane, task.plane)
        return ask(engine, task.plane, expected, box_margin([seen.mask for seen in task.before]), progress)
