"""Every kind of prompt. mypy names each ``match`` that has yet to learn a new one."""

from __future__ import annotations

from napari_sam.prompts.drawn import AreaPrompt, ScribblePrompt
from napari_sam.prompts.kinds import BoxPrompt, MaskPrompt, PointPrompt, TextPrompt
from napari_sam.prompts.paint import PaintPrompt

Prompt = PointPrompt | BoxPrompt | ScribblePrompt | AreaPrompt | PaintPrompt | MaskPrompt | TextPrompt
"""What can be said about an object."""
