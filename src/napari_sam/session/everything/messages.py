"""What the person reads about finding every object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.session.messages import key

if TYPE_CHECKING:
    from napari_sam.automatic.proposals import ProposalTable
    from napari_sam.session.state import StackAxis

RUNNING = "Objects are being found already. Cancel that first."
CANCELLED = "Cancelled. No objects were kept."
LINKING_CANCELLED = "Cancelled. Nothing was written."
RANKING_CANCELLED = "Cancelled. The objects are shown as they were."
NO_STACK = "This image has one plane here: there is no stack to look through."
TARGET_GONE = "The labels layer was removed or lies elsewhere now. Nothing more was written."
TAKEN_BACK = "Undone while it was being written. The objects are still here to be accepted."
NO_BOX = "Draw a box first: objects are looked for inside it."
NOT_VISIBLE = "Nothing of the image is on screen. Zoom out, or look on the whole plane."
NOTHING_HERE = "No objects were found here. Try another model, or another way to find them."
NOTHING_TO_WRITE = "No object is shown, so there is nothing to write. Move the sliders, or click objects to keep them."
PICK_FIRST = (
    "Pick an example first: Shift-click an object of the kind that you look for. Or write one into the labels of this "
    "plane."
)
COMPARING_EXAMPLES = "Comparing objects with the examples."
NOTHING_FREE = (
    'Every pixel carries a label already. Choose "Overwrite" in place of "Empty pixels only" to write over them.'
)
HINT = f"Move the sliders; click an object to drop it, or to bring it back. {key('accept')} accepts what is shown."
STACK_HINT = (
    "Move the sliders; scroll, and click objects to drop them or to bring them back. "
    f"{key('accept')} accepts all planes."
)


def finding(plane: str) -> str:
    """Say that objects are being found."""
    return f"Finding objects on the {plane}."


def finding_in_stack(place: int, axis: StackAxis) -> str:
    """Say which plane of a stack is looked at, counted from 0."""
    return f"Finding objects along {axis.name}: plane {min(place + 1, axis.size)} of {axis.size}."


def kept_after_cancel(count: int, planes: int, axis: StackAxis) -> str:
    """Say what is left of a search that was cancelled."""
    return f"Cancelled. {_objects(count)} of {planes} of {axis.size} planes are kept."


def kept_at_limit(count: int, planes: int, axis: StackAxis) -> str:
    """Say that no more objects can be held in memory."""
    return (
        f"{_objects(count)} of {planes} of {axis.size} planes are as many as can be chosen among at once. Accept "
        "these; `napari-sam everything` writes any number."
    )


def in_stack(count: int, found: int, planes: int, axis: StackAxis) -> str:
    """Say how many of the objects of all planes are wanted."""
    of = f"{planes}" if planes == axis.size else f"{planes} of {axis.size}"
    return f"Stack: {count} of {found} outlines on {of} planes."


def not_looked_at(axis: str, planes: int) -> str:
    """Say where the objects of a stack are, seen from another plane."""
    places = f"{axis} = 0" if planes == 1 else f"{axis} = 0 to {planes - 1}"
    return f"This plane was not looked at. They are on {places}: go there to look at them."


def linking(planes: int, link: str) -> str:
    """Say that objects of planes are linked."""
    how = {"depth": "Linking objects in depth", "time": "Following objects in time"}
    return f"{how.get(link, 'Choosing objects')}, {planes} planes."


def writing(place: int, planes: int) -> str:
    """Say that objects of a stack are written, plane by plane; planes are counted from 0."""
    return f"Writing objects: plane {min(place + 1, planes)} of {planes}."


def written_in_part(done: int, planes: int) -> str:
    """Say that writing was cancelled."""
    if not done:
        return LINKING_CANCELLED
    return f"Cancelled. {done} of {planes} planes are written; one undo takes all of that back."


def written_stack(count: int, outlines: int, planes: int, layer: str, divisions: int) -> str:
    """Say what was written into a stack."""
    divided = f" {divisions} divided." if divisions else ""
    return (
        f'{_objects(count)} ({outlines} outlines on {planes} planes) written into "{layer}".{divided} '
        "Undo takes all of them back."
    )


def too_large(height: int, width: int) -> str:
    """Say that a part is too large to be looked over as a whole."""
    return (
        f"{height} x {width} pixels are too many to choose among at once. Look at what is on screen, or inside a box; "
        "or let `napari-sam everything` write all of them."
    )


def found(count: int) -> str:
    """Say how many objects were found."""
    return f"{_objects(count)} found."


def emptied(count: int) -> str:
    """Say that a clean-up leaves nothing of some objects."""
    return f"{_objects(count)} left out: the clean-up leaves nothing of {'it' if count == 1 else 'them'}."


def shaping(count: int) -> str:
    """Say that objects are being cleaned up."""
    return f"Cleaning up {_objects(count)}."


def loading_text_model(name: str) -> str:
    """Say that a text model is being loaded, or downloaded before that."""
    return f"Loading the text model {name}."


def comparing(count: int) -> str:
    """Say that objects are being compared with words."""
    return f"Comparing {_objects(count)} with the words."


def words(phrases: tuple[str, ...], negatives: tuple[str, ...]) -> str:
    """Describe what was looked for in words."""
    return ", ".join(phrases) + (f", not {', '.join(negatives)}" if negatives else "")


def examples(positive: int, negative: int) -> str:
    """Describe examples that objects were compared with."""
    like = "1 example" if positive == 1 else f"{positive} examples"
    return like + (f", not like {negative}" if negative else "")


def matching(count: int, of: int, by: str, best: float) -> str:
    """Say how many objects match what they were ranked by, or how near the best one comes."""
    found = f"{count} of {_objects(of)} match{'es' if count == 1 else ''} {by}."
    return found if count else f"{found} The best has {best:.2f}: lower Match, or look for something else."


def shown(count: int, found: int, kept: int, dropped: int, *, here: bool = False) -> str:
    """Say how many of the objects that were found are shown, if only here, and what was decided by hand."""
    by_hand = [f"{number} {word} by hand" for number, word in ((kept, "kept"), (dropped, "dropped")) if number]
    return f"{count} of {_objects(found)} shown{' here' if here else ''}" + (
        f" ({', '.join(by_hand)})." if by_hand else "."
    )


def elsewhere(plane: str) -> str:
    """Say where the objects that were found are."""
    return f"They are on {plane}: go there to look at them."


def written(count: int, first: int, layer: str) -> str:
    """Say what was written."""
    ids = f"id {first}" if count == 1 else f"ids {first} to {first + count - 1}"
    return f'{_objects(count)} written into "{layer}" as {ids}. Undo takes all of them back.'


def pointed(table: ProposalTable, place: int, kind: str = "") -> str:
    """Describe a proposal of a table, and what kind of object it is most like."""
    ranked = "" if table.match is None else f", match {table.match[place]:.2f}{f' ({kind})' if kind else ''}"
    score, stability = table.score[place], table.stability[place]
    return (
        f"Under the mouse: {int(table.area[place])} px, score {score:.2f}, stability {stability:.2f}, "
        f"roundness {table.roundness[place]:.2f}, mean {table.intensity[place]:.4g}{ranked}"
    )


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count} objects"
