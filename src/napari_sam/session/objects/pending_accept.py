"""An accept that was pressed before the answer was there, or before others were written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam.inference.request import PlaneAnswer, PlaneRequest
    from napari_sam.inference.shaping.levels import Level
    from napari_sam.session.labels.writer import LabelWriter
    from napari_sam.session.objects.history import HistoryStep
    from napari_sam.session.objects.tracked import TrackedObject
    from napari_sam.session.prompts.drawing import PromptContents


@dataclass(slots=True, eq=False)
class PendingAccept:
    """One accept.

    Attributes
    ----------
    image : Image
        The image that it was pressed on.
    request : PlaneRequest
        What was asked for its object.
    choice : int
        Which candidate; counted on from the first after the last one.
    level : {"best", "whole", "part", "subpart"} or None
        The level whose candidate is counted from; None where `choice` was made among candidates that were there.
    picked : bool
        Whether the person picked this one.
    writer : LabelWriter or None
        Writes into the target of that moment; None when there was none.
    only_empty : bool
        Whether to leave pixels alone that carry a label.
    replaces : TrackedObject or None
        The object to write again; None for a new one.
    undecided : bool
        Whether the mask, once it is there, may tell that it is the current object after all.
    step : HistoryStep
        The step in the history.
    drawn : PromptContents or None
        What was drawn, the prompts of this object included, where drawing them is a part of the step: in turbo.
    answer : PlaneAnswer or None
        The answer, once it is there.
    error : BaseException or None
        Why there is none.
    """

    image: Image
    request: PlaneRequest
    choice: int
    level: Level | None
    picked: bool
    writer: LabelWriter | None
    only_empty: bool
    replaces: TrackedObject | None
    undecided: bool
    step: HistoryStep
    drawn: PromptContents | None = None
    answer: PlaneAnswer | None = None
    error: BaseException | None = None

    @property
    def settled(self) -> bool:
        """Whether its answer, or the failure, is there."""
        return self.answer is not None or self.error is not None
