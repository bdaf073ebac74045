"""Writes one candidate as an object of the person's, and tells the journal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_sam.journal import encode_mask
from napari_sam.masks import BoxedMask
from napari_sam.session import messages
from napari_sam.session.labels.pixels import label_mask
from napari_sam.session.objects.tracked import PlaneRecord, TrackedObject

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam.inference.request import PlaneAnswer
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.prompts import PromptSet
    from napari_sam.session.labels.edit import LabelEdit
    from napari_sam.session.labels.writer import LabelWriter


@dataclass(frozen=True, slots=True, eq=False)
class WriteOrder:
    """How a candidate is to be written.

    Attributes
    ----------
    writer : LabelWriter
        Writes into the target.
    only_empty : bool
        Leave pixels alone that carry a label.
    again : TrackedObject or None
        Write this object again, in place of what the plane carries of it, instead of a new one.
    """

    writer: LabelWriter
    only_empty: bool
    again: TrackedObject | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of writing a candidate.

    Attributes
    ----------
    hand : TrackedObject
        The object.
    written : LabelEdit or None
        What was written; None where the plane was as the person wants it already.
    entries : tuple of int
        Numbers of what was written in the journal.
    trouble : str
        What the person should know; "" when all went as expected.
    """

    hand: TrackedObject
    written: LabelEdit | None = None
    entries: tuple[int, ...] = ()
    trouble: str = ""


class Recorder(Protocol):
    """Adds to the journal: the number of the entry, and what the person should know."""

    def __call__(self, kind: str, **fields: Any) -> tuple[int, str]:
        """Add one entry."""


def write_candidate(
    image: Image, answer: PlaneAnswer, index: int, order: WriteOrder, record: Recorder
) -> Outcome | str:
    """Write a candidate into a labels layer, and record it.

    Parameters
    ----------
    image : Image
        The image.
    answer : PlaneAnswer
        What the model said.
    index : int
        Which of its candidates.
    order : WriteOrder
        How to write it.
    record : callable
        Adds to the journal.

    Returns
    -------
    Outcome or str
        What came of it; words for why nothing was written.
    """
    candidate, view, prompts = answer.candidates[index], answer.request.source.view, answer.request.prompts
    if not candidate.area:
        return messages.EMPTY_MASK
    writer, again = order.writer, order.again
    label = None if again is None else again.label
    written = writer.write(
        view, candidate.mask, candidate.origin, only_empty=order.only_empty, label=label, replace=again is not None
    )
    if written is None:
        if again is None or not label_mask(writer.layer, view, again.label).any():
            return messages.NOTHING_FREE
        # The plane is as the person wants it: that is worth to be known all the same.
        return Outcome(again.with_prompted(view.index, PlaneRecord.prompted(candidate.origin, candidate.mask, prompts)))
    entry, trouble = record(
        "accepted",
        **account(image, view, written, prompts, answer.digest),
        model=answer.request.model,
        score=candidate.score,
    )
    hand = (again or TrackedObject(writer.layer, written.label)).with_prompted(
        view.index, PlaneRecord.of(written, prompts)
    )
    return Outcome(hand, written, (entry,), trouble or writer.first_notice())


def account(image: Image, view: PlaneIndex, written: LabelEdit, prompts: PromptSet, digest: str = "") -> dict[str, Any]:
    """Say where an accepted object, or its part on one plane, is, and what was said to get it."""
    cut = BoxedMask.of(written.drawn.array())
    (top, left), (height, width) = np.add(written.origin, cut.origin).tolist(), cut.mask.shape
    return {
        "image": image.name,
        "shape": [int(n) for n in image.data.shape],
        "calibration": {
            "axes": list(image.axis_labels),
            "scale": [float(step) for step in image.scale],
            "units": [str(unit) for unit in image.units],
        },
        "plane": {"axes": view.axes, "index": view.index, "digest": digest},
        "prompts": json.loads(prompts.to_json()),
        "target": written.layer.name,
        "label": written.label,
        "box": [top, left, top + height, left + width],
        "mask": encode_mask(cut.mask, (top, left), view.shape),
    }
