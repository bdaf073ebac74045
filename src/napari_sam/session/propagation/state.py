"""What the Stack section of the dock shows: one frozen snapshot, a part of `SessionState`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StackAxis:
    """An axis that an object can be carried along.

    Attributes
    ----------
    axis : int
        The axis of the image's data.
    name : str
        As the viewer's slider is labelled.
    size : int
        Planes along it.
    """

    axis: int
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class StripPlane:
    """A plane that carries the object in hand.

    Attributes
    ----------
    place : int
        Its index along the axis.
    score : float
        How far the mask can be trusted, 0 to 1.
    weak : bool
        Whether it should be looked at.
    annotated : bool
        Whether a person said it.
    """

    place: int
    score: float
    weak: bool
    annotated: bool


@dataclass(frozen=True, slots=True)
class StackState:
    """Everything that the Stack section shows.

    Attributes
    ----------
    axes : tuple of StackAxis
        Axes to choose from; empty where there is no stack.
    axis : StackAxis or None
        The one that is chosen.
    place : int
        Index of the plane on screen along it.
    start, stop : int
        The range to go through: the first plane, and one more than the last.
    strategy : str
        How objects are carried: a name in `napari_sam.propagation.STRATEGIES`.
    label : int or None
        Id of the object in hand; None when there is none.
    planes : tuple of StripPlane
        The planes that carry it, in order.
    marks : tuple of int
        Planes with a stop mark, in order.
    shown : tuple of int
        Planes on which prompts say where an object is, in order: the next run starts from all of them.
    joining : str
        Words for them; "" where it is only the plane on screen.
    running : bool
        Whether a run goes on.
    same_object : bool
        Whether accept writes the object in hand again, instead of a new one.
    text : str
        What there is to say; "" when nothing.
    can_propagate, can_copy, can_jump : bool
        Which commands would do something.
    """

    axes: tuple[StackAxis, ...] = ()
    axis: StackAxis | None = None
    place: int = 0
    start: int = 0
    stop: int = 0
    strategy: str = ""
    label: int | None = None
    planes: tuple[StripPlane, ...] = ()
    marks: tuple[int, ...] = ()
    shown: tuple[int, ...] = ()
    joining: str = ""
    running: bool = False
    same_object: bool = False
    text: str = ""
    can_propagate: bool = False
    can_copy: bool = False
    can_jump: bool = False
