"""Which object accept writes: the current one again, or a new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.session.objects.matching import belongs

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_sam.inference.request import Candidate
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.prompts import PromptSet
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.objects.current import CurrentObject
    from napari_sam.session.objects.tracked import TrackedObject
    from napari_sam.session.viewing.active_image import ActiveImage


@dataclass(frozen=True, slots=True)
class _Question:
    """What was compared; equal ones have the same answer, so that label pixels are read once for it."""

    current: TrackedObject
    version: int
    view: PlaneIndex
    prompts: PromptSet
    candidate: Candidate | None

    @property
    def answer(self) -> bool:
        return belongs(self.current, self.view, self.prompts, self.candidate)


class SameObject:
    """Tells whether accept writes the current object again.

    As the person chose for the next accept; else it does if what is prompted belongs to that object.

    Parameters
    ----------
    current : CurrentObject
        The current object.
    active, live
        What is on screen, and what is prompted and answered there.
    """

    def __init__(self, current: CurrentObject, active: ActiveImage, live: LivePrediction) -> None:
        self._current = current
        self._active = active
        self._live = live
        self._compared: tuple[_Question, bool] | None = None
        self.chosen: bool | None = None
        """What the person chose for the next accept; None where the mask is to tell."""

    @property
    def replaces_current(self) -> bool:
        """Whether accept writes the current object again, instead of a new one."""
        current, view, live = self._current.tracked, self._active.view, self._live
        if current is None or self.chosen is not None:
            return current is not None and bool(self.chosen)
        # Who corrects an object that exists writes that again, whatever the mask has become, and on any plane.
        if live.start is not None and live.start.label == current.label:
            return True
        # An image of one plane has no other one that the object could go on from.
        if view is None or self._active.slider_axis is None:
            return False
        if live.is_answered and live.answer is not None:
            request = live.answer.request
            return self._belongs(current, request.source.view, request.prompts, live.selected_candidate)
        return self._belongs(current, view, live.reading.prompts, None)

    def to_replace(self, layer: Labels | None) -> TrackedObject | None:
        """Return the object that accept writes again into a layer; None where it writes a new one."""
        current = self._current.tracked if self.replaces_current else None
        return current if current is not None and current.layer is layer else None

    def _belongs(
        self, current: TrackedObject, view: PlaneIndex, prompts: PromptSet, candidate: Candidate | None
    ) -> bool:
        question = _Question(current, self._current.version, view, prompts, candidate)
        if self._compared is None or self._compared[0] != question:
            self._compared = question, question.answer
        return self._compared[1]
