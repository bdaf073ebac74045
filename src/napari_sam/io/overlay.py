"""A picture of an answer: the plane, the outline of the mask, the prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from napari_sam.errors import InputError
from napari_sam.io.writing import replacing_result

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.prompts import PromptSet

# Colours of Okabe and Ito (2008), which colour-blind people tell apart; the same meanings as in the window.
POSITIVE = (0, 158, 115)
NEGATIVE = (230, 159, 0)
BOX = (240, 228, 66)

_FORMATS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def draw_overlay(picture: NDArray[np.uint8], mask: NDArray[np.bool_], prompts: PromptSet) -> NDArray[np.uint8]:
    """Draw the outline of a mask and its prompts on a picture.

    Parameters
    ----------
    picture : numpy.ndarray, shape (H, W, 3), uint8
        The plane as the model saw it.
    mask : numpy.ndarray, shape (H, W), bool
        Outlined in white with a black rim outside, so that it shows on dark and on light.
    prompts : PromptSet
        Positions in data pixels, (y, x).

    Returns
    -------
    numpy.ndarray, shape (H, W, 3), uint8
    """
    # A copy: a plane keeps its rendering, and shares it.
    drawn = np.array(picture)
    around = _grown(mask)
    drawn[_grown(around) & ~around] = 0
    drawn[around & ~mask] = 255
    for area in prompts.areas:
        there = area.on_plane((mask.shape[0], mask.shape[1])).whole()
        drawn[_grown(there) & ~there] = POSITIVE if area.positive else NEGATIVE
    image = Image.fromarray(drawn)
    draw = ImageDraw.Draw(image)
    # Large pictures are looked at shrunk, and need thicker marks.
    unit = max(1, round(max(picture.shape[:2]) / 256))
    if (box := prompts.box) is not None:
        draw.rectangle((box.start[1], box.start[0], box.stop[1], box.stop[0]), outline=BOX, width=unit)
    for scribble in prompts.scribbles:
        colour = POSITIVE if scribble.positive else NEGATIVE
        # One vertex alone makes no line.
        draw.line([(x, y) for y, x in (*scribble.path, scribble.path[-1])], fill=colour, width=2 * unit)
    for point in prompts.points:
        y, x = point.position
        draw.ellipse(
            (x - 2 * unit, y - 2 * unit, x + 2 * unit, y + 2 * unit),
            fill=POSITIVE if point.positive else NEGATIVE,
            outline=(255, 255, 255),
        )
    return np.asarray(image)


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask with the pixels that share an edge with it."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def require_picture(path: Path) -> None:
    """Refuse a name that does not say which kind of picture to write.

    Raises
    ------
    InputError
        If its suffix is none of those of `write_overlay`.
    """
    if path.suffix.lower() not in _FORMATS:
        raise InputError(f"{path.name}: a picture is written as .png, .jpg or .tif. Choose one of these names.")


def write_overlay(path: Path, picture: NDArray[np.uint8], mask: NDArray[np.bool_], prompts: PromptSet) -> None:
    """Write what `draw_overlay` makes, as PNG, JPEG or TIFF by its suffix; what is there is replaced in one step.

    Raises
    ------
    InputError
        If it is of another suffix, or cannot be written.
    """
    require_picture(path)
    with replacing_result(path) as temporary:
        Image.fromarray(draw_overlay(picture, mask, prompts)).save(temporary)
