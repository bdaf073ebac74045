"""All of it, in its order: what a mask becomes by some settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.inference.shaping.limits import limited
from napari_sam.inference.shaping.morphology import fill_holes, grow, keep_parts, smooth

if TYPE_CHECKING:
    from napari_sam.inference.shaping.settings import MaskShaping
    from napari_sam.masks import BoxedMask
    from napari_sam.planes.source import PlaneSource


@dataclass(frozen=True, slots=True)
class MaskChange:
    """How far a mask became another one.

    Attributes
    ----------
    added, removed : int
        Pixels, data pixels of the plane.
    """

    added: int = 0
    removed: int = 0

    @classmethod
    def between(cls, before: BoxedMask, after: BoxedMask) -> MaskChange:
        """Count the pixels of two masks of one plane that only one of them has."""
        low = np.maximum(before.origin, after.origin)
        high = np.minimum(np.add(before.origin, before.mask.shape), np.add(after.origin, after.mask.shape))
        common = 0
        if (low < high).all():
            one, two = (
                boxed.mask[tuple(map(slice, low - boxed.origin, high - boxed.origin))] for boxed in (before, after)
            )
            common = int(np.count_nonzero(one & two))
        return cls(after.area - common, before.area - common)

    @property
    def words(self) -> str:
        """Say it, such as "12 px added, 3 px removed"; "" for nothing."""
        said = [(self.added, "added"), (self.removed, "removed")]
        return ", ".join(f"{count:,} px {what}" for count, what in said if count)


def shape_mask(mask: BoxedMask, shaping: MaskShaping, source: PlaneSource | None = None) -> BoxedMask:
    """Clean a mask up, within its limits; the threshold is not for a mask, but for the logits that it comes of.

    Parts are chosen first, so that specks do not grow into the object, and again at the end, so that sizes are those of
    what is shown. So are the limits: what is filled or grown does not cross them.

    Parameters
    ----------
    mask : BoxedMask
        What the model gives.
    shaping : MaskShaping
        What is to become of it.
    source : PlaneSource, optional
        The plane; without it, there are no limits.
    """
    shaped = mask if source is None else limited(mask, shaping, source)
    shaped = _chosen_parts(shaped, shaping)
    if shaping.fill_holes:
        shaped = fill_holes(shaped, shaping.largest_hole)
    shaped = grow(smooth(shaped, shaping.smooth), shaping.grow)
    if source is not None and (shaping.fill_holes or shaping.smooth or shaping.grow):
        shaped = limited(shaped, shaping, source)
    return _chosen_parts(shaped, shaping) if shaping.smooth or shaping.grow else shaped


def _chosen_parts(mask: BoxedMask, shaping: MaskShaping) -> BoxedMask:
    """Leave out the parts that are not wanted."""
    # Looking for parts takes as long as growing: only where somebody asks for it.
    if not (shaping.largest_part or shaping.smallest_part > 1):
        return mask
    return keep_parts(mask, smallest=shaping.smallest_part, only_largest=shaping.largest_part)
