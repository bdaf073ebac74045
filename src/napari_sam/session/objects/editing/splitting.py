"""Divides one object into parts, one around each of some points, which cover exactly what it covered.

The model is asked for the object at each point, with the other points as background. Where it tells them apart, the
parts grow from what it found; else, and on planes that nobody clicked, they grow from the points alone, by a watershed
on the distance to the border of the object: its narrow places become the border.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sam.errors import Cancelled, InputError, NapariSamError
from napari_sam.prompts import PointPrompt, PromptSet
from napari_sam.session.objects.editing.search import find_boxes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sam.inference.request import Candidate
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.progress import Progress
    from napari_sam.session.objects.editing.search import Corners, LabelSearch

    AskModel = Callable[[PromptSet, Progress], Candidate]

_LEAST = 0.03
"""Share of the object that the model must give to each point; less is no part."""
_MOST_PIXELS = 2**28
"""Pixels of the box around an object that is divided: the arrays of a larger one would not fit into memory."""


@dataclass(frozen=True, slots=True, eq=False)
class SplitOrder:
    """What is to be divided.

    Attributes
    ----------
    search : LabelSearch
        Where the object is looked for.
    points : numpy.ndarray, shape (N, D), int
        Pixels of it, one for each part.
    spacing : tuple of float, length D
        Distance between pixels along each axis; only ratios count.
    ask : callable or None
        Answers prompts on the plane of the search; None where no model is to be asked.
    """

    search: LabelSearch
    points: NDArray[np.int64]
    spacing: tuple[float, ...]
    ask: AskModel | None


@dataclass(frozen=True, slots=True, eq=False)
class ObjectParts:
    """An object in parts.

    Attributes
    ----------
    planes : dict of PlaneIndex to ((int, int), numpy.ndarray)
        Upper left pixel of a box on the plane, and the numbers of the parts in it, (h, w) int32, 0 outside of all. The
        largest part is number 1, the others follow in the order of the points.
    count : int
        How many there are.
    by_model : bool
        Whether the model told them apart.
    """

    planes: dict[PlaneIndex, tuple[tuple[int, int], NDArray[np.int32]]]
    count: int
    by_model: bool


def split_object(order: SplitOrder, progress: Progress) -> ObjectParts:
    """Divide an object; slow, and for any thread.

    Raises
    ------
    InputError
        If it is too large, or has become another one under the points.
    """
    search, label = order.search, order.search.labels[0]
    boxes = find_boxes(search, progress)
    region = _bounds(boxes, search.view)
    if np.prod([part.stop - part.start for part in region], dtype=np.int64) > _MOST_PIXELS:
        raise InputError("This object is too large to be split as a whole. Split it plane by plane.")
    mask = np.asarray(search.data[region]) == label
    start = np.array([part.start for part in region])
    seeds = order.points - start
    inside = (seeds >= 0).all() and (seeds < mask.shape).all()
    if not inside or not mask[tuple(seeds.T)].all():
        raise InputError("A point does not lie on the object any more. Click inside it again.")
    found = _ask(order, mask, start, progress)
    parts = grow_parts(mask, seeds, found, order.spacing)
    return ObjectParts(_by_plane(parts, boxes, region, search.view.axes), len(seeds), found is not None)


def grow_parts(
    mask: NDArray[np.bool_],
    seeds: NDArray[np.int64],
    found: Sequence[NDArray[np.bool_]] | None = None,
    spacing: Sequence[float] | None = None,
) -> NDArray[np.int32]:
    """Give every pixel of a mask to one of some points.

    Parameters
    ----------
    mask : numpy.ndarray, bool, of any number of axes
        The object.
    seeds : numpy.ndarray, shape (N, D), int
        The points, all of them in the mask and no two alike.
    found : sequence of numpy.ndarray, bool, optional
        What is sure to belong to each; no pixel belongs to two.
    spacing : sequence of float, optional
        Distance between pixels along each axis.

    Returns
    -------
    numpy.ndarray, int32
        Numbers of the parts, 0 outside the mask. The largest part is number 1.
    """
    from skimage.segmentation import watershed  # half a second, which only who splits objects waits for

    markers = np.zeros(mask.shape, dtype=np.int32)
    for number, sure in enumerate(found or (), 1):
        markers[sure & mask] = number
    markers[tuple(seeds.T)] = np.arange(1, len(seeds) + 1)
    # Beyond the box there is no object, either.
    padded = np.pad(mask, 1)
    depth = ndimage.distance_transform_edt(padded, sampling=spacing)[(slice(1, -1),) * mask.ndim]
    parts = np.asarray(watershed(-depth, markers, mask=mask), dtype=np.int32)  # type: ignore[no-untyped-call]
    if (missed := mask & (parts == 0)).any():
        # Pieces that hold no point go to the nearest part.
        nearest = ndimage.distance_transform_edt(
            parts == 0, sampling=spacing, return_distances=False, return_indices=True
        )
        parts[missed] = parts[tuple(axis[missed] for axis in nearest)]
    areas = np.bincount(parts.ravel(), minlength=len(seeds) + 1)[1:]
    order = [int(areas.argmax()), *(place for place in range(len(seeds)) if place != areas.argmax())]
    numbers = np.zeros(len(seeds) + 1, dtype=np.int32)
    numbers[np.array(order) + 1] = np.arange(1, len(seeds) + 1)
    renumbered: NDArray[np.int32] = numbers[parts]
    return renumbered


def _ask(
    order: SplitOrder, mask: NDArray[np.bool_], start: NDArray[np.int64], progress: Progress
) -> list[NDArray[np.bool_]] | None:
    """Ask the model for the object at each point; None where it does not tell them apart."""
    view = order.search.view
    others = [axis for axis in range(mask.ndim) if axis not in view.axes]
    if order.ask is None or any((order.points[:, axis] != view.index[axis]).any() for axis in others):
        return None
    plane: list[Any] = [slice(None)] * mask.ndim
    for axis in others:
        plane[axis] = int(view.index[axis] or 0) - int(start[axis])
    here = mask[tuple(plane)]
    corner = tuple(int(start[axis]) for axis in view.axes)
    places = [tuple(float(at) for at in point[list(view.axes)]) for point in order.points]
    answers = []
    try:
        for place in places:
            prompts = PromptSet(tuple(PointPrompt((y, x), (y, x) == place) for y, x in places))
            answers.append(_laid(order.ask(prompts, progress), corner, here.shape) & here)
    except Cancelled:
        raise
    except NapariSamError:
        return None  # without a model the shape alone tells
    found = []
    for number, answer in enumerate(answers):
        sure = answer & ~np.any([other for at, other in enumerate(answers) if at != number], axis=0)
        y, x = (int(at) - first for at, first in zip(places[number], corner, strict=True))
        if not sure[y, x] or np.count_nonzero(sure) < _LEAST * np.count_nonzero(here):
            return None
        laid = np.zeros(mask.shape, dtype=bool)
        laid[tuple(plane)] = sure
        found.append(laid)
    return found


def _laid(candidate: Candidate, corner: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Lay a mask on a box of its plane."""
    laid = np.zeros(shape, dtype=bool)
    low = np.maximum(candidate.origin, corner)
    high = np.minimum(np.add(candidate.origin, candidate.mask.shape), np.add(corner, shape))
    if (low < high).all():
        laid[tuple(map(slice, low - corner, high - corner))] = candidate.mask[
            tuple(map(slice, low - candidate.origin, high - candidate.origin))
        ]
    return laid


