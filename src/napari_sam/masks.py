"""Masks as arrays: boxes around them, how far two agree, where one is deepest, what lies between two, their runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class BoxedMask:
    """A mask of a plane, of which only a box is kept: hundreds of whole planes would not fit into memory.

    Attributes
    ----------
    origin : (int, int)
        Upper left pixel of `mask` on the plane, data pixels, (y, x).
    mask : numpy.ndarray, shape (h, w), bool
        The mask in the box.
    plane : (int, int)
        Height and width of the plane, data pixels.
    """

    origin: tuple[int, int]
    mask: NDArray[np.bool_]
    plane: tuple[int, int]

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> Self:
        """Copy what the bounding box of a mask, (H, W) bool, holds; an empty mask has a box of (0, 0) pixels."""
        (top, left), (bottom, right) = bounding_box(mask) or ((0, 0), (0, 0))
        # A copy: with a view, the whole plane would stay in memory.
        return cls((top, left), np.array(mask[top:bottom, left:right], dtype=bool), (mask.shape[0], mask.shape[1]))

    @property
    def area(self) -> int:
        """Pixels inside."""
        return int(np.count_nonzero(self.mask))

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the plane that are kept."""
        rows, columns = (slice(at, at + side) for at, side in zip(self.origin, self.mask.shape, strict=True))
        return rows, columns

    def whole(self) -> NDArray[np.bool_]:
        """Lay the mask on an empty plane, (H, W) bool."""
        laid = np.zeros(self.plane, dtype=bool)
        laid[self.box] = self.mask
        return laid

    def shifted(self, by: tuple[int, int], plane: tuple[int, int]) -> BoxedMask:
        """Lay the mask on another plane, so many data pixels down and to the right: from a part to the whole, say."""
        return BoxedMask((self.origin[0] + by[0], self.origin[1] + by[1]), self.mask, plane)

    def within(self, start: tuple[int, int], shape: tuple[int, int]) -> BoxedMask:
        """Cut the mask to a part of its plane, and lay it on that; empty where nothing of it lies there.

        Parameters
        ----------
        start, shape : (int, int)
            Upper left data pixel of the part, (y, x), and its height and width.
        """
        low = np.clip(np.subtract(start, self.origin), 0, self.mask.shape)
        high = np.clip(np.add(start, shape) - self.origin, low, self.mask.shape)
        inside = BoxedMask.of(self.mask[low[0] : high[0], low[1] : high[1]])
        if not inside.mask.size:
            return BoxedMask((0, 0), inside.mask, shape)
        top, left = (np.add(self.origin, low) + inside.origin - start).tolist()
        return BoxedMask((top, left), inside.mask, shape)

    def cut_by(self, start: tuple[float, float], stop: tuple[float, float]) -> bool:
        """Whether the object may go on beyond a rectangle of the plane that it was looked for in.

        Parameters
        ----------
        start, stop : (float, float)
            The rectangle's first pixel and the one after its last, data pixels, (y, x). At the edge of the plane there
            is nothing beyond.
        """
        sides = zip(self.origin, self.mask.shape, start, stop, self.plane, strict=True)
        return any(
            (at <= first and first > 0) or (at + size >= end and end < length) for at, size, first, end, length in sides
        )

    def iou(self, other: BoxedMask) -> float:
        """Return what `iou` says of the two whole masks, without laying them out."""
        low = np.maximum(self.origin, other.origin)
        high = np.minimum(np.add(self.origin, self.mask.shape), np.add(other.origin, other.mask.shape))
        common = 0
        # Boxes that do not meet would give slices that run backwards.
        if (low < high).all():
            one, two = (
                boxed.mask[tuple(map(slice, low - boxed.origin, high - boxed.origin))] for boxed in (self, other)
            )
            common = int(np.count_nonzero(one & two))
        union = self.area + other.area - common
        return common / union if union else 1.0


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the intersection over union of two masks of one shape.

    It is 1 where both are empty: nothing was expected and nothing was found, which is no disagreement.
    """
    union = np.count_nonzero(one | other)
    return float(np.count_nonzero(one & other) / union) if union else 1.0


def bounding_box(mask: NDArray[np.bool_]) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return the first row and column of a mask and the ends, ((y0, x0), (y1, x1)); None when it is empty."""
    # By rows and columns: the places of all pixels of a mask take many times the memory of the mask.
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return (int(rows[0]), int(columns[0])), (int(rows[-1]) + 1, int(columns[-1]) + 1)


