"""The mask of the previous plane, moved with the pixels, as a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.propagation.asking import ask
from napari_sam.propagation.motion import moved
from napari_sam.propagation.prompting import box_margin

if TYPE_CHECKING:
    from napari_sam.engine import Engine
    from napari_sam.progress import Progress
    from napari_sam.propagation.strategy import Answer, Task


@dataclass(frozen=True, slots=True)
class Flow:
    """Asks the model where optical flow puts the mask of the previous plane."""

    title: str = "Follow the motion"
    description: str = (
        "Moves the mask of the plane before as the pixels move, grow and shrink, and asks the model there. "
        "For most objects the best choice."
    )

    def answer(self, engine: Engine, task: Task, progress: Progress) -> Answer:
        """Find the object on one plane."""
        last = task.before[-1]
        expected = moved(last.mask, last.plane, task.plane)
        return ask(engine, task.plane, expected, box_margin([seen.mask for seen in task.before]), progress)
