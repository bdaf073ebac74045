"""Small pictures of candidates: the image around the mask, with the mask's contour. numpy only."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.inference.request import Candidate

_T = TypeVar("_T", bound=np.generic)

_MARGIN = 0.2  # of the mask's longer side, kept around it to show where it lies
_GREY = 96  # behind a mask whose plane is not known


def draw_thumbnail(candidate: Candidate, pixels: NDArray[np.uint8] | None, size: int) -> NDArray[np.uint8]:
    """Draw a candidate on its plane.

    Parameters
    ----------
    candidate : Candidate
        The mask, with its place on the plane.
    pixels : numpy.ndarray, shape (H, W, 3), uint8, or None
        The plane as it is shown; None draws the mask on grey.
    size : int
        Side of the picture, pixels.

    Returns
    -------
    numpy.ndarray, shape (size, size, 3), uint8
        The square around the mask, sampled at the nearest pixels; black beyond the plane's border.
    """
    rows, columns = _square(candidate, size)
    inside = _sample(candidate.mask, rows - candidate.origin[0], columns - candidate.origin[1])
    if pixels is None:
        picture = np.full((size, size, 3), _GREY, dtype=np.uint8)
    else:
        picture = _sample(pixels, rows, columns)
    # A white line between two black ones can be seen on any image.
    rim = inside & ~binary_erosion(inside)
    picture[binary_dilation(rim, iterations=1) & ~rim] //= 3
    picture[rim] = 255
    return picture


def _square(candidate: Candidate, size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and the columns of the plane to sample: a square with a margin around the mask."""
    height, width = candidate.mask.shape
    side = max(height, width, 8) * (1 + 2 * _MARGIN)
    middle = np.array(candidate.origin) + (np.array((height, width)) - 1) / 2
    steps = (np.arange(size) - (size - 1) / 2) * side / size
    rows, columns = (np.rint(m + steps).astype(np.intp) for m in middle)
    return rows, columns


def _sample(array: NDArray[_T], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[_T]:
    """Take `array` at rows x columns; zero outside of it."""
    result = np.zeros((len(rows), len(columns), *array.shape[2:]), dtype=array.dtype)
    down = (rows >= 0) & (rows < array.shape[0])
    across = (columns >= 0) & (columns < array.shape[1])
    if down.any() and across.any():
        result[np.ix_(down, across)] = array[np.ix_(rows[down], columns[across])]
    return result
