"""What a person says about an object: frozen prompts, and sets of them.

Coordinates are data pixels of one plane, (y, x), pixel-centred. A new kind of prompt is a frozen dataclass and a member
of `Prompt`; mypy then names every ``match`` that has to learn it.
"""

from napari_sam.prompts.drawn import MOST_AREA, SCRIBBLE_POINTS, AreaPrompt, ScribblePrompt
from napari_sam.prompts.kinds import BoxPrompt, MaskPrompt, PointPrompt, TextPrompt, is_on_plane, touches_plane
from napari_sam.prompts.paint import PaintPrompt
from napari_sam.prompts.prompt_set import MOST_POINTS, PromptSet
from napari_sam.prompts.union import Prompt

__all__ = [
    "MOST_AREA",
    "MOST_POINTS",
    "SCRIBBLE_POINTS",
    "AreaPrompt",
    "BoxPrompt",
    "MaskPrompt",
    "PaintPrompt",
    "PointPrompt",
    "Prompt",
    "PromptSet",
    "ScribblePrompt",
    "TextPrompt",
    "is_on_plane",
    "touches_plane",
]
