"""What goes into a propagation and what comes out of it: annotated planes, answered ones, and why a direction ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.masks import BoxedMask
from napari_sam.prompts import PromptSet

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Reason(StrEnum):
    """Why a direction ended."""

    EMPTY = "empty"
    OVERLAP = "overlap"
    AREA = "area"
    SCORE = "score"
    MARK = "mark"
    RANGE_END = "range-end"
    MET = "met"

    @property
    def words(self) -> str:
        """The reason in plain English, to follow "Stopped at plane 31: "."""
        return _WORDS[self]


_WORDS = {
    Reason.EMPTY: "the object is not there any more",
    Reason.OVERLAP: "the object hardly overlaps the one on the plane before",
    Reason.AREA: "the object's area jumped",
    Reason.SCORE: "the answer is too uncertain",
    Reason.MARK: "a stop mark lies there",
    Reason.RANGE_END: "the range ends there",
    Reason.MET: "the other direction was met",
}


@dataclass(frozen=True, slots=True, eq=False)
class Annotated:
    """A plane on which a person has said what the object is.

    Attributes
    ----------
    index : int
        Which plane.
    mask : numpy.ndarray, shape (H, W), bool, or BoxedMask
        The object there, in one or more pieces.
    prompts : PromptSet
        The person's prompts for it, data pixels, (y, x); may be empty.
    """

    index: int
    mask: NDArray[np.bool_] | BoxedMask
    prompts: PromptSet = field(default_factory=PromptSet)

    @property
    def boxed(self) -> BoxedMask:
        """The object, cut to its box."""
        return self.mask if isinstance(self.mask, BoxedMask) else BoxedMask.of(np.asarray(self.mask, dtype=bool))


@dataclass(frozen=True, slots=True, eq=False)
class PropagationStep:
    """A plane that was answered.

    Attributes
    ----------
    index : int
        Which plane.
    boxed : BoxedMask
        The object there, cut to its box; never empty.
    score : float
        How far the mask can be trusted, 0 to 1: the predicted IoU (between annotated planes, with `interpolate`, times
        the IoU with the interpolated mask), times how much of the object's contrast is left
        (`napari_sam.propagation.contrast.kept`), times min(1, overlap / 0.5).
    overlap : float
        IoU with the mask of the plane that it was carried from.
    direction : int
        1 where it was carried from the plane before, -1 from the one after.
    """

    index: int
    boxed: BoxedMask
    score: float
    overlap: float
    direction: int

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The object on the whole plane, (H, W) bool, laid out anew each time; `boxed` is small."""
        return self.boxed.whole()


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of one direction.

    Attributes
    ----------
    index : int
        The first plane of the direction that did not get the object.
    direction : int
        1 upwards, -1 downwards.
    reason : Reason
    """

    index: int
    direction: int
    reason: Reason
