"""A strip of every plane of one image, held out at the same place of each."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.training.material.taught import object_boxes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam.training.material.taught import TaughtPlane

_WANTED = 0.25
_NARROWEST, _WIDEST = 0.15, 0.35
"""Shares of the side of a plane that the strip may take."""
_FEWEST, _MOST = 0.1, 0.5
"""Shares of the objects in it that are no cause to cut elsewhere."""
_LEAST = 3
"""Objects on each side, where there are as many."""
_MOST_CUTS = 400
"""Places that are tried along each side."""
_LEFT_OUT = 0.1
"""Share of the objects of a part that may be left out at the cut while it counts as complete."""

# The part that is held out, and the other one.
_SIDES = (("upper", "lower"), ("lower", "upper"), ("left", "right"), ("right", "left"))


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where planes are cut.

    Attributes
    ----------
    axis : int
        0 for a cut along a row, 1 along a column.
    last : bool
        Whether the strip is at the end of the axis.
    share : float
        Of the axis, how much the strip takes.
    """

    axis: int
    last: bool
    share: float

    def place(self, length: int) -> int:
        """Return the first pixel after the cut."""
        width = min(max(1, round(self.share * length)), length - 1)
        return length - width if self.last else width


def hold_out_strip(
    planes: Sequence[TaughtPlane],
) -> tuple[tuple[TaughtPlane, ...], tuple[TaughtPlane, ...]] | None:
    """Cut a strip off each plane, all at one place: what is beside it on the next plane of a stack is held out, too.

    Returns
    -------
    training, held_out : tuple of TaughtPlane
        Parts without objects are left out. None where no cut leaves objects on both sides.
    """
    boxes = [object_boxes(plane.labels) for plane in planes]
    tables: dict[tuple[int, ...], list[NDArray[np.int64]]] = defaultdict(list)
    for plane, (_ids, sides) in zip(planes, boxes, strict=True):
        tables[plane.labels.shape].append(sides)
    together = {shape: np.concatenate(own) for shape, own in tables.items()}
    costs = [(_cost(together, cut), cut) for cut in _cuts(planes)]
    cost, best = min(costs, key=lambda pair: pair[0], default=((2.0,), None))
    if best is None or cost[0] > 1:
        return None
    training: list[TaughtPlane] = []
    held_out: list[TaughtPlane] = []
    for plane, (ids, sides) in zip(planes, boxes, strict=True):
        at = best.place(plane.labels.shape[best.axis])
        first, second, crossing = _sorted(sides, best.axis, at)
        strip, rest = (slice(at, None), slice(at)) if best.last else (slice(at), slice(at, None))
        names = _SIDES[2 * best.axis + best.last]
        inside, outside = (second, first) if best.last else (first, second)
        for where, kept, name, parts in ((strip, inside, names[0], held_out), (rest, outside, names[1], training)):
            if kept.any():
                parts.append(_part(plane, best.axis, where, ids[kept], name, int(crossing.sum())))
    return tuple(training), tuple(held_out)


def _cuts(planes: Sequence[TaughtPlane]) -> list[_Cut]:
    """Give the places where planes could be cut: every pixel, unless there are very many."""
    cuts = []
    for axis in (0, 1):
        length = max(plane.labels.shape[axis] for plane in planes)
        if min(plane.labels.shape[axis] for plane in planes) < 2:
            continue
        first, last = max(1, int(_NARROWEST * length)), min(length - 1, int(_WIDEST * length) + 1)
        places = np.unique(np.linspace(first, last, min(_MOST_CUTS, last - first + 1)).round().astype(int))
        cuts += [_Cut(axis, end, int(at) / length) for end in (False, True) for at in places]
    return cuts


def _sorted(
    boxes: NDArray[np.int64], axis: int, at: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which objects lie before a cut, which after it, and which on both sides."""
    before, after = boxes[:, axis + 2] <= at, boxes[:, axis] >= at
    return before, after, ~(before | after)


def _cost(boxes: Mapping[tuple[int, ...], NDArray[np.int64]], cut: _Cut) -> tuple[float, ...]:
    """Compare cuts of the objects of planes, by the shape of the planes.

    First there have to be enough on both sides, then a fair share; then count few crossed objects, and about a quarter.
    """
    sides = [_sorted(own, cut.axis, cut.place(shape[cut.axis])) for shape, own in boxes.items()]
    before, after, crossing = (sum(int(side[which].sum()) for side in sides) for which in range(3))
    held, left = (after, before) if cut.last else (before, after)
    least, total = min(held, left), max(1, held + left + crossing)
    few = 2 if least < 1 else int(least < _LEAST)
    unfair = float(not _FEWEST <= held / total <= _MOST)
    return few, unfair, crossing, abs(held / total - _WANTED), abs(cut.share - _WANTED), cut.axis, cut.last


def _part(
    plane: TaughtPlane, axis: int, where: slice, kept: NDArray[np.int64], name: str, crossing: int
) -> TaughtPlane:
    """Cut a part out of a plane, with the objects that lie wholly in it."""
    region = (where, slice(None)) if axis == 0 else (slice(None), where)
    labels = np.where(np.isin(plane.labels[region], kept), plane.labels[region], 0).astype(plane.labels.dtype)
    complete = plane.complete and crossing <= _LEFT_OUT * len(kept)
    # Copies: views would keep the whole planes in memory.
    return replace(
        plane, name=f"{plane.name}, {name} part", image=plane.image[region].copy(), labels=labels, complete=complete
    )
