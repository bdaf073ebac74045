"""What the Stack section says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from napari_sam.session.messages import key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam.propagation import Ending

Start = Literal["new", "resumed", "restarted"]
_NAMED = 4
"""Planes that are named one by one; of more of them, the first and the last."""
_STARTS: dict[Start, str] = {"new": "Carrying", "resumed": "Going on with", "restarted": "Starting again with"}

NO_STACK = "This image has one plane here: there is nothing to carry an object through."
NO_OBJECT = "Click an object first, then carry it through the stack."
PROMPTED = "Propagate carries this object through the stack."
NOT_FOUND = "The object was not found on the planes that were prompted."
RUNNING = "An object is being carried already. Wait, or cancel it first."
NOTHING_TO_COPY = "There are no prompts to copy. Click an object first."
STILL_WRITING = "An accepted object is not written yet. Go on with it as soon as it is."
STILL_ASKED = "The mask is not there yet. Copy its prompts as soon as it is."
NO_WEAK = "No plane of this object is weak."
TARGET_GONE = "The labels layer was removed or changed its shape."
TAKEN_BACK = "The object was undone or erased while it was carried."
IMAGE_GONE = "The image was removed or its pixels were replaced."
MODEL_CHANGED = "The model was changed."
CANCELLED = "Cancelled."


def ready(label: int) -> str:
    """Say that an object can be carried."""
    return f"Object {label} can be carried from here."


def shown(name: str, places: Sequence[int], place: int) -> str:
    """Say from which planes a run would start; "" where that is clear, as it is only the plane on screen.

    Parameters
    ----------
    name : str
        The axis.
    places : sequence of int
        Planes on which prompts say where the object is, in order.
    place : int
        The plane on screen.
    """
    if not set(places) - {place}:
        return ""
    if len(places) > _NAMED:
        return f"Shown on {len(places)} planes, {name} = {places[0]} to {places[-1]}."
    *first, last = map(str, places)
    return f"Shown on {name} = {' and '.join(filter(None, (', '.join(first), last)))}."


def not_here(label: int, name: str) -> str:
    """Say that the current object is on no plane of the line."""
    return f"Object {label} is on no plane along {name} here. Click it on this plane, or scroll to one that has it."


def goes_on(label: int) -> str:
    """Say what accept does to the current object."""
    return f"Object {label} goes on: {key('accept')} writes it anew on this plane."


def corrected(label: int) -> str:
    """Say what comes after a correction."""
    return f"Object {label} corrected here. Propagate carries it to the next good planes."


def no_neighbour(name: str, place: int) -> str:
    """Say that a plane does not exist."""
    return f"There is no plane {name} = {place}."


def in_part(label: int) -> str:
    """Say that the run of an object was broken off."""
    return f"Object {label} is carried in part. Propagate carries on."


def progress(label: int | None, done: int, total: int, start: Start = "new") -> str:
    """Say how far a run is.

    Parameters
    ----------
    label : int or None
        The object, if it is written anywhere yet.
    done, total : int
        Planes.
    start : {"new", "resumed", "restarted"}
        Whether the run goes on from where one was broken off, or starts again.
    """
    what = _STARTS[start] + (" the object" if label is None else f" object {label}")
    return f"{what}: plane {min(done + 1, total)} of {total}." if total else f"{what}."


def carried(label: int | None, name: str, places: Sequence[int], weak: int) -> str:
    """Say what a run did: which planes it wrote, and how many are weak.

    Parameters
    ----------
    label : int or None
        The object.
    name : str
        The axis.
    places : sequence of int
        Planes that were written.
    weak : int
        How many of them should be looked at.
    """
    if not places:
        return "No other plane was written."
    if len(places) == 1:
        text = f"Object {label} carried to {name} = {places[0]}."
    else:
        text = f"Object {label} carried to {len(places)} planes, {name} = {min(places)} to {max(places)}."
    return f"{text} {weak} weak." if weak else text


def stopped(name: str, endings: Sequence[Ending]) -> str:
    """Say where a run ended by a rule, and by which; "" when it did not."""
    inorder = sorted(endings, key=lambda ending: ending.index)
    return " ".join(f"Stopped at {name} = {ending.index}: {ending.reason.words}." for ending in inorder)


def broken_off(why: str, count: int, *, can_resume: bool = False) -> str:
    """Say that a run was broken off, and what became of what it had done.

    Parameters
    ----------
    why : str
        One sentence.
    count : int
        Planes that it wrote.
    can_resume : bool
        Whether another run can go on from there.
    """
    if not count:
        return why
    planes = "1 plane is" if count == 1 else f"{count} planes are"
    return f"{why} {planes} written; one undo takes all back.{' Propagate goes on from there.' if can_resume else ''}"
