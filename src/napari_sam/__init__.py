"""Promptable segmentation for napari: click an object, get its mask.

The public names load on first use, so that ``import napari_sam`` takes milliseconds: neither torch nor napari nor Qt
is imported here.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam.checkpoints.registry import ModelSpec, list_models
    from napari_sam.predictor import Embedding, Prediction, Predictor, load_predictor
    from napari_sam.prompts import (
        AreaPrompt,
        BoxPrompt,
        MaskPrompt,
        PaintPrompt,
        PointPrompt,
        PromptSet,
        ScribblePrompt,
        TextPrompt,
    )

try:
    __version__ = version("napari-sam-live")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"

__all__ = [
    "AreaPrompt",
    "BoxPrompt",
    "Embedding",
    "MaskPrompt",
    "ModelSpec",
    "PaintPrompt",
    "PointPrompt",
    "Prediction",
    "Predictor",
    "PromptSet",
    "ScribblePrompt",
    "TextPrompt",
    "list_models",
    "load_predictor",
]

_HOME = {
    "AreaPrompt": "prompts",
    "BoxPrompt": "prompts",
    "Embedding": "predictor",
    "MaskPrompt": "prompts",
    "ModelSpec": "checkpoints.registry",
    "PaintPrompt": "prompts",
    "PointPrompt": "prompts",
    "Prediction": "predictor",
    "Predictor": "predictor",
    "PromptSet": "prompts",
    "ScribblePrompt": "prompts",
    "TextPrompt": "prompts",
    "list_models": "checkpoints.registry",
    "load_predictor": "predictor",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    # Completion offers names that are not loaded yet, too.
    return sorted([*globals(), *__all__])
