"""Options that name places in a stack: an axis, a range of planes, clicks and boxes with a coordinate per axis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from napari_sam.commands.options.shared import split_polarity
from napari_sam.errors import InputError
from napari_sam.prompts import BoxPrompt, PointPrompt, Prompt, PromptSet

if TYPE_CHECKING:
    from napari_sam.io.stacks import ImageStack


@dataclass(frozen=True)
class Click:
    """``Z,Y,X[,+|-]``, one coordinate per axis."""

    place: tuple[float, ...]
    positive: bool


@dataclass(frozen=True)
class Box:
    """``Z,Y0,X0,Y1,X1``: a coordinate per axis that is not the plane's, then two corners on the plane."""

    numbers: tuple[float, ...]


@dataclass(frozen=True)
class StackLine:
    """The planes that an object is carried along.

    Attributes
    ----------
    axis : int
        The one that planes follow each other along.
    shown : (int, int)
        The axes of the planes.
    index : tuple of (int or None)
        For `ImageStack.planes`: per axis its index, None for the two that are shown, 0 at `axis`.
    """

    axis: int
    shown: tuple[int, int]
    index: tuple[int | None, ...]


@dataclass
class StackPrompts:
    """What was said on planes.

    Attributes
    ----------
    prompts : dict of int to list of Prompt
        By plane.
    marks : dict of int to list of (float, float)
        Stop marks: clicks beside the object on planes of which nothing else is said.
    """

    prompts: dict[int, list[Prompt]] = field(default_factory=dict)
    marks: dict[int, list[tuple[float, float]]] = field(default_factory=dict)


def read_click(text: str) -> Click:
    """Read ``Z,Y,X``, ``Z,Y,X,+`` or ``Z,Y,X,-``."""
    place, positive = split_polarity(text)
    return Click(_numbers(place, "a coordinate per axis, such as Z,Y,X"), positive)


def read_box(text: str) -> Box:
    """Read ``Z,Y0,X0,Y1,X1``."""
    return Box(_numbers(text, "Z,Y0,X0,Y1,X1"))


def read_place(text: str) -> tuple[str, int]:
    """Read ``AXIS=I``."""
    axis, _, index = text.partition("=")
    try:
        return axis, int(index)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not AXIS=I: an axis and an index on it.") from None


def _numbers(text: str, words: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not {words}: numbers with commas between.") from None


def find_axis(name: str, axes: str) -> int:
    """Read the name or the number of an axis."""
    if name in axes and len(name) == 1:
        return axes.index(name)
    if name.isdecimal() and int(name) < len(axes):
        return int(name)
    raise InputError(f"There is no axis {name}: the stack has {', '.join(axes)}, or 0 to {len(axes) - 1}.")


def find_span(text: str | None, length: int) -> range:
    """Read ``A:B``; either may be left out."""
    if text is None:
        return range(length)
    start, colon, stop = text.partition(":")
    try:
        found = range(int(start or 0), int(stop or length))
        # Without the colon, "7" would pass for all planes from 7 on.
        sound = bool(colon) and 0 <= found.start < found.stop <= length
    except ValueError:
        sound = False
    if not sound:
        raise InputError(f"--range {text} is not A:B with 0 <= A < B <= {length}, the planes along that axis.")
    return found


def find_row(
    stack: ImageStack, name: str | None, clicks: list[Click], boxes: list[Box]
) -> tuple[StackLine, StackPrompts]:
    """Find the planes that clicks and boxes lie on, and what they say there.

    Parameters
    ----------
    stack : ImageStack
    name : str, optional
        Name or number of the axis to go along. Default: z, else the first.
    clicks, boxes : list

    Raises
    ------
    InputError
        If there are too many or too few coordinates, or they lie outside or in different rows of planes.
    """
    axes, shape = stack.axes, stack.shape
    if len(axes) == 2:
        raise InputError("This is a single plane. Use `napari-sam segment`.")
    # find gives -1 where there is no z: then the first axis.
    axis = find_axis(name, axes) if name is not None else max(0, axes.find("z"))
    shown = tuple(other for other in range(len(axes)) if other != axis)[-2:]
    others = [other for other in range(len(axes)) if other not in shown]
    said, rows = StackPrompts(), set[tuple[int, ...]]()
    for places, prompt in (*_clicked(clicks, axes, others, shown), *_boxed(boxes, axes, others)):
        whole = {other: round(place) for other, place in zip(others, places, strict=True)}
        for other, place in whole.items():
            if not 0 <= place < shape[other]:
                raise InputError(f"{axes[other]} = {place} lies outside: it goes from 0 to {shape[other] - 1}.")
        # As soon as the plane is known, and before a model is loaded.
        PromptSet((prompt,)).require_inside((shape[shown[0]], shape[shown[1]]))
        said.prompts.setdefault(whole.pop(axis), []).append(prompt)
        # Without `axis`, along which prompts may differ.
        rows.add(tuple(whole.values()))
    if len(rows) > 1:
        fixed = ", ".join(axes[other] for other in others if other != axis)
        raise InputError(f"The prompts differ in {fixed}. Along {axes[axis]}, an object is carried at one {fixed}.")
    # There is one: the command asks for a click or a box.
    [kept] = rows
    left = iter(kept)
    index = tuple(None if other in shown else 0 if other == axis else next(left) for other in range(len(axes)))
    return StackLine(axis, (shown[0], shown[1]), index), _with_marks(said)


def _clicked(
    clicks: list[Click], axes: str, others: list[int], shown: tuple[int, ...]
) -> list[tuple[list[float], Prompt]]:
    found: list[tuple[list[float], Prompt]] = []
    for click in clicks:
        if len(click.place) != len(axes):
            raise InputError(
                f"A --point has a coordinate per axis of the stack, {','.join(axes).upper()}; "
                f"this one has {len(click.place)}."
            )
        prompt = PointPrompt((click.place[shown[0]], click.place[shown[1]]), click.positive)
        found.append(([click.place[other] for other in others], prompt))
    return found


def _boxed(boxes: list[Box], axes: str, others: list[int]) -> list[tuple[list[float], Prompt]]:
    found: list[tuple[list[float], Prompt]] = []
    for box in boxes:
        count = len(others)
        if len(box.numbers) != count + 4:
            raise InputError(
                f"A --box of this stack has {count + 4} numbers: {', '.join(axes[other] for other in others)}, then "
                f"two corners on the plane; this one has {len(box.numbers)}."
            )
        y0, x0, y1, x1 = box.numbers[count:]
        found.append((list(box.numbers[:count]), BoxPrompt((y0, x0), (y1, x1))))
    return found


def _with_marks(said: StackPrompts) -> StackPrompts:
    """Take planes on which there are only clicks beside the object for planes with stop marks."""
    # A copy: planes are taken out on the way.
    for plane, prompts in list(said.prompts.items()):
        points = [prompt for prompt in prompts if isinstance(prompt, PointPrompt) and not prompt.positive]
        if len(points) == len(prompts):
            said.marks[plane] = [point.position for point in points]
            del said.prompts[plane]
    if not said.prompts:
        raise InputError("No plane has the object: give a --point on it, or a --box around it.")
    return said
