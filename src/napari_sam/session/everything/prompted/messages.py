"""What the person reads about many prompts at once."""

from __future__ import annotations

from napari_sam.session.messages import key

NOTHING_DRAWN = "Click objects, or draw boxes around them, first: each positive point and each box is one object."
NOTHING_MADE = "The model finds no object at any of these prompts. Draw boxes, or choose another model."
OTHER_TARGET = "These objects belong into the labels that they were made of. Choose that layer as the target again."
BATCH_HINT = f"Click objects, one point each, or draw a box around each. {key('toggle_polarity')} for background."
HINT = f"Click an object to drop it, or to bring it back. {key('accept')} accepts all that is shown."
REFINED_HINT = f"Click an object to keep it as it was, or to bring it back. {key('accept')} replaces all that is shown."


def nothing_in(layer: str) -> str:
    """Say that a layer holds no object here."""
    return f'"{layer}" holds nothing on this plane that could be made into objects.'


def no_prompts_in(layer: str) -> str:
    """Say that a layer is of the wrong kind."""
    return f'"{layer}" is no Points, Shapes or Labels layer: it does not say where objects are.'


def lies_elsewhere(layer: str, image: str) -> str:
    """Say that labels are not of the image."""
    return f'The pixels of "{layer}" are not those of "{image}". Choose labels of this image.'


def ready(count: int) -> str:
    """Say what can be made of what is drawn."""
    return f"{key('make_all')} makes {_objects(count)}, one of each prompt."


def making(count: int, plane: str) -> str:
    """Say that prompts are being answered; a count of 0: those of labels."""
    return f"Making {_objects(count)} on the {plane}." if count else f"Making objects exact on the {plane}."


def made(count: int, asked: int) -> str:
    """Say how many objects there are for how many that were asked for."""
    if count == asked:
        return f"{_objects(count)} found."
    return f"{count} of {_objects(asked)} found; the others are not in the picture, as far as the model sees."


def refined(count: int, good: int) -> str:
    """Say how many objects were made exact."""
    kept = count - good
    if not kept:
        return f"{_objects(count)} made exact."
    verb = "stays" if kept == 1 else "stay"
    return f"{good} of {_objects(count)} made exact; {kept} {verb} as before, because the model is not sure of them."


def replaced(count: int, layer: str) -> str:
    """Say what was replaced."""
    return f'{_objects(count)} replaced in "{layer}", under their own ids. Undo brings the old ones back.'


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count} objects"
