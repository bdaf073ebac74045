"""Instance labels out of files: every object has a number of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from scipy import ndimage

from napari_sam.errors import InputError
from napari_sam.io.planes import read_plane

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LABEL_SUFFIXES = (".png", ".tif", ".tiff")
"""Endings of files that can hold labels; JPEG would invent objects along every border."""


def is_heap(labels: NDArray[np.integer[Any]]) -> bool:
    """Whether a label image has one label, in more than one piece."""
    return len(np.unique(labels[labels != 0])) == 1 and ndimage.label(labels, np.ones((3, 3)))[1] > 1


def read_labels(path: Path) -> NDArray[np.integer[Any]]:
    """Read a PNG or TIFF of whole numbers.

    Returns
    -------
    numpy.ndarray, shape (H, W), integer
        0 for background.

    Raises
    ------
    InputError
        If it cannot be read, or is in colour, or holds other numbers.
    """
    labels = _palette_indices(path)
    if labels is None:
        labels = read_plane(path)
    if labels.ndim != 2:
        raise InputError(
            f"{path} is a colour image; labels are grey: 0 for background, and the number of its object in every other "
            "pixel. Save them as 16-bit TIFF or PNG."
        )
    if labels.dtype == np.bool_:
        return labels.astype(np.uint8)
    if labels.dtype.kind not in "ui" or int(labels.min(initial=0)) < 0:
        raise InputError(f"{path} is of dtype {labels.dtype}; labels are whole numbers from 0 up. Save them as those.")
    return labels


def _palette_indices(path: Path) -> NDArray[Any] | None:
    """Return the numbers of a PNG with a palette, whose colours are only how they are shown; None for any other."""
    if path.suffix.lower() != ".png":
        return None
    try:
        with Image.open(path) as picture:
            return np.asarray(picture) if picture.mode == "P" else None
    except (OSError, ValueError, SyntaxError):
        return None  # `read_plane` finds the words
