"""Masks made cleaner. All work on the surroundings of a mask alone: an object is a small part of its plane.

Distances are Euclidean, in data pixels. Beyond the edges of the plane nothing is known: an object that touches an edge
goes on there, so that it is neither shrunk nor rounded from that side.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.masks import BoxedMask

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TOUCHING = np.ones((3, 3), dtype=bool)
"""Parts of a mask touch at corners, too; holes, which are what is left, do not."""
_TRUNCATE = 3
"""Standard deviations at which the filter that smooths ends."""
_TILE = 128
"""Side of the squares that are smoothed at a time, data pixels."""


def fill_holes(boxed: BoxedMask, largest: int = 0) -> BoxedMask:
    """Fill what a mask encloses.

    Parameters
    ----------
    boxed : BoxedMask
        The mask.
    largest : int
        Only holes of up to so many pixels; 0: of any size.
    """
    if not boxed.area:
        return boxed
    # A row of background around: what is open to it is no hole, nor is what is open to an edge of the plane.
    ground, count = ndimage.label(np.pad(~boxed.mask, 1, constant_values=True))
    if count == 1:
        return boxed
    sizes = np.bincount(ground.ravel(), minlength=count + 1)
    filled = sizes <= largest if largest else np.ones(count + 1, dtype=bool)
    filled[[0, ground[0, 0]]] = False
    return BoxedMask(boxed.origin, boxed.mask | filled[ground[1:-1, 1:-1]], boxed.plane)


def keep_parts(boxed: BoxedMask, *, smallest: int = 0, only_largest: bool = False) -> BoxedMask:
    """Keep some of the parts that a mask consists of; pixels that touch at a corner are of one part.

    Parameters
    ----------
    boxed : BoxedMask
        The mask.
    smallest : int
        Leave out parts of fewer pixels.
    only_largest : bool
        Keep the largest one alone; of several, the first in the order of rows.
    """
    if not boxed.area:
        return boxed
    parts, count = ndimage.label(boxed.mask, _TOUCHING)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    kept = sizes >= max(1, smallest)
    if only_largest:
        kept &= np.arange(count + 1) == sizes.argmax()
    return boxed if kept[1:].all() else _trimmed(boxed.origin, kept[parts], boxed.plane)


def grow(boxed: BoxedMask, by: int) -> BoxedMask:
    """Grow a mask by so many pixels in all directions, as far as the plane goes; less than 0: shrink it.

    A shrunk mask is what is left when all that is not the mask grows.
    """
    if not by or not boxed.area:
        return boxed
    origin, mask = _with_margin(boxed, abs(by))
    return _trimmed(origin, _dilated(mask, by) if by > 0 else ~_dilated(~mask, -by), boxed.plane)


def smooth(boxed: BoxedMask, radius: int) -> BoxedMask:
    """Smooth the outline of a mask: it becomes what is more than half covered, seen through a Gaussian filter.

    Spurs and notches that are thinner than the radius vanish, and straight edges stay where they are. Opening and
    closing by a disc does so, too, but widens holes and leaves corners.

    Parameters
    ----------
    boxed : BoxedMask
        The mask.
    radius : int
        Standard deviation of the filter.
    """
    if not radius or not boxed.area:
        return boxed
    reach = _TRUNCATE * radius
    origin, mask = _with_margin(boxed, reach)
    smoothed = mask.copy()
    for top in range(0, mask.shape[0], _TILE):
        for left in range(0, mask.shape[1], _TILE):
            first = max(0, top - reach), max(0, left - reach)
            around = mask[first[0] : top + _TILE + reach, first[1] : left + _TILE + reach]
            # Far from the outline nothing changes: of a large mask, most tiles are left out.
            if around.any() and not around.all():
                covered = ndimage.gaussian_filter(around.astype(np.float32), radius, truncate=_TRUNCATE, mode="nearest")
                tile = smoothed[top : top + _TILE, left : left + _TILE]
                rows, columns = (
                    slice(at - start, at - start + n)
                    for at, start, n in zip((top, left), first, tile.shape, strict=True)
                )
                tile[...] = covered[rows, columns] > 0.5
    return _trimmed(origin, smoothed, boxed.plane)


def _dilated(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """Mark all pixels within so many pixels, 254 at most, of a mask.

    First how far the mask is above or below each pixel, then whether that is near enough at some distance to the left
    or right: both are sweeps over bytes, which take a hundredth of the time of a distance transform.
    """
    below = np.where(mask, np.uint8(0), np.uint8(by + 1))
    for row in range(1, len(below)):
        np.minimum(below[row], below[row - 1] + np.uint8(1), out=below[row])
    for row in range(len(below) - 2, -1, -1):
        np.minimum(below[row], below[row + 1] + np.uint8(1), out=below[row])
    found = below <= by
    width = mask.shape[1]
    for across in range(1, min(by, width - 1) + 1):
        near = below <= math.isqrt(by * by - across * across)
        found[:, across:] |= near[:, : width - across]
        found[:, : width - across] |= near[:, across:]
    return found


def _with_margin(boxed: BoxedMask, margin: int) -> tuple[tuple[int, int], NDArray[np.bool_]]:
    """Return a mask with so many pixels around it, as far as the plane goes, and its upper left pixel."""
    low = np.maximum(np.subtract(boxed.origin, margin), 0)
    high = np.minimum(np.add(boxed.origin, boxed.mask.shape) + margin, boxed.plane)
    widths = np.stack([boxed.origin - low, high - np.add(boxed.origin, boxed.mask.shape)], axis=1)
    return (int(low[0]), int(low[1])), np.pad(boxed.mask, widths)


def _trimmed(origin: tuple[int, int], mask: NDArray[np.bool_], plane: tuple[int, int]) -> BoxedMask:
    """Cut a mask to its bounding box."""
    cut = BoxedMask.of(mask)
    if not cut.mask.size:
        return BoxedMask((0, 0), cut.mask, plane)
    return BoxedMask((origin[0] + cut.origin[0], origin[1] + cut.origin[1]), cut.mask, plane)
