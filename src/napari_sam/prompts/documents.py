"""Prompts as JSON: each as an object that says its type."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.masks import decode_mask, encode_mask
from napari_sam.prompts.drawn import MOST_AREA, AreaPrompt, ScribblePrompt
from napari_sam.prompts.kinds import BoxPrompt, MaskPrompt, PointPrompt, TextPrompt
from napari_sam.prompts.paint import PaintPrompt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.prompts.union import Prompt

SHOWN = 120
"""Characters of what cannot be read that a message repeats."""

_KNOWN = '"point", "box", "scribble", "area", "paint", "mask", "text"'


def to_entry(prompt: Prompt) -> dict[str, Any]:
    """Write a prompt as what JSON knows; `from_entry` reads it back equal."""
    match prompt:
        case PointPrompt():
            return {"type": "point", "position": list(prompt.position), "positive": prompt.positive}
        case BoxPrompt():
            return {"type": "box", "start": list(prompt.start), "stop": list(prompt.stop)}
        case ScribblePrompt():
            return {"type": "scribble", "path": [list(at) for at in prompt.path], "positive": prompt.positive}
        case AreaPrompt():
            # Run lengths, as COCO writes masks, of the box that holds the area.
            runs = _encode(prompt.mask)
            return {"type": "area", "origin": list(prompt.origin), **runs, "positive": prompt.positive}
        case PaintPrompt():
            both = {"added": _encode(prompt.added), "erased": _encode(prompt.erased)}
            return {"type": "paint", "origin": list(prompt.origin), **both}
        case MaskPrompt():
            return {"type": "mask", "shape": list(prompt.logits.shape), "logits": _pack(prompt.logits)}
        case TextPrompt():
            return {"type": "text", "words": prompt.words, "clip": prompt.clip, "embedding": _pack(prompt.embedding)}


def from_entry(entry: Any) -> Prompt:
    """Read what `to_entry` wrote.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        match entry["type"]:
            case "point":
                return PointPrompt(entry["position"], _polarity(entry))
            case "box":
                return BoxPrompt(entry["start"], entry["stop"])
            case "scribble":
                return ScribblePrompt(entry["path"], _polarity(entry))
            case "area":
                return AreaPrompt(entry["origin"], _runs(entry), _polarity(entry))
            case "paint":
                return PaintPrompt(entry["origin"], _runs(entry["added"]), _runs(entry["erased"]))
            case "mask":
                return MaskPrompt(_unpack(entry["logits"]).reshape(entry["shape"]))
            case "text":
                return TextPrompt(str(entry["words"]), _unpack(entry["embedding"]), str(entry["clip"]))
            case other:
                raise InputError(f"Unknown prompt type {str(other)[:SHOWN]!r}. Known: {_KNOWN}.")
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(f"This prompt cannot be read: {str(entry)[:SHOWN]} ({str(error)[:SHOWN]}).") from error


def _polarity(entry: Any) -> bool:
    positive = entry.get("positive", True)
    if not isinstance(positive, bool):  # "false" in quotes would count as true
        raise InputError(f'"positive" is true or false; got {str(positive)[:SHOWN]!r}.')
    return positive


def _encode(mask: NDArray[np.bool_]) -> dict[str, Any]:
    return encode_mask(mask, (0, 0), (mask.shape[0], mask.shape[1]))


def _runs(entry: Any) -> NDArray[np.bool_]:
    height, width = entry["size"]
    # Before the runs are laid out: one number in a file may stand for more pixels than there is memory.
    if not 0 < height * width <= MOST_AREA:
        raise InputError(f"An area of {str(entry['size'])[:SHOWN]} pixels cannot be read: at most {MOST_AREA}.")
    return decode_mask(entry)


def _pack(numbers: NDArray[np.float32]) -> str:
    # Little-endian, whichever machine writes and reads it.
    return base64.b64encode(numbers.astype("<f4").tobytes()).decode()


def _unpack(packed: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(packed), dtype="<f4")
