"""Prompts as a model takes them: whether it takes them, and tensors on its canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sam.errors import InputError
from napari_sam.model.protocol import PromptTensors
from napari_sam.prompts import AreaPrompt, BoxPrompt, MaskPrompt, PaintPrompt, PointPrompt, ScribblePrompt, TextPrompt

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from napari_sam.geometry import Frame
    from napari_sam.model.protocol import PromptKind
    from napari_sam.model.text_projection import ClipSpace
    from napari_sam.prompts import PromptSet


def require_kind(kind: PromptKind, kinds: Collection[PromptKind], name: str) -> None:
    """Refuse a kind of prompt that a model does not take.

    Parameters
    ----------
    kind : {"point", "box", "mask", "text"}
        What is to be given.
    kinds : collection of str
        What the model takes.
    name : str
        Of the model.

    Raises
    ------
    InputError
        If it does not take that.
    """
    if kind not in kinds:
        words = " and ".join(f"{other} prompts" for other in sorted(kinds))
        if kind == "text":
            raise InputError(
                f"{name} takes no words: its checkpoint has no text projection, nor has any published one. "
                f"Use {words}, or rank found objects by words (`napari-sam find`). "
                "`napari-sam train text` trains a projection."
            )
        raise InputError(
            f"{name} was not trained for {kind} prompts; it takes {words}. Use those, or choose another model."
        )


def require_answerable(
    prompts: PromptSet,
    frame: Frame,
    kinds: Collection[PromptKind],
    logits_shape: tuple[int, int],
    name: str,
    space: ClipSpace | None = None,
) -> None:
    """Refuse prompts that a model cannot answer on a plane.

    Parameters
    ----------
    prompts : PromptSet
        For one object, data pixels.
    frame : Frame
        Where the plane lies on the model's canvas.
    kinds, name
        As `require_kind` takes them.
    logits_shape : (int, int)
        Height and width of the logits that the model takes for this plane.
    space : ClipSpace, optional
        The CLIP model whose embeddings it takes.

    Raises
    ------
    InputError
        If there are none, one lies outside the plane, is of a kind that the model does not take, a mask has another
        shape, or words were embedded by another CLIP model.
    """
    if not len(prompts):
        raise InputError("There is no prompt. Give at least one point or box.")
    prompts.require_inside(frame.plane)
    for prompt in prompts:
        match prompt:
            case PointPrompt():
                require_kind("point", kinds, name)
            case BoxPrompt():
                require_kind("box", kinds, name)
            case MaskPrompt(logits=logits):
                require_kind("mask", kinds, name)
                if logits.shape != logits_shape:
                    raise InputError(
                        f"The mask prompt is {logits.shape[0]} x {logits.shape[1]}, but {name} needs "
                        f"{logits_shape[0]} x {logits_shape[1]} here. "
                        "Use prediction.logits of the same model and plane."
                    )
            case ScribblePrompt() | AreaPrompt() | PaintPrompt():
                raise TypeError("no model takes what is drawn by hand as it is; see `model_prompts`")
            case TextPrompt():
                require_kind("text", kinds, name)
                if space is not None:
                    _require_space(prompt, space, name)


def _require_space(prompt: TextPrompt, space: ClipSpace, name: str) -> None:
    """Refuse an embedding of another CLIP model."""
    if prompt.clip not in (space.model, space.source):
        raise InputError(
            f"{name} was trained on embeddings of {space.model}, but these words were embedded by {prompt.clip}. "
            f"Embed them with {space.model}."
        )
    if (width := len(prompt.embedding)) != space.width:
        raise InputError(
            f"{name} takes embeddings of {space.width} numbers, but the one of these words has {width}: "
            f"it is of another {space.model}. Embed the words with the one that the checkpoint was trained against."
        )


def prompt_tensors(sets: Sequence[PromptSet], frame: Frame, device: torch.device) -> PromptTensors:
    """Lay prompts on the canvas of a model.

    Parameters
    ----------
    sets : sequence of PromptSet
        One for each object, data pixels, (y, x). All have a box or none has, and so with masks and words.
    frame : Frame
        Where the plane lies on the canvas.
    device : torch.device
        Where the tensors are wanted.

    Returns
    -------
    PromptTensors
        Points, (n, most, 2) float32, model pixels, (x, y), with labels, 1, 0 or -1 for padding; boxes, (n, 4), and
        masks, (n, 1, h, w), or None; embeddings of words, (n, width), or None.
    """
    xy = [frame.to_model(np.array([p.position for p in given.points]).reshape(-1, 2)) for given in sets]
    points = np.zeros((len(sets), max(map(len, xy)), 2), np.float32)
    # Padding, where objects of one call have unequal numbers of points.
    labels = np.full(points.shape[:2], -1, np.int64)
    for row, (given, positions) in enumerate(zip(sets, xy, strict=True)):
        points[row, : len(positions)] = positions
        labels[row, : len(positions)] = [p.positive for p in given.points]
    boxes = masks = texts = None
    if corners := [(box.start, box.stop) for given in sets if (box := given.box) is not None]:
        # A box drawn past the border means "up to the border".
        inside = np.clip(np.array(corners), -0.5, np.array(frame.plane) - 0.5)
        boxes = torch.from_numpy(frame.to_model(inside).reshape(-1, 4)).to(device)
    if earlier := [mask.logits for given in sets if (mask := given.mask) is not None]:
        masks = torch.from_numpy(np.stack(earlier))[:, None].to(device)
    if told := [text.embedding for given in sets if (text := given.text) is not None]:
        texts = torch.from_numpy(np.stack(told)).to(device)
    return PromptTensors(torch.from_numpy(points).to(device), torch.from_numpy(labels).to(device), boxes, masks, texts)
