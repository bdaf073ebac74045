"""What the pixels of objects become: each of these says it plane by plane, and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.session.objects.editing.rewriting import PlaneRewrite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.objects.editing.search import Corners
    from napari_sam.session.objects.editing.splitting import ObjectParts


def deleted(data: Any, boxes: Mapping[PlaneIndex, Corners], label: int) -> Iterator[PlaneRewrite]:
    """Empty the pixels of an object.

    Parameters
    ----------
    data : array-like
        The labels at full resolution.
    boxes : mapping of PlaneIndex to (int, int, int, int)
        Where the object is.
    label : int
        Its id.
    """
    for view, corners in boxes.items():
        before = read_box(data, view, corners)
        after = before.copy()
        np.copyto(after, 0, where=before == label)
        yield PlaneRewrite(view, corners[:2], before, after)


def merged(data: Any, boxes: Mapping[PlaneIndex, Corners], labels: Sequence[int]) -> Iterator[PlaneRewrite]:
    """Give the pixels of several objects the id of the first; `boxes` hold all of them."""
    for view, corners in boxes.items():
        before = read_box(data, view, corners)
        yield PlaneRewrite(
            view, corners[:2], before, np.where(np.isin(before, labels), labels[0], before).astype(before.dtype)
        )


def divided(data: Any, parts: ObjectParts, label: int, first: int) -> Iterator[PlaneRewrite]:
    """Give the parts of an object ids of their own.

    Parameters
    ----------
    data : array-like
        The labels at full resolution.
    parts : ObjectParts
        The parts; what was painted since they were found stays as it is.
    label : int
        Its id, which part 1 keeps.
    first : int
        The id of part 2; the others follow.
    """
    for view, ((top, left), numbers) in parts.planes.items():
        before = read_box(data, view, (top, left, top + numbers.shape[0], left + numbers.shape[1]))
        other = (before == label) & (numbers > 1)
        after = before.copy()
        after[other] = numbers[other] + (first - 2)
        yield PlaneRewrite(view, (top, left), before, after)


def read_box(data: Any, view: PlaneIndex, corners: Corners) -> NDArray[Any]:
    """Read a box of a plane, (h, w): a copy, as what is written later must not change it."""
    top, left, bottom, right = corners
    return np.array(data[view.slices((top, left), (bottom - top, right - left))])
