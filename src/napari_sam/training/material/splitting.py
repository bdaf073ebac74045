"""What is learnt from and what is measured on: images and volumes as wholes, or a strip of the only one."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.errors import InputError
from napari_sam.training.material.strips import hold_out_strip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam.training.material.taught import TaughtPlane

_LEAST = 3
"""Objects on each side."""


@dataclass(frozen=True, slots=True)
class MaterialSplit:
    """Planes to learn from, and planes to measure on.

    Attributes
    ----------
    training, held_out : tuple of TaughtPlane
        `held_out` is empty where there is too little to hold any back.
    words : str
        How it was split, for a person.
    same_image : bool
        Whether the planes that are held out are parts of the images that are learnt from, because there is one only.
    """

    training: tuple[TaughtPlane, ...]
    held_out: tuple[TaughtPlane, ...]
    words: str
    same_image: bool


def split_material(
    planes: Sequence[TaughtPlane], *, share: float = 0.2, seed: int = 0, before: Sequence[TaughtPlane] = ()
) -> MaterialSplit:
    """Hold some planes back, to measure on what was not learnt from.

    Whole groups are held out, in the order of a hash of their names, which are digests of their pixels: the same ones
    on every machine, however the planes are ordered and whatever their files are called. A group that is added changes
    little; with `before`, nothing. A group without which too little would be left to learn from, or that is much larger
    than what is to be held out, is passed over where another one serves.

    Of a single group, a strip at one side of each plane is held out, about a quarter, where the cut crosses the fewest
    objects; those that it crosses are in neither part. Such a part of a complete plane counts as complete if these are
    at most a tenth of its objects.

    Parameters
    ----------
    planes : sequence of TaughtPlane
    share : float
        Of all objects, how many are to be held out, 0 to 1.
    seed : int
        Another one holds out other groups.
    before : sequence of TaughtPlane
        Planes that were held out in an earlier split, one of whole images: their groups stay held out, as long as
        enough is left to learn from.

    Raises
    ------
    InputError
        If there are no planes, or the share is none.
    """
    if not planes:
        raise InputError("There are no planes to learn from. Label some objects first.")
    if not 0 < share < 1:
        raise InputError(f"The share that is held out is between 0 and 1; got {share}.")
    groups: dict[str, list[TaughtPlane]] = defaultdict(list)
    for plane in planes:
        groups[plane.group].append(plane)
    if len(groups) == 1:
        return _split_one(planes)
    counts = {group: sum(plane.objects for plane in own) for group, own in groups.items()}
    ordered = sorted(groups, key=lambda group: hashlib.blake2b(f"{seed} {group}".encode()).digest())
    chosen = _choose(ordered, counts, share, {plane.group for plane in before})
    training = tuple(plane for plane in planes if plane.group not in chosen)
    held_out = tuple(plane for plane in planes if plane.group in chosen)
    objects = [sum(counts[group] for group in groups if (group in chosen) == side) for side in (False, True)]
    words = (
        f"It learns from {_counted(objects[0], 'object')} in {_counted(len(groups) - len(chosen), 'image')}, and is "
        f"measured on {_counted(objects[1], 'object')} in {_counted(len(chosen), 'other image')}, which it does not "
        "learn from."
    )
    return MaterialSplit(training, held_out, words, same_image=False)


def _choose(ordered: Sequence[str], counts: dict[str, int], share: float, before: set[str]) -> set[str]:
    """Choose the groups that are held out, of two or more."""
    total = sum(counts.values())
    wanted = max(share * total, _LEAST)

    def leaves_enough(held: int) -> bool:
        return total - held >= _LEAST

    chosen: list[str] = []
    held = 0
    # Those of before first, whatever their size.
    for group in sorted(ordered, key=lambda group: group not in before):
        known = group in before
        if held >= wanted and not known:
            break
        fits = known or held + counts[group] <= max(2 * share * total, _LEAST)
        if fits and leaves_enough(held + counts[group]):
            chosen.append(group)
            held += counts[group]
    if held >= _LEAST:
        return set(chosen)
    # The smallest group that is enough by itself; among as large ones, the first.
    for group in sorted(ordered, key=lambda group: counts[group]):
        if counts[group] >= _LEAST and leaves_enough(counts[group]):
            return {group}
    return _gather(ordered, counts)


def _gather(ordered: Sequence[str], counts: dict[str, int]) -> set[str]:
    """Choose among groups of very few objects; if there are too few for both sides, one group at least is held out."""
    total = sum(counts.values())
    chosen: set[str] = set()
    held = 0
    for group in sorted(ordered, key=lambda group: -counts[group]):
        if held < _LEAST and total - held - counts[group] >= _LEAST:
            chosen.add(group)
            held += counts[group]
    return chosen if held >= _LEAST else {min(ordered, key=lambda group: counts[group])}


def _split_one(planes: Sequence[TaughtPlane]) -> MaterialSplit:
    """Hold out a strip of each plane of the only image."""
    what = "There is only one image" if len(planes) == 1 else "All planes are of one image, or of near copies of it"
    strips = hold_out_strip(planes)
    if strips is None:
        words = f"{what}, with too few objects to hold some back: nothing is measured. Label more, in a second image."
        return MaterialSplit(tuple(planes), (), words, same_image=True)
    words = (
        f"{what}: it is measured on a part of it that was not learnt from. Label a second image to know how it does on "
        "others."
    )
    return MaterialSplit(strips[0], strips[1], words, same_image=True)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
