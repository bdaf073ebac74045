"""Outlines of masks along the edges of their pixels, and masks out of outlines.

Pixel (y, x) covers x to x + 1 and y to y + 1, as in QuPath and ImageJ, and is inside where its centre is: what is drawn
along the edges of pixels gives the same pixels back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.datasets.documents import EmptyMaskError
from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask
from napari_sam.polygons import inside_odd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam.datasets.documents import Intake
    from napari_sam.polygons import Ring

_WORK = 4  # bytes for a pixel of the box, while it is filled


def polygons_of(mask: BoxedMask) -> list[list[NDArray[np.int64]]]:
    """Trace a mask.

    Returns
    -------
    list of list of numpy.ndarray, shape (n, 2), int64
        A polygon for every part, pixels that touch in a corner apart: its outline, then those of its holes, each from a
        corner back to it, (x, y), pixel edges of the plane. Outlines and holes run in opposite directions.
    """
    import shapely
    from shapely.geometry.polygon import orient

    lines = shapely.linestrings(_segments(mask.mask))
    faces: Any = shapely.get_parts(shapely.polygonize(lines))
    # Holes are faces, too. A point within a face lies in one of its pixels, or on an edge between two of them.
    x, y = shapely.get_coordinates(shapely.point_on_surface(faces)).astype(np.int64).T
    parts = [orient(face) for face in faces[mask.mask[y, x]]]
    origin = np.array(mask.origin[::-1])
    return [[_corners(ring) + origin for ring in (part.exterior, *part.interiors)] for part in parts]


def _corners(ring: Any) -> NDArray[np.int64]:
    import shapely

    corners: NDArray[np.int64] = shapely.get_coordinates(ring).astype(np.int64)
    return corners


def _segments(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the straight pieces of the outline, (n, 2, 2) int64: from (x, y) to (x, y)."""
    # Where two corners meet, the object changes sides, so that pieces end at every place where outlines cross.
    across, down = _runs(np.pad(mask, 1)), _runs(np.pad(mask.T, 1))
    return np.concatenate([across, down[..., ::-1]])


def _runs(padded: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the pieces of the outline that run along rows, (n, 2, 2) int64."""
    # Along each edge between two rows: 1 where the object begins, -1 where it ends.
    side = np.diff(padded.astype(np.int8), axis=0)
    changed = side[:, 1:] != side[:, :-1]
    y, first = np.nonzero(changed & (side[:, 1:] != 0))
    _, last = np.nonzero(changed & (side[:, :-1] != 0))
    return np.stack([np.stack([first, y], axis=1), np.stack([last, y], axis=1)], axis=1)


def fill(polygons: Sequence[Sequence[Ring]], plane: tuple[int, int], intake: Intake) -> BoxedMask:
    """Fill polygons: what lies in an odd number of the rings of one of them.

    Parameters
    ----------
    polygons : sequence of sequence of numpy.ndarray, shape (n, 2), float64
        Outline and holes of each, (x, y), pixel edges; closed or not.
    plane : (int, int)
        Height and width; what lies outside is cut off.
    intake : Intake
        Bounds the memory; the mask counts as kept.

    Raises
    ------
    EmptyMaskError
        If no pixel is inside.
    InputError
        If it is too large for the memory.
    """
    boxes = [box for box in (_box(rings, plane) for rings in polygons) if box is not None]
    if not boxes:
        raise EmptyMaskError("it covers no pixel.")
    low = np.min([box[0] for box in boxes], axis=0)
    high = np.max([box[1] for box in boxes], axis=0)
    intake.allow(int(np.prod(high - low)) * _WORK)
    mask = np.zeros(tuple(high - low), dtype=bool)
    for rings in polygons:
        # Each in its own box: an object may have a thousand small parts.
        if (box := _box(rings, plane)) is not None:
            part = tuple(map(slice, box[0] - low, box[1] - low))
            mask[part] |= inside_odd(rings, box[0], box[1] - box[0])
    boxed = BoxedMask.of(mask)
    if not boxed.mask.size:
        raise EmptyMaskError("it covers no pixel.")
    origin = (boxed.origin[0] + int(low[0]), boxed.origin[1] + int(low[1]))
    return intake.keep(BoxedMask(origin, boxed.mask, plane))


def extent(polygons: Sequence[Sequence[Ring]]) -> tuple[int, int]:
    """Return the height and width of the smallest plane that holds polygons; none is empty."""
    corners = [ring for rings in polygons for ring in rings if len(ring)]
    far = np.max([ring.max(axis=0) for ring in corners], axis=0, initial=1) if corners else np.ones(2)
    return int(np.ceil(far[1])), int(np.ceil(far[0]))


def require_ring(corners: NDArray[Any]) -> Ring:
    """Return corners of an outline as they are filled.

    Raises
    ------
    InputError
        If they are no (n, 2) finite numbers of a size that images have.
    """
    if corners.ndim != 2 or corners.shape[1] != 2 or corners.dtype.kind not in "iuf" or len(corners) < 3:
        raise InputError("an outline has not three corners, or not two numbers for each.")
    if not (np.abs(corners) < 2.0**31).all():  # NaN compares as false
        raise InputError("an outline has corners that lie nowhere.")
    return corners.astype(np.float64)


def _box(rings: Sequence[Ring], plane: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return the first and the last pixel plus one that an outline may cover, (y, x); None where there is none."""
    corners = np.concatenate(rings)[:, ::-1]
    low = np.clip(np.floor(corners.min(axis=0)), 0, plane).astype(np.int64)
    high = np.clip(np.ceil(corners.max(axis=0)), 0, plane).astype(np.int64)
    return (low, high) if (low < high).all() else None
