"""What the status line and the hint say."""

from __future__ import annotations

import errno
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam.errors import NapariSamError
from napari_sam.session.state import Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sam.inference.request import Stage

_KEY = re.compile(r"⟨(\w+)⟩")


def key(action: str) -> str:
    """Stand for the key of an action in a text, until `name_keys` puts it there: the person may choose another one.

    Parameters
    ----------
    action : str
        Name of the action.
    """
    return f"⟨{action}⟩"


def name_keys(text: str, keys: Callable[[str], tuple[str, ...]]) -> str:
    """Put into a text the keys that actions have now, the first of each, as napari writes it.

    Parameters
    ----------
    text : str
        With what `key` gave.
    keys : callable
        Takes the name of an action, and returns its keys; raises KeyError where there is no such action.
    """

    def named(found: re.Match[str]) -> str:
        try:
            return keys(found[1])[0]
        except KeyError:
            return found[0]  # the name of a file, for example

    return _KEY.sub(named, text)


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

NO_IMAGE = "No image. Open one, or select its layer."
EMPTY_MASK = "This mask is empty, so there is nothing to write. Click the object, or choose another candidate."
ALL_ERASED = "All of this mask is erased, so there is nothing to write. Paint something, or undo."
NO_BRUSH_IN_BATCH = "The brush paints one object at a time. Choose the tempo Careful or Turbo for it."
ERASED_ONLY = "There is no mask here to erase from. Paint the object, or click it."
NOTHING_FREE = (
    'Every pixel of this mask carries a label already. Choose "Overwrite" in place of "Empty pixels only" '
    "to write over them."
)
NO_CANDIDATE = "There is no mask to accept yet. Click an object, or draw a box around one."
IMAGE_GONE = "The image was removed before its object was found."
TARGET_GONE = "The labels layer was removed or changed its shape before the object was found."
CANCELLED = "Cancelled."
NO_OLDER_STEPS = "Older steps are no longer kept."
BACKGROUND_ONLY = "A background point alone names no object. Click the object, or draw a box around it."

TURBO = (
    f"A click writes its object at once. {key('toggle_polarity')}, and a click beside it, "
    "says first what is not to be in it."
)
TURBO_NEXT = "Next object. Undo takes the last one back, with its click."

BRUSH = f"Paint on the mask; {key('toggle_polarity')} erases, [ and ] change the size."
ERASER = f"Erase from the mask; {key('toggle_polarity')} paints, [ and ] change the size."
BRUSH_IN_TURBO = f"A stroke is not written by itself: {key('accept')} accepts."

CUT = "The object goes on beyond what was looked at. Draw a box around all of it, or zoom out."

_STAGES: dict[Stage, str] = {
    "loading": "Loading the model.",
    "encoding": "Reading and encoding the {plane}.",
    "predicting": "Looking for the object.",
}


def working(stage: Stage, plane: str, fraction: float | None) -> Status:
    """Describe work under way.

    Parameters
    ----------
    stage : str
        What is being done.
    plane : str
        Words for the plane, such as "plane z = 12".
    fraction : float or None
        Share of the stage that is done.
    """
    return Status("working", _STAGES[stage].format(plane=plane), fraction, cancellable=True)


def waiting(status: Status, count: int) -> Status:
    """Add to the words for work under way how many accepted objects wait for it."""
    if not count or status.kind != "working":
        return status
    more = "1 accepted object waits" if count == 1 else f"{count} accepted objects wait"
    return replace(status, text=f"{status.text} {more} to be written.")


def not_written(count: int, held: int, lost: int = 0) -> str:
    """Say what becomes of accepted objects that were not written.

    Parameters
    ----------
    count : int
        How many.
    held : int
        How many still keep their prompts until there is room for them.
    lost : int
        How many went with their image.
    """
    if not count or count == lost:
        return ""
    what = "The object was not written" if count == 1 else f"{count} objects were not written"
    whose = "its" if count == 1 else "their"
    return f"{what}. {prompts_held(held)}" if held else f"{what}; {whose} prompts are back."


def is_there(label: int) -> str:
    """Say that an object was clicked that is written already."""
    return f'Object {label} is here already. Choose "Overwrite" in place of "Empty pixels only" to write over it.'


def passed_over(why: str) -> str:
    """Say why a click wrote nothing, and where it is."""
    return f"{why} Nothing was written; Undo brings the prompt back."


def prompts_held(count: int) -> str:
    """Say that prompts come back later; "" when there are none."""
    if not count:
        return ""
    whose = "The prompts of 1 accepted object come" if count == 1 else f"The prompts of {count} accepted objects come"
    return f"{whose} back when this one is done."


def prompts_left(planes: int) -> str:
    """Say on how many planes there still are prompts after those of one were cleared; "" when there are none."""
    if not planes:
        return ""
    where = "1 other plane" if planes == 1 else f"{planes} other planes"
    return f"Prompts on {where} stay. Clear all ({key('clear_all')}) deletes them too."


def along_other_axes(plane: str) -> str:
    """Say where that is which was undone or done again, and is not seen along the axes on screen."""
    return f"What changed is on {plane}, along other axes. Roll the axes (Ctrl-E) to see it."


def closed_early(count: int) -> str:
    """Say what becomes of accepted objects that still waited when the session ended."""
    if count == 1:
        return "SAM live was closed before 1 accepted object was written. Its prompts are drawn again."
    return (
        f"SAM live was closed before {count} accepted objects were written. Their prompts are all drawn again: "
        "delete those of all but one object, or clear them and click again."
    )


