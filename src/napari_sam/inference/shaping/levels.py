"""Levels of the candidates of an ambiguous click: which of them is the whole, a part, or a part of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam.masks import BoxedMask

Level = Literal["best", "whole", "part", "subpart"]
"""Which candidate of an ambiguous click is shown first: the best, or by size, the largest first."""

_ALIKE = 0.9
"""Masks that overlap by this share (IoU) are one thing seen twice, and no two levels of it."""
_LEVELS: dict[int, tuple[Level, ...]] = {2: ("whole", "subpart"), 3: ("whole", "part", "subpart")}
"""Levels of so many candidates that differ, the largest first."""


def levels_of(masks: Sequence[BoxedMask]) -> dict[Level, int]:
    """Find which candidate is of which level; none where they are no choice of sizes.

    Parameters
    ----------
    masks : sequence of BoxedMask
        As the model gives them, best first.

    Returns
    -------
    dict from str to int
        Their places, 0 for the best.
    """
    different = list[int]()
    # Best first: of two that are alike the better one counts.
    for index, mask in enumerate(masks):
        if mask.area and not any(are_alike(mask, masks[other]) for other in different):
            different.append(index)
    by_size = sorted(different, key=lambda index: -masks[index].area)
    names = _LEVELS.get(len(by_size))
    return {} if names is None else dict(zip(names, by_size, strict=True))


def are_alike(one: BoxedMask, other: BoxedMask) -> bool:
    """Tell whether two masks are one thing seen twice."""
    return one.iou(other) >= _ALIKE
