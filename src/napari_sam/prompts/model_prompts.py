"""What a model takes of what was drawn: points of a scribble, the box and the logits of an area.

Models know points, boxes and logits. A scribble becomes a few points along it: more would not be clicks any more, of
which models have seen a handful on an object. An area becomes its box and, where the model takes masks, logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.errors import InputError
from napari_sam.prompts.drawn import AreaPrompt, ScribblePrompt
from napari_sam.prompts.kinds import BoxPrompt, MaskPrompt, PointPrompt, TextPrompt, is_on_plane
from napari_sam.prompts.paint import PaintPrompt
from napari_sam.prompts.prompt_set import PromptSet

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from napari_sam.geometry import Frame
    from napari_sam.prompts.union import Prompt

SURE = 8.0
"""Logit of what certainly is the object, in a mask that comes from elsewhere."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelPrompts:
    """Prompts as a model takes them.

    Attributes
    ----------
    prompts : PromptSet
        Points, a box, logits and words.
    excluded : numpy.ndarray, shape (H, W), bool, or None
        What the person said does not belong to the object; None where nothing was drawn to say so.
    paint : PaintPrompt or None
        What is laid over the masks in the end.
    """

    prompts: PromptSet
    excluded: NDArray[np.bool_] | None = None
    paint: PaintPrompt | None = None


def model_prompts(prompts: PromptSet, frame: Frame, kinds: Collection[str], grid: tuple[int, int]) -> ModelPrompts:
    """Say with points, a box and logits what was drawn.

    Parameters
    ----------
    prompts : PromptSet
        For one object, data pixels of the plane.
    frame : Frame
        Where the plane lies on the model's canvas.
    kinds : collection of str
        Kinds of prompts that the model takes.
    grid : (int, int)
        Height and width of the logits that it takes for this plane.

    Returns
    -------
    ModelPrompts

    Raises
    ------
    InputError
        If one lies outside the plane.
    """
    prompts.require_inside(frame.plane)
    if not prompts.scribbles and not prompts.areas:
        return ModelPrompts(prompts.unpainted, paint=prompts.paint)
    plain: list[Prompt] = []
    for prompt in prompts:
        match prompt:
            case ScribblePrompt():
                plain += _points_along(prompt, frame.plane)
            case AreaPrompt(positive=False) if "point" in kinds:
                plain.append(_point_within(prompt, frame.plane))
            case AreaPrompt() | PaintPrompt() | MaskPrompt():
                pass
            case PointPrompt() | BoxPrompt() | TextPrompt():
                plain.append(prompt)
    inside, outside = (_united(prompts.areas, frame.plane, positive=positive) for positive in (True, False))
    if inside is not None and prompts.box is None and "box" in kinds:
        plain.append(AreaPrompt.of(inside).box)
    elif inside is not None and "box" not in kinds and "mask" not in kinds:
        plain.append(_point_within(AreaPrompt.of(inside), frame.plane))
    logits = _logits(prompts.mask, inside, outside, frame, grid) if "mask" in kinds else None
    taken = PromptSet((*plain, *(() if logits is None else (MaskPrompt(logits),))))
    return ModelPrompts(taken, outside, prompts.paint)


def mask_prompt(mask: NDArray[np.bool_], frame: Frame, grid: tuple[int, int]) -> MaskPrompt:
    """Make a prompt of a mask that was not predicted.

    Parameters
    ----------
    mask : numpy.ndarray, shape (H, W), bool
        On the plane.
    frame : Frame
        Where the plane lies on the model's canvas.
    grid : (int, int)
        Height and width of the logits that the model takes for this plane.

    Returns
    -------
    MaskPrompt
        Logits of `SURE` inside, ``-SURE`` outside, and between them where a cell holds some of both.

    Raises
    ------
    InputError
        If the mask has another shape than the plane.
    """
    if np.shape(mask) != frame.plane:
        raise InputError(
            f"The mask has shape {np.shape(mask)}, but the plane is {frame.plane[0]} x {frame.plane[1]} pixels. "
            "Give a mask of the whole plane."
        )
    return MaskPrompt(SURE * (2 * frame.onto_grid(mask, grid) - 1))


def painted_logits(logits: NDArray[np.float32], paint: PaintPrompt, frame: Frame) -> NDArray[np.float32]:
    """Paint logits as the mask is painted, so that the model goes on from what the person sees.

    Parameters
    ----------
    logits : numpy.ndarray, shape (h, w), float32
        Of an answer.
    paint : PaintPrompt
        What is painted, data pixels of the plane of `frame`.
    frame : Frame
        Where the plane lies on the model's canvas, which the logits cover.

    Returns
    -------
    numpy.ndarray, shape (h, w), float32
        `SURE` where a cell is painted as a whole, ``-SURE`` where it is erased, and between them where it is in part.
    """
    for boxed, value in zip(paint.on_plane(frame.plane), (SURE, -SURE), strict=True):
        if boxed.mask.any():
            share = frame.onto_grid(boxed.whole(), (logits.shape[0], logits.shape[1]))
            logits = logits * (1 - share) + np.float32(value) * share
    return logits


def _points_along(scribble: ScribblePrompt, plane: tuple[int, int]) -> list[Prompt]:
    """Place points along a scribble, as far as it lies on the plane."""
    positions = [(float(y), float(x)) for y, x in scribble.sampled()]
    # Of a path that only touches the plane, some vertex lies there.
    inside = [at for at in positions if is_on_plane(at, plane)] or [
        at for at in scribble.path if is_on_plane(at, plane)
    ][:1]
    return [PointPrompt(at, scribble.positive) for at in inside]


def _point_within(area: AreaPrompt, plane: tuple[int, int]) -> PointPrompt:
    """Click where an area is deepest."""
    boxed = area.on_plane(plane)
    return PointPrompt(AreaPrompt(boxed.origin, boxed.mask).deepest, area.positive)


def _united(areas: Sequence[AreaPrompt], plane: tuple[int, int], *, positive: bool) -> NDArray[np.bool_] | None:
    """Lay the areas of one polarity on the plane, (H, W) bool; None where there is none."""
    some = [area.on_plane(plane) for area in areas if area.positive == positive]
    if not some:
        return None
    laid = np.zeros(plane, dtype=bool)
    for boxed in some:
        laid[boxed.box] |= boxed.mask
    return laid


def _logits(
    earlier: MaskPrompt | None,
    inside: NDArray[np.bool_] | None,
    outside: NDArray[np.bool_] | None,
    frame: Frame,
    grid: tuple[int, int],
) -> NDArray[np.float32] | None:
    """Make the logits that go in: those of an earlier answer and of the areas."""
    logits = None if earlier is None else earlier.logits
    if logits is not None and logits.shape != grid:
        return logits  # refused, with words, where all prompts are
    if inside is not None:
        drawn = mask_prompt(inside, frame, grid).logits
        # Half and half, with the box. Rough polygons and three clicks, bundled model, nuclei: mean IoU .897; .889 with
        # the earlier answer alone; .904 with the area alone, which would forget all that was answered around it.
        logits = drawn if logits is None else np.float32(0.5) * (drawn + logits)
    if logits is not None and outside is not None:
        share = frame.onto_grid(outside, grid)
        logits = logits * (1 - share) - np.float32(SURE) * share
    return logits
