"""What is said about objects that exist, and what happens to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.session.messages import key

if TYPE_CHECKING:
    from napari_sam.session.objects.editing.pointing import GatheredClicks

_ENTER, _ESCAPE = key("accept"), key("cancel")

NOTHING_HERE = "There is no object here. Click one that visible labels show."
NOT_FITTING = "Nothing was changed: the labels or the image were replaced meanwhile."
UNCHANGED = "Nothing was changed."
NO_OBJECT = f"Point at an object, or pick one first ({key('pick_object')}, then click it)."
PICK_HINT = f"Click the object to correct. {key('cancel')} leaves it."
CANCELLED = "Cancelled. Nothing was changed."


def picked(label: int, layer: str, *, retargeted: bool, remembered: int) -> str:
    """Say which object is corrected now, where it is written, and that its prompts are back."""
    text = f"Object {label} picked: clicks correct it, {_ENTER} writes it, {_ESCAPE} leaves it as it was."
    if remembered:
        text += " Its prompts are back."
    if retargeted:
        text += f' Objects go to "{layer}" now.'
    return text


def not_on_plane(label: int, layer: str) -> str:
    """Say that an object is not where it was looked for."""
    return f'Object {label} is nowhere in "{layer}".'


def searching(labels: tuple[int, ...]) -> str:
    """Say that large labels are searched."""
    return f"Looking for {_objects(labels)}."


def deleted(label: int, planes: int, *, stack: bool) -> str:
    """Say what was deleted."""
    return f"Object {label} deleted{_on(planes, stack)}. Undo brings it back."


def splitting(label: int) -> str:
    """Say that an object is being divided."""
    return f"Splitting object {label}."


def split(labels: tuple[int, ...], *, by_model: bool) -> str:
    """Say into what an object was divided, and how."""
    how = "" if by_model else " by its shape"
    return f"Object {labels[0]} split{how}: now {_objects(labels)}."


def merged(labels: tuple[int, ...]) -> str:
    """Say which objects are one now."""
    return f"Merged {_objects(labels)}: all of it is object {labels[0]} now."


def hint(gathered: GatheredClicks) -> str:
    """Say what the next click does, and what Enter."""
    labels = gathered.labels
    if gathered.tool == "pick":
        return PICK_HINT
    if gathered.tool == "merge":
        if len(labels) > 1:
            return f"{_ENTER} merges {_objects(labels)} into {labels[0]}. Click more, or {_ESCAPE}."
        return f"Click what is to become part of object {labels[0]}." if labels else "Click the object whose id stays."
    count = len(gathered.clicks)
    if gathered.enough:
        return f"{_ENTER} splits object {labels[0]} into {len(gathered.pixels)}. Click more parts, or {_ESCAPE}."
    return f"Click the next part of object {labels[0]}." if count else "Click each part of the object once."


def more_clicks(gathered: GatheredClicks) -> str:
    """Say what is missing to split or to merge."""
    if gathered.tool == "merge":
        return f"Click two objects or more, then press {_ENTER}."
    return f"Click two parts of the object or more, then press {_ENTER}."


def other_object(gathered: GatheredClicks) -> str:
    """Say why a click does not count."""
    if gathered.tool == "merge":
        return "Objects of two layers cannot become one. Click one of the same layer."
    return f"That is another object. Click inside object {gathered.labels[0]}, or {_ESCAPE}."


def left() -> str:
    """Say that nothing came of correcting an object."""
    return "The object stays as it was."


def _objects(labels: tuple[int, ...]) -> str:
    return f"object {labels[0]}" if len(labels) == 1 else f"objects {', '.join(map(str, labels))}"


def _on(planes: int, stack: bool) -> str:
    if not stack:
        return ""
    return " on 1 plane" if planes == 1 else f" on {planes} planes"
