"""Asks the model again for recorded objects, by their prompts, and compares what it answers with what was recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_sam.errors import InputError
from napari_sam.inference.refinement import PreviousMask
from napari_sam.inference.request import PlaneRequest
from napari_sam.inference.shaping import MaskShaping
from napari_sam.inference.starting import StartingMask
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
        asked, because nobody prompted the entry, or not all that it saw is at hand: what was recorded was taken over.
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
            yield self._repeat(entry, progress) if can_ask(entry) else self._take_over(entry)

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
            kept = decode_boxed(asked["kept"]) if asked.get("kept") else None
            _write(plane, candidate, entry.label, kept, only_empty=bool(asked.get("only_empty", True)))
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
        start, shaping = _start(entry, source.view), self._shaping(entry)
        previous, answer, choice = None, None, 0
        for said in entry.asked["rounds"]:
            if answer is not None:
                previous = _previous(answer, choice)
            prompts, choice, visible = PromptSet.from_json(json.dumps(said["prompts"])), int(said["choice"]), None
            if said.get("visible") is not None:
                low, high = (np.array(corner, dtype=np.float64) for corner in said["visible"])
                visible = low, high
            request = PlaneRequest(
                model,
                self._device,
                source,
                prompts,
                previous,
                start,
                region=said.get("region", "object"),
                visible=visible,
                shaping=replace(shaping, correction=said.get("correction", shaping.correction)),
            )
            answer = self._asker.do(request, progress)
        if answer is None:
            raise InputError(f"Entry {entry.number} says nothing of what was asked.")
        return answer, choice

    def _shaping(self, entry: JournalEntry) -> MaskShaping:
        """Return what became of the masks; labels to leave out are read as they are when the entry has its turn."""
        shaping = MaskShaping.from_dict(entry.asked.get("shaping") or {})
        if shaping.exclusion is None:
            return shaping
        return replace(shaping, exclusion=replace(shaping.exclusion, read=self._read_labels))

    def _read_labels(self, view: PlaneIndex, start: tuple[int, int], shape: tuple[int, int]) -> NDArray[np.uint32]:
        return self.labels[view.slices(start, shape)]

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


def can_ask(entry: JournalEntry) -> bool:
    """Tell whether the image and the journal hold all that the model was asked with."""
    asked = entry.asked
    # Several channels were blended from layers of the viewer, and so may labels to leave out be those of another layer.
    excluded = ((asked.get("shaping") or {}).get("exclusion") or {}).get("layer", entry.target.layer)
    return bool(asked.get("rounds")) and not asked.get("channels") and excluded == entry.target.layer


def _start(entry: JournalEntry, view: PlaneIndex) -> StartingMask | None:
    """Return the mask that a correction began with, and the prompts that it had come of."""
    if (said := entry.asked.get("start")) is None:
        return None
    prompts = PromptSet.from_json(json.dumps(said["prompts"]))
    return StartingMask(int(said["label"]), view, decode_boxed(said["mask"]), prompts)


def _previous(answer: PlaneAnswer, choice: int) -> PreviousMask | None:
    if choice >= len(answer.found):
        return None
    return PreviousMask.of(answer.found[choice], answer.pictures[choice], prompts=answer.request.prompts)


def _write(
    plane: NDArray[np.uint32], candidate: Candidate, label: int, kept: BoxedMask | None, *, only_empty: bool
) -> None:
    """Write a candidate; `kept` are pixels that others kept then, whether the journal knows of those others or not."""
    mine = BoxedMask(candidate.origin, candidate.mask, (plane.shape[0], plane.shape[1]))
    pixels = mine.mask if kept is None else mine.mask & ~kept.whole()[mine.box]
    box = plane[mine.box]
    box[pixels & (box == 0) if only_empty else pixels] = label
