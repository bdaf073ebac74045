"""Asks the model again for recorded objects, by their prompts, and compares what it answers with what was recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_sam.errors import InputError
from napari_sam.inference.refinement import PreviousMask
from napari_sam.inference.request import PlaneRequest
from napari_sam.inference.shaping import MaskShaping
from napari_sam.masks import BoxedMask, decode_boxed
from napari_sam.planes.source import PlaneIndex, PlaneSource
from napari_sam.progress import no_progress
from napari_sam.prompts import PromptSet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sam.inference.request import Candidate, PlaneAnswer
    from napari_sam.journal.objects import JournalEntry
    from napari_sam.progress import Progress


class Asker(Protocol):
    """Answers requests, as `napari_sam.inference.backend.InferenceBackend` does."""

    def do(self, request: PlaneRequest, progress: Progress, /) -> PlaneAnswer:
        """Answer one request."""


@dataclass(frozen=True, slots=True, eq=False)
class ReplayedEntry:
    """An entry that was done again.

    Attributes
    ----------
    entry : JournalEntry
        The entry.
    iou : float or None
        How far the pixels that carry the object now agree with those that were recorded; None where the model was not
        asked, because nobody prompted the entry: what was recorded was taken over.
    exact : bool
        Whether they are the same.
    weights : bool
        Whether the same weights answered.
    pixels : bool
        Whether the model saw the same pixels.
    """

    entry: JournalEntry
    iou: float | None
    exact: bool
    weights: bool = True
    pixels: bool = True


class Replay:
    """Does the entries of one target again, on the image.

    Parameters
    ----------
    data : array-like
        The image, with the shape that the journal has for it; colour, if any, is the last axis.
    labels : numpy.ndarray, uint32
        Empty labels, which are written into.
    asker : Asker
        The model.
    model, device : str, optional
        Another model than the one that is recorded, and where it computes.
    """

    def __init__(
        self, data: Any, labels: NDArray[np.uint32], asker: Asker, *, model: str | None = None, device: str = "auto"
    ) -> None:
        self.labels = labels
        self._data = data
        self._asker = asker
        self._model = model
        self._device = device

    def run(self, entries: Sequence[JournalEntry], progress: Progress = no_progress) -> Iterator[ReplayedEntry]:
        """Do entries again, one after the other.

        Raises
        ------
        InputError
            If an entry cannot be read, or the model cannot be asked.
        """
        for entry in entries:
            progress(0.0)
            # Several channels were blended from layers of the viewer, which the image alone does not hold.
            again = entry.asked.get("rounds") and not entry.asked.get("channels")
            yield self._repeat(entry, progress) if again else self._take_over(entry)

    def _repeat(self, entry: JournalEntry, progress: Progress) -> ReplayedEntry:
        """Ask the model, and write what it answers as it was written then."""
        asked, recorded = entry.asked, decode_boxed(entry.mask)
        answer, choice = self._ask(entry, progress)
        candidate = answer.candidates[choice] if choice < len(answer.candidates) else None
        plane = self.labels[self._index(entry)]
        if asked.get("replaces"):
            plane[plane == entry.label] = 0
        # The same policy as then, on the labels as they are now.
        if candidate is not None and candidate.area:
            _write(plane, candidate, entry.label, only_empty=bool(asked.get("only_empty", True)))
        found = BoxedMask.of(plane == entry.label)
        # What was recorded is the object in the box of the change, which is all of it.
        iou = found.iou(recorded)
        same = iou == 1.0 and found.area == recorded.area
        weights = asked.get("weights", "") in ("", answer.weights)
        return ReplayedEntry(entry, iou, same, weights, entry.digest in ("", answer.digest))

    def _take_over(self, entry: JournalEntry) -> ReplayedEntry:
        """Write what was recorded."""
        plane = self.labels[self._index(entry)]
        if entry.changes is None:
            plane[plane == entry.label] = 0  # what the plane carries of it is what follows
        for label, encoded in entry.changes if entry.changes is not None else ((entry.label, entry.mask),):
            mask = decode_boxed(encoded)
            plane[mask.box][mask.mask] = label
        return ReplayedEntry(entry, None, True)

    def _ask(self, entry: JournalEntry, progress: Progress) -> tuple[PlaneAnswer, int]:
        """Ask round after round: the answer that was chosen goes back with the next question."""
        source, model = self._source(entry), self._model or str(entry.asked.get("model") or "bundled")
        previous, answer, choice = None, None, 0
        for said in entry.asked["rounds"]:
            if answer is not None:
                previous = _previous(answer, choice)
            prompts, choice, visible = PromptSet.from_json(json.dumps(said["prompts"])), int(said["choice"]), None
            if said.get("visible") is not None:
                low, high = (np.array(corner, dtype=np.float64) for corner in said["visible"])
                visible = low, high
            request = PlaneRequest(
                model, self._device, source, prompts, previous, region=said.get("region", "object"), visible=visible
            )
            answer = self._asker.do(with_settings(request, entry.asked), progress)
        if answer is None:
            raise InputError(f"Entry {entry.number} says nothing of what was asked.")
        return answer, choice

    def _source(self, entry: JournalEntry) -> PlaneSource:
        rows, columns = entry.axes
        shape, asked = (int(self._data.shape[rows]), int(self._data.shape[columns])), entry.asked
        spacing, limits = asked.get("spacing") or (1.0, 1.0), asked.get("contrast_limits")
        view = PlaneIndex(entry.axes, entry.index, shape, (float(spacing[0]), float(spacing[1])))
        window = None if limits is None else (float(limits[0]), float(limits[1]))
        return PlaneSource(self._data, view, window, float(asked.get("gamma", 1.0)))

    @staticmethod
    def _index(entry: JournalEntry) -> tuple[int | slice, ...]:
        return tuple(slice(None) if at is None else at for at in entry.index)


def with_settings(request: PlaneRequest, asked: Any) -> PlaneRequest:
    """Give a request what else was recorded of it: fields that hold plain values in a dataclass of their own."""
    for field in fields(request):
        default, said = getattr(request, field.name), asked.get(field.name)
        if isinstance(said, dict) and is_dataclass(default) and field.name not in ("source", "prompts", "previous"):
            if isinstance(default, MaskShaping):
                request = replace(request, shaping=MaskShaping.from_dict(said))
                continue
            known = {one.name for one in fields(default)}
            changed = {key: value for key, value in said.items() if key in known}
            request = replace(request, **{field.name: replace(default, **changed)})  # type: ignore[type-var, arg-type]  # instances
    return request


def _previous(answer: PlaneAnswer, choice: int) -> PreviousMask | None:
    if choice >= len(answer.found):
        return None
    return PreviousMask.of(answer.found[choice], answer.pictures[choice], prompts=answer.request.prompts)


def _write(plane: NDArray[np.uint32], candidate: Candidate, label: int, *, only_empty: bool) -> None:
    (top, left), (height, width) = candidate.origin, candidate.mask.shape
    box = plane[top : top + height, left : left + width]
    box[candidate.mask & (box == 0) if only_empty else candidate.mask] = label