def box_slices(mask: NDArray[np.bool_], margin: float = 0) -> tuple[slice, slice]:
    """Return the rows and columns that a mask covers, and a margin, data pixels, as far as the plane goes.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    box = bounding_box(mask)
    if box is None:
        raise ValueError("an empty mask has no box")
    rows, columns = (
        slice(max(0, int(first - margin)), min(side, int(stop - 1 + margin) + 1))
        for first, stop, side in zip(*box, mask.shape, strict=True)
    )
    return rows, columns


def deepest_pixel(mask: NDArray[np.bool_], *, closed: bool) -> tuple[int, int]:
    """Return the pixel of a mask, which is not empty, that is farthest from what is not the mask.

    Parameters
    ----------
    mask : numpy.ndarray, shape (H, W), bool
    closed : bool
        Whether the object ends at the edge of the plane. Where it does not, it goes on beyond the edge for ever.

    Returns
    -------
    (int, int)
        Data pixels, (y, x); the first of several in the order of rows.
    """
    from scipy import ndimage  # here: a third of a second, and most that know masks do not need it

    # A row of background around is all that depth depends on: an object is often a thousandth of its plane.
    rows, columns = box_slices(mask, 0 if closed else 1)
    part = mask[rows, columns]
    if closed:
        # What lies outside the plane is not the mask, so that depth counts from there, too.
        depth = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
    elif part.all():  # nothing that is not the mask, and so no depth
        return rows.start + (part.shape[0] - 1) // 2, columns.start + (part.shape[1] - 1) // 2
    else:
        depth = ndimage.distance_transform_edt(part)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return rows.start + int(y), columns.start + int(x)


def between(one: NDArray[np.bool_], other: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """Interpolate between two masks.

    Shape-based interpolation: the signed distances to the two outlines are averaged, with weights by how near each mask
    is; inside is where the mean is positive (Raya and Udupa 1990; Herman, Zheng and Bucholtz 1992). The two masks are
    first brought to a common centre, so that an object which moves on does not vanish in between.

    Parameters
    ----------
    one, other : numpy.ndarray, shape (H, W), bool
        Not empty.
    share : float
        How far to go from `one` to `other`, 0 to 1.

    Returns
    -------
    numpy.ndarray, shape (H, W), bool
        Not empty.
    """
    from scipy import ndimage  # here: a third of a second, and most that know masks do not need it

    centres = [np.array(ndimage.center_of_mass(mask)) for mask in (one, other)]
    centre = (1 - share) * centres[0] + share * centres[1]
    distances = [
        # Centres lie between pixels, so that distances are interpolated; beyond the edge the last one goes on.
        ndimage.shift(_signed_distance(mask), centre - own, order=1, mode="nearest")
        for mask, own in zip((one, other), centres, strict=True)
    ]
    found: NDArray[np.bool_] = (1 - share) * distances[0] + share * distances[1] > 0
    # Thin objects may leave nothing in between.
    return found if found.any() else (one if share < 0.5 else other)


def _signed_distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance to the outline, data pixels, positive inside."""
    from scipy import ndimage  # here: a third of a second, and most that know masks do not need it

    # A border of background: a mask that fills the plane would have no outside to measure from.
    padded = np.pad(mask, 1)
    inside, outside = ndimage.distance_transform_edt(padded), ndimage.distance_transform_edt(~padded)
    distance: NDArray[np.float64] = (inside - outside)[1:-1, 1:-1]
    return distance