def failed(error: BaseException) -> Status:
    """Describe what went wrong: our own errors speak for themselves, others are for the log."""
    if isinstance(error, NapariSamError):
        return Status("failed", str(error))
    if isinstance(error, OSError) and error.errno in _FULL:
        where = f" ({error.filename})" if error.filename else ""
        return Status(
            "failed", f"The disk is full{where}. What could not be written stays as it was: make room, and do it again."
        )
    # On one line, as the sentence goes on behind it.
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return Status("failed", f"Something unexpected went wrong ({what}). The log has the details; please report them.")


def no_journal(error: OSError) -> str:
    """Say that objects were written into the labels, but not into the journal."""
    reason = "disk full" if error.errno in _FULL else f"{error.strerror or error}"
    return f"Not saved to the journal: {reason}. Save the labels; the next object tries again."


def journal_set_aside(path: Path) -> str:
    """Say that the journal was damaged, and what became of it."""
    return f"The journal was damaged. It is kept as {path.name}; a new one goes on with what could be read of it."


def kept_on_disk(folder: object, *, paintable: bool) -> str:
    """Say where labels are that are too large for memory."""
    more = "" if paintable else " napari's own tools cannot paint in labels of this size."
    return f"These labels are large, so they are kept in {folder}. They stay there: copy the folder to save them.{more}"


def widened(labels: str, narrow: str, wider: str) -> str:
    """Say that a layer holds wider integers now, because its ids had come to an end."""
    return f'"{labels}" holds {wider} labels now: those of {narrow} had come to an end.'


def fitted(labels: str, image: str) -> str:
    """Say that a layer lies elsewhere now, because the person chose so."""
    return f'"{labels}" lies where "{image}" does now, and objects go there.'


def undone_earlier(labels: str) -> str:
    """Say what was undone that was done before the dock was opened."""
    return f'The last change of "{labels}" before the dock was opened is undone; its prompts do not come back.'


def redone_earlier(labels: str) -> str:
    """Say what was done again that was done before the dock was opened."""
    return f'The change of "{labels}" that was undone last is back.'


def counted(count: int, thing: str) -> str:
    """Say how many of a thing there are."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}{'es' if thing[-1] in 'xs' else 's'}"


def ready(plane: str, accepted: int | None, *, encoded: bool = True, image: str = "", machine: str = "") -> str:
    """Say that the plane is ready for prompts, after which object; a large one is encoded where it is clicked.

    Parameters
    ----------
    plane : str
        Words for the plane.
    accepted : int or None
        The object that has just been written.
    encoded : bool
        Whether the plane is encoded already.
    image : str
        Name of the image, where others are seen beside it.
    machine : str
        Words for another machine, where planes are encoded on one.
    """
    done = f"Object {accepted} written. " if accepted is not None else ""
    what = plane
    if image:
        what += f'{"" if plane == "image" else " of"} "{_short(image)}"'
    where = f" Encoding on {machine}; clicks on this computer." if machine else ""
    return f"{done}Ready: {what}{' encoded' if encoded else ''}.{where}"


def elsewhere(read: str, seen: str) -> str:
    """Say that what was clicked is in another image than the one that the model reads."""
    read, seen = _short(read), _short(seen)
    return f'"{read}" is dark here; what you see is in "{seen}". Choose "{seen}", or let the model see both (Channels).'


def _short(name: str, longest: int = 24) -> str:
    """Shorten a name in its middle, where file names differ least."""
    half = longest // 2
    return name if len(name) <= longest else f"{name[: half - 1]}…{name[-half:]}"


def enter(label: int | None, *, replaces_current: bool) -> str:
    """Say which object accept writes.

    Parameters
    ----------
    label : int or None
        Its id; None where it is not known yet.
    replaces_current : bool
        Whether that is the current object.
    """
    if label is None:
        return f"{key('accept')} accepts."
    if replaces_current:
        return f"{key('accept')} writes object {label} again ({key('toggle_same_object')}: a new one)."
    return f"{key('accept')}: new object {label}."


def hint(
    *,
    enter: str,
    has_view: bool,
    armed: bool,
    candidates: int,
    prompts: bool,
    accepted: bool,
    stack: bool,
    joining: str = "",
    turbo: bool = False,
) -> str:
    """Say what the person can do next; "" when the status says it all.

    Parameters
    ----------
    enter : str
        What Enter does while there are candidates.
    has_view : bool
        Whether there is a plane to work on.
    armed : bool
        Whether a click on the image is a prompt now.
    candidates : int
        Masks on offer.
    prompts : bool
        Whether anything is drawn on this plane.
    accepted : bool
        Whether the last thing done was an accept.
    stack : bool
        Whether the image has other planes.
    joining : str
        Which planes a run through the stack starts from; "" where that is clear.
    turbo : bool
        Whether what is drawn is written at once.
    """
    if not has_view:
        return ""
    if turbo and armed:
        if candidates:
            # Only what came back stays on the plane in turbo.
            return f"{enter} Then turbo goes on."
        if not prompts:
            return TURBO_NEXT if accepted else TURBO
    if candidates and joining:
        return f"{enter} {joining} {key('propagate')} carries it."
    if candidates:
        correct = "more clicks correct it" if armed else "a tool corrects it"
        if candidates > 1:
            return f"{enter} {key('next_candidate')} shows the next candidate, {correct}."
        background = f"; {key('toggle_polarity')} for background" if armed else ""
        return f"{enter} {correct.capitalize()}{background}."
    if prompts:
        return ""
    if not armed:
        return "Choose a tool, then click an object."
    if joining:
        return f"{joining} Click it here too, or {key('propagate')} carries it."
    if accepted:
        return "Next object, or scroll to the next plane." if stack else "Next object."
    return f"Click an object. {key('toggle_polarity')} for background."
