"""The part of each plane that a run works in: a crop around the object, at the resolution that the model sees it in.

A run never needs more of a large plane than what the model looks at to find the object there. Strategies, contrast and
rules see the picture of the crop as their plane, and masks and prompts in its pixels. Which crop it is follows from
where the object is known to be and from nothing else, so that a run that goes on later sees what it would have seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.inference.crop_choice import planner_for
from napari_sam.masks import BoxedMask, deepest_pixel
from napari_sam.planes import fits, whole
from napari_sam.planes.source import source_of
from napari_sam.prompts import PromptSet
from napari_sam.propagation.results import Annotated
from napari_sam.propagation.strategies.protocol import Seen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam.inference.request import EngineLike
    from napari_sam.planes import Crop
    from napari_sam.planes.plane import Plane
    from napari_sam.planes.source import Planes

_ROOM = 0.25
"""Room around an object, as a share of its sides: it may move there, and its surroundings tell its contrast."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownPlane:
    """A plane on which the object is known.

    Attributes
    ----------
    index : int
        Which plane.
    boxed : BoxedMask
        The object there; not empty.
    prompts : PromptSet
        The person's prompts for it, data pixels; may be empty.
    """

    index: int
    boxed: BoxedMask
    prompts: PromptSet = field(default_factory=PromptSet)

    @classmethod
    def of(cls, annotated: Annotated) -> KnownPlane:
        """Begin with what a person said."""
        return cls(annotated.index, annotated.boxed, annotated.prompts)


class StackCrops:
    """Chooses and reads crops of the planes of a stack.

    Parameters
    ----------
    engine : EngineLike
        Its model tells how much of a plane it sees.
    planes : Planes
        The stack.
    index : int
        A plane that is needed in any case: where planes cannot be read in part, it is read to learn their shape.
    kept : int
        Crops that stay in memory.
    """

    def __init__(self, engine: EngineLike, planes: Planes, index: int, kept: int) -> None:
        self.planner = planner_for(engine, source_of(planes, index))
        self.shape = self.planner.shape
        """Height and width of the planes, data pixels."""
        # A plane is the next one first, then the last one, and then the one that tells how the object moves.
        self._read = lru_cache(kept)(partial(_read, planes, self.shape))

    def around(self, masks: Sequence[BoxedMask]) -> Crop:
        """Choose the crop for an object that lies on some masks, none of them empty; a plane that is small as a whole.

        Where the object is larger than what the model sees at once, the crop is read from a coarser resolution.
        """
        planner = self.planner
        if fits(planner.shape, planner.side, planner.spacing):
            return whole(planner.shape)
        low = np.min([boxed.origin for boxed in masks], axis=0)
        high = np.max([np.add(boxed.origin, boxed.mask.shape) for boxed in masks], axis=0) - 1
        room = _ROOM * (high - low + 1)
        # On the plane: room beyond its edge would draw the middle of the crop away from the object.
        first, last = (np.clip(at, 0, np.array(planner.shape) - 1).tolist() for at in (low - room, high + room))
        return planner.crop_for(PromptSet(), (tuple(first), tuple(last)))

    def plane(self, index: int, crop: Crop) -> Plane:
        """Read a crop of a plane, or take it again."""
        return self._read(index, crop)

    def seen(self, known: KnownPlane, crop: Crop) -> Seen:
        """Show a plane on which the object is known, through a crop."""
        return Seen(known.index, self.plane(known.index, crop), _on_picture(known.boxed, crop))

    def annotated(self, known: KnownPlane, crop: Crop) -> Annotated:
        """Bring an annotated plane to the pixels of a crop."""
        return Annotated(known.index, _on_picture(known.boxed, crop), crop.prompts(known.prompts))


def _read(planes: Planes, shape: tuple[int, int], index: int, crop: Crop) -> Plane:
    return planes[index] if crop.is_whole(shape) else source_of(planes, index).read(crop)


def _on_picture(boxed: BoxedMask, crop: Crop) -> NDArray[np.bool_]:
    """Bring a mask to a picture; a speck that falls between the pixels of a coarse one keeps a pixel."""
    mask = crop.on_picture(boxed)
    if not mask.any():
        middle = crop.to_picture(np.add(boxed.origin, deepest_pixel(boxed.mask, closed=True)))
        y, x = np.clip(np.rint(middle), 0, np.array(mask.shape) - 1).astype(int)
        mask[y, x] = True
    return mask
