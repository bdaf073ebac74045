"""Lays masks on an empty plane, one after another, so that each pixel belongs to one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam.masks import BoxedMask


def lay(
    masks: Sequence[BoxedMask],
    plane: tuple[int, int],
    *,
    overlap: float,
    least_area: float = 1,
    kept: int = 0,
    taken: NDArray[np.bool_] | None = None,
    numbers: Sequence[int] | None = None,
) -> NDArray[np.int32]:
    """Lay masks on an empty plane one after another; what is covered already stays.

    A mask is left out that has too much in common with one that was laid before, or of which less than half is free.

    Parameters
    ----------
    masks : sequence of BoxedMask
        The best first.
    plane : (int, int)
        Height and width, data pixels.
    overlap : float
        Most that two may have in common, as a share of the smaller one.
    least_area : float
        Least data pixels that have to be free.
    kept : int
        So many, from the first, are laid in any case.
    taken : numpy.ndarray, shape (H, W), bool, optional
        Pixels that are covered from the beginning, as by one large object.
    numbers : sequence of int, optional
        What stands for each mask, 1 or more and each once; by default 1 plus its place in the sequence.

    Returns
    -------
    numpy.ndarray, shape (H, W), int32
        The numbers, 0 where there is no mask.
    """
    labels = np.zeros(plane, np.int32)
    numbers = range(1, len(masks) + 1) if numbers is None else numbers
    covered = max(numbers, default=0) + 1
    areas = np.zeros(covered + 1, np.int64)
    if taken is not None:
        # So large that a mask is always the smaller one.
        labels[taken], areas[covered] = covered, taken.size
    for order, (number, boxed) in enumerate(zip(numbers, masks, strict=True)):
        under, mask = labels[boxed.box], boxed.mask
        common = np.bincount(under[mask], minlength=1)
        area = int(common.sum())
        # Number 0 counts the pixels that are still free.
        free, common[0] = int(common[0]), 0
        if order >= kept:
            smaller = np.minimum(area, areas[: len(common)])
            if (common > overlap * smaller).any() or free < max(least_area, area / 2):
                continue
        under[mask & (under == 0)] = number
        areas[number] = free
    if taken is not None:
        labels[taken] = 0
    return labels


def lay_in_place(
    masks: Sequence[BoxedMask],
    ids: Sequence[int],
    labels: NDArray[np.integer[Any]],
    *,
    overlap: float = 1.0,
    least_area: float = 1,
    kept: int = 0,
    numbers: Sequence[int] | None = None,
) -> NDArray[np.int32]:
    """Lay masks in place of the objects that they were made of, and leave all other objects as they are.

    A mask that is left out, as `lay` leaves them out, leaves its older object as it is, too.

    Parameters
    ----------
    masks : sequence of BoxedMask
        In the order in which they are laid.
    ids : sequence of int
        Of the objects that they were made of.
    labels : numpy.ndarray, shape (H, W), int
        Where these objects, and all others, are; 0 for none.
    overlap, least_area, kept, numbers
        As for `lay`.

    Returns
    -------
    numpy.ndarray, shape (H, W), int32
        As `lay` gives it.
    """
    names = list(range(1, len(masks) + 1)) if numbers is None else list(numbers)
    shape, left = (labels.shape[0], labels.shape[1]), list(range(len(masks)))
    while True:
        laid = lay(
            [masks[place] for place in left],
            shape,
            overlap=overlap,
            least_area=least_area,
            kept=sum(place < kept for place in left),
            taken=(labels != 0) & ~np.isin(labels, [ids[place] for place in left]),
            numbers=[names[place] for place in left],
        )
        present = np.bincount(laid.ravel(), minlength=max(names, default=0) + 1) > 0
        found = [place for place in left if present[names[place]]]
        if len(found) == len(left):
            return laid
        # Others may lie where the older objects of those were: once more, with these pixels out of reach.
        left = found


def renumbered(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give the objects of a plane the numbers 1 to n, in the order of the numbers that they have; 0 stays."""
    present = np.bincount(labels.ravel()) > 0
    present[:1] = False
    numbers: NDArray[np.int32] = np.where(present, np.cumsum(present), 0).astype(np.int32)
    return numbers[labels]
