"""What was asked of the model to come to a mask: by that, the same model answers the same again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam.prompts import PromptSet


@dataclass(frozen=True, slots=True)
class PromptRound:
    """One question, and which of the answers the person chose: that one went back with the next question.

    Attributes
    ----------
    prompts : PromptSet
        What was asked.
    choice : int
        Which candidate was chosen.
    region : str
        What the model looked at, a `napari_sam.inference.request.Region`.
    visible : ((float, float), (float, float)) or None
        Corners of the part of the plane that was on the screen, data pixels, (y, x).
    """

    prompts: PromptSet
    choice: int
    region: str
    visible: tuple[tuple[float, float], tuple[float, float]] | None
