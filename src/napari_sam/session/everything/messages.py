"""What the person reads about finding every object."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam.automatic.proposals import ProposalTable

RUNNING = "Objects are being found already. Cancel that first."
CANCELLED = "Cancelled. No objects were kept."
NO_BOX = "Draw a box first: objects are looked for inside it."
NOT_VISIBLE = "Nothing of the image is on screen. Zoom out, or look on the whole plane."
NOTHING_HERE = "No objects were found here. Try another model, or another way to find them."
NOTHING_TO_WRITE = "No object is shown, so there is nothing to write. Move the sliders, or click objects to keep them."
NOTHING_FREE = 'Every pixel carries a label already. Switch "Empty pixels only" off to write over them.'
HINT = "Move the sliders; click an object to drop it, or to bring it back. Enter accepts what is shown."


def finding(plane: str) -> str:
    """Say that objects are being found."""
    return f"Finding objects on the {plane}."


def too_large(height: int, width: int) -> str:
    """Say that a part is too large to be looked over as a whole."""
    return (
        f"{height} x {width} pixels are too many to choose among at once. Look at what is on screen, or inside a box; "
        "or let `napari-sam everything` write all of them."
    )


def found(count: int) -> str:
    """Say how many objects were found."""
    return f"{_objects(count)} found."


def shown(count: int, found: int, kept: int, dropped: int) -> str:
    """Say how many of the objects that were found are shown, and what was decided by hand."""
    by_hand = [f"{number} {word} by hand" for number, word in ((kept, "kept"), (dropped, "dropped")) if number]
    return f"{count} of {_objects(found)} shown" + (f" ({', '.join(by_hand)})." if by_hand else ".")


def elsewhere(plane: str) -> str:
    """Say where the objects that were found are."""
    return f"They are on {plane}: go there to look at them."


def written(count: int, first: int, layer: str) -> str:
    """Say what was written."""
    ids = f"id {first}" if count == 1 else f"ids {first} to {first + count - 1}"
    return f'{_objects(count)} written into "{layer}" as {ids}. Undo takes all of them back.'


def pointed(table: ProposalTable, place: int) -> str:
    """Describe a proposal of a table."""
    score, stability = table.score[place], table.stability[place]
    return (
        f"Under the mouse: {int(table.area[place])} px, score {score:.2f}, stability {stability:.2f}, "
        f"roundness {table.roundness[place]:.2f}, mean {table.intensity[place]:.4g}"
    )


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count} objects"