def encode_mask(mask: NDArray[np.bool_], origin: tuple[int, int], shape: tuple[int, int]) -> dict[str, Any]:
    """Encode a mask of a plane as COCO's uncompressed RLE.

    Parameters
    ----------
    mask : numpy.ndarray, shape (h, w), bool
        The mask, cut to a box.
    origin : (int, int)
        Upper left pixel of the box on the plane, (y, x).
    shape : (int, int)
        Height and width of the plane.

    Returns
    -------
    dict
        ``{"size": [H, W], "counts": [...]}``: lengths of runs of background and object in turns, column by column,
        starting with background.
    """
    height, width = shape
    # Column by column, as COCO has it; a pixel of background above and below ends every run within its column.
    padded = np.zeros((mask.shape[1], mask.shape[0] + 2), dtype=bool)
    padded[:, 1:-1] = mask.T
    flat = padded.ravel()
    turns = np.flatnonzero(flat[1:] != flat[:-1])
    column, row = np.divmod(turns, mask.shape[0] + 2)
    place = (origin[1] + column) * height + origin[0] + row
    begins, ends = place[0::2], place[1::2]
    # A run that reaches the bottom goes on at the top of the next column.
    joined = ends[:-1] == begins[1:]
    begins, ends = begins[np.r_[True, ~joined][: len(begins)]], ends[np.r_[~joined, True][: len(ends)]]
    edges = np.concatenate([[0], np.stack([begins, ends], axis=1).ravel(), [height * width]])
    counts = np.diff(edges)
    # Python's integers: JSON does not know those of NumPy.
    return {"size": [height, width], "counts": [int(c) for c in (counts if counts[-1] else counts[:-1])]}


def decode_mask(encoded: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Decode what `encode_mask` gave, to the whole plane, (H, W) bool.

    Raises
    ------
    InputError
        If the runs do not fill the plane, or are no runs.
    """
    height, width, counts = _runs(encoded)
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape((width, height)).T


def decode_boxed(encoded: Mapping[str, Any]) -> BoxedMask:
    """Decode what `encode_mask` gave, without laying out the columns of the plane that it does not touch.

    Raises
    ------
    InputError
        As `decode_mask`.
    """
    height, width, counts = _runs(encoded)
    edges = np.cumsum(counts)
    begins, ends = edges[:-1:2], edges[1::2]
    if not len(ends) or not (ends > begins).any():
        return BoxedMask((0, 0), np.zeros((0, 0), dtype=bool), (height, width))
    # Runs of no length are left out: they would stretch the strip.
    inside = ends > begins
    left, right = int(begins[inside][0] // height), int((ends[inside][-1] - 1) // height) + 1
    first = left * height
    # One place more than pixels: a run may end at the very last one.
    changes = np.zeros((right - left) * height + 1, dtype=np.int8)
    np.add.at(changes, begins[inside] - first, 1)
    np.add.at(changes, ends[inside] - first, -1)
    strip = np.cumsum(changes[:-1], dtype=np.int8).astype(bool).reshape((right - left, height)).T
    boxed = BoxedMask.of(strip)
    return BoxedMask((boxed.origin[0], boxed.origin[1] + left), boxed.mask, (height, width))


def _runs(encoded: Mapping[str, Any]) -> tuple[int, int, NDArray[np.int64]]:
    """Return height and width of the plane, and the lengths of the runs, which fill it."""
    try:
        height, width = encoded["size"]
        counts = np.asarray(encoded["counts"], dtype=np.int64)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError("This mask is damaged: it has no runs.") from error
    if counts.ndim != 1:
        raise InputError("This mask is damaged: it has no runs.")
    if counts.sum() != height * width or (counts < 0).any():
        raise InputError(f"This mask is damaged: its runs cover {counts.sum()} of {height * width} pixels.")
    return height, width, counts
