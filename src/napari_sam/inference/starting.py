"""A mask to begin with: that of an object that exists already, which clicks then correct."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sam.prompts import PromptSet

if TYPE_CHECKING:
    from napari_sam.masks import BoxedMask
    from napari_sam.planes.source import PlaneIndex


@dataclass(frozen=True, slots=True, eq=False)
class StartingMask:
    """The mask of an object that exists.

    Attributes
    ----------
    label : int
        Its id.
    view : PlaneIndex
        The plane.
    mask : BoxedMask
        Its pixels there; none where the plane does not carry it.
    prompts : PromptSet
        What it is the answer to: the prompts that are known of it. More of them correct it; without all of these it
        says nothing.
    """

    label: int
    view: PlaneIndex
    mask: BoxedMask
    prompts: PromptSet = field(default_factory=PromptSet)

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return self.mask.mask.nbytes

    def answers(self, prompts: PromptSet) -> bool:
        """Tell whether it is itself the answer to some prompts, but for what is painted on it."""
        return bool(self.mask.area) and prompts.unpainted == self.prompts.unpainted

    def helps(self, prompts: PromptSet) -> bool:
        """Tell whether it may go with some prompts: they say no less than those that it came of."""
        return bool(self.mask.area) and set(prompts).issuperset(self.prompts.unpainted)