def _bounds(boxes: dict[PlaneIndex, Corners], view: PlaneIndex) -> tuple[slice, ...]:
    """Return the smallest box of the array that holds the boxes of all planes."""
    if not boxes:
        raise InputError("The object is not there any more.")
    low: list[int] = []
    high: list[int] = []
    for axis in range(len(view.index)):
        if axis in view.axes:
            at = view.axes.index(axis)
            low.append(min(corners[at] for corners in boxes.values()))
            high.append(max(corners[at + 2] for corners in boxes.values()))
        else:
            places = [int(plane.index[axis] or 0) for plane in boxes]
            low.append(min(places))
            high.append(max(places) + 1)
    return tuple(map(slice, low, high))


def _by_plane(
    parts: NDArray[np.int32], boxes: dict[PlaneIndex, Corners], region: tuple[slice, ...], axes: tuple[int, int]
) -> dict[PlaneIndex, tuple[tuple[int, int], NDArray[np.int32]]]:
    """Cut parts into planes: each with its box."""
    found = {}
    for view, (top, left, bottom, right) in boxes.items():
        index: list[int | slice] = [
            0 if at is None else at - part.start for at, part in zip(view.index, region, strict=True)
        ]
        for axis, first, last in zip(axes, (top, left), (bottom, right), strict=True):
            index[axis] = slice(first - region[axis].start, last - region[axis].start)
        # A copy: all of a large box would stay in memory for one plane of it.
        found[view] = (top, left), np.array(parts[tuple(index)])
    return found
