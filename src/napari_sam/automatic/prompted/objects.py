"""What is prompted: which points and boxes mean which object, and the objects of rough labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask
from napari_sam.prompts import BoxPrompt, PointPrompt, PromptSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class PromptedObject:
    """An object that somebody pointed at, or drew roughly.

    Attributes
    ----------
    prompts : PromptSet
        Points and a box, data pixels of the plane; empty where only a rough mask says what is meant.
    rough : BoxedMask or None
        Its mask so far, on the plane; not empty.
    label : int
        Id of the rough mask in the labels that it is from; 0 for an object that has none yet.
    """

    prompts: PromptSet = field(default_factory=PromptSet)
    rough: BoxedMask | None = None
    label: int = 0


def objects_of_prompts(
    points: Iterable[PointPrompt], boxes: Iterable[BoxPrompt] = ()
) -> tuple[tuple[PromptedObject, ...], int]:
    """Make an object of every positive point and of every box.

    A negative point belongs to the nearest of them: to the box that it is in, the smallest of several, or else to the
    point or the box that is least far away.

    Parameters
    ----------
    points : iterable of PointPrompt
        Data pixels, (y, x).
    boxes : iterable of BoxPrompt

    Returns
    -------
    objects : tuple of PromptedObject
        Those of points in their order, then those of boxes. Of points at one place, and of boxes that are alike, the
        first counts.
    unused : int
        Negative points that belong to nothing, because there is nothing else.
    """
    # A dict for its order: prompts are equal by value.
    given = tuple(dict.fromkeys(points))
    seeds: list[PointPrompt | BoxPrompt] = [point for point in given if point.positive]
    seeds += dict.fromkeys(boxes)
    negatives: list[list[PointPrompt]] = [[] for _seed in seeds]
    unused = 0
    for point in given:
        if point.positive:
            continue
        if not seeds:
            unused += 1
            continue
        negatives[min(range(len(seeds)), key=lambda place: _farness(point, seeds[place]))].append(point)
    found = (PromptedObject(PromptSet((seed, *beside))) for seed, beside in zip(seeds, negatives, strict=True))
    return tuple(found), unused


def objects_of_labels(
    labels: NDArray[np.integer[Any]],
    start: tuple[int, int] = (0, 0),
    plane: tuple[int, int] | None = None,
) -> tuple[PromptedObject, ...]:
    """Make an object of every id of a labels image, in ascending order.

    Parameters
    ----------
    labels : numpy.ndarray, shape (h, w), int
        A plane of labels, or a part of one; 0 for background.
    start : (int, int)
        Upper left data pixel of the part.
    plane : (int, int), optional
        Height and width of the whole plane; by default, `labels` are it.

    Returns
    -------
    tuple of PromptedObject
    """
    shape = (int(labels.shape[0]), int(labels.shape[1])) if plane is None else plane
    ids, numbers = np.unique(labels, return_inverse=True)
    # Numbers without gaps: one box is searched for each, and ids may be in the millions.
    numbers = numbers.reshape(labels.shape) + 1
    found = []
    for number, (label, box) in enumerate(zip(ids.tolist(), ndimage.find_objects(numbers), strict=True), 1):
        if label > 0:
            rows, columns = box
            origin = start[0] + rows.start, start[1] + columns.start
            found.append(PromptedObject(PromptSet(), BoxedMask(origin, numbers[box] == number, shape), label))
    return tuple(found)


def grid_points(start: tuple[int, int], shape: tuple[int, int], spacing: float) -> tuple[PointPrompt, ...]:
    """Lay points on a regular grid, centred on a part of a plane.

    Parameters
    ----------
    start, shape : (int, int)
        Upper left data pixel of the part, and its height and width.
    spacing : float
        Data pixels between neighbours, 1 or more.

    Returns
    -------
    tuple of PointPrompt
        Row by row; at least one.

    Raises
    ------
    InputError
        If the spacing is none.
    """
    if not 1 <= spacing < float("inf"):
        raise InputError(f"The spacing of a grid is 1 px or more; got {spacing!r}.")
    rows, columns = (_steps(first, side, spacing) for first, side in zip(start, shape, strict=True))
    return tuple(PointPrompt((y, x)) for y in rows for x in columns)


def _steps(first: int, side: int, spacing: float) -> Sequence[float]:
    count = max(1, int(side // spacing))
    # Half of what is left over at either end; positions are centres of pixels.
    begin = first + (side - 1 - (count - 1) * spacing) / 2
    return [begin + step * spacing for step in range(count)]


def _farness(point: PointPrompt, seed: PointPrompt | BoxPrompt) -> tuple[float, float]:
    """Tell how far a point is from a prompt, and, where several are as near, which of them is smaller."""
    y, x = point.position
    if isinstance(seed, PointPrompt):
        return float(np.hypot(y - seed.position[0], x - seed.position[1])), 0.0
    (top, left), (bottom, right) = seed.start, seed.stop
    away = np.hypot(max(top - y, 0.0, y - bottom), max(left - x, 0.0, x - right))
    return float(away), (bottom - top) * (right - left)
