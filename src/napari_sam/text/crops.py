"""What a CLIP model is shown of an object: a square around it, with the rest dimmed and as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sam.masks import BoxedMask


@dataclass(frozen=True, slots=True)
class CropSettings:
    """How objects are cut out.

    Attributes
    ----------
    enlarge : float
        Side of the square as a multiple of the longer side of the object's box, 1 or more.
    dim : float
        Brightness that is left to the pixels that are not the object's, 0 to 1. At 0 the outline alone would be a
        shape that no photograph has.
    """

    enlarge: float = 1.5
    dim: float = 0.4

    def __post_init__(self) -> None:
        if not self.enlarge >= 1:
            raise InputError(f"enlarge is a factor of 1 or more; got {self.enlarge!r}.")
        if not 0 <= self.dim <= 1:
            raise InputError(f"dim is a number from 0 to 1; got {self.dim!r}.")


def crop_pairs(
    image: NDArray[np.uint8], masks: Sequence[BoxedMask], settings: CropSettings
) -> Iterator[NDArray[np.uint8]]:
    """Give two pictures of each object in turn: first with the rest dimmed, then as it is.

    Parameters
    ----------
    image : numpy.ndarray, shape (H, W, 3), uint8
        The plane, RGB.
    masks : sequence of BoxedMask
        None of them empty.
    settings : CropSettings

    Yields
    ------
    numpy.ndarray, shape (side, side, 3), uint8
        Beyond the edges of the plane, its last pixels are repeated.
    """
    for mask in masks:
        rows, columns = (
            np.arange(first, first + side) for first, side in zip(*_square(mask, settings.enlarge), strict=True)
        )
        inside = np.ix_(np.clip(rows, 0, image.shape[0] - 1), np.clip(columns, 0, image.shape[1] - 1))
        context = image[inside]
        shown = np.zeros(context.shape[:2], dtype=bool)
        top, left = mask.origin[0] - rows[0], mask.origin[1] - columns[0]
        shown[top : top + mask.mask.shape[0], left : left + mask.mask.shape[1]] = mask.mask
        dimmed = (context * np.float32(settings.dim)).astype(np.uint8)
        yield np.where(shown[..., np.newaxis], context, dimmed)
        yield context


def _square(mask: BoxedMask, enlarge: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the upper left pixel and the sides of the square around a mask's box, data pixels, (y, x)."""
    height, width = mask.mask.shape
    side = int(np.ceil(enlarge * max(height, width)))
    return (mask.origin[0] - (side - height) // 2, mask.origin[1] - (side - width) // 2), (side, side)
