"""Writes one candidate as an object of the person's, and tells the journal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_sam.journal import encode_mask
from napari_sam.session import words
from napari_sam.session.inference import candidate_of
from napari_sam.session.stack_object import CarriedObject, PlaneRecord, drawn

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam.prompts import PromptSet
    from napari_sam.session.inference import Answer
    from napari_sam.session.target import LabelWriter
    from napari_sam.session.view import View
    from napari_sam.session.written import Written


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """How a candidate is to be written.

    Attributes
    ----------
    writer : LabelWriter
        Writes into the target.
    only_empty : bool
        Leave pixels alone that carry a label.
    again : CarriedObject or None
        Write this object again, in place of what the plane carries of it, instead of a new one.
    """

    writer: LabelWriter
    only_empty: bool
    again: CarriedObject | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of writing a candidate.

    Attributes
    ----------
    hand : CarriedObject
        The object.
    written : Written or None
        What was written; None where the plane was as the person wants it already.
    entries : tuple of int
        Numbers of what was written in the journal.
    trouble : str
        What the person should know; "" when all went as expected.
    """

    hand: CarriedObject
    written: Written | None = None
    entries: tuple[int, ...] = ()
    trouble: str = ""


class Recorder(Protocol):
    """Adds to the journal: the number of the entry, and what the person should know."""

    def __call__(self, kind: str, **fields: Any) -> tuple[int, str]:
        """Add one entry."""


def write_candidate(image: Image, answer: Answer, index: int, order: Order, record: Recorder) -> Outcome | str:
    """Write a candidate into a labels layer, and record it.

    Parameters
    ----------
    image : Image
        The image.
    answer : Answer
        What the model said.
    index : int
        Which of its candidates.
    order : Order
        How to write it.
    record : callable
        Adds to the journal.

    Returns
    -------
    Outcome or str
        What came of it; words for why nothing was written.
    """
    candidate, view, said = answer.candidates[index], answer.request.source.view, answer.request.said
    if not candidate.area:
        return words.EMPTY_MASK
    writer, again = order.writer, order.again
    label = None if again is None else again.label
    written = writer.write(
        view, candidate.mask, candidate.origin, only_empty=order.only_empty, label=label, replace=again is not None
    )
    if written is None:
        if again is None or not drawn(writer.layer, view, again.label).any():
            return words.NOTHING_FREE
        # The plane is as the person wants it: that is worth to be known all the same.
        return Outcome(again.said(view.index, PlaneRecord.said(candidate.origin, candidate.mask, said)))
    entry, trouble = record(
        "accepted",
        **account(image, view, written, said, answer.digest),
        model=answer.request.model,
        score=candidate.score,
    )
    hand = (again or CarriedObject(writer.layer, written.label)).said(view.index, PlaneRecord.of(written, said))
    return Outcome(hand, written, (entry,), trouble or writer.introduce())


def account(image: Image, view: View, written: Written, said: PromptSet, digest: str = "") -> dict[str, Any]:
    """Say where an accepted object, or its part on one plane, is, and what was said to get it."""
    cut = candidate_of(written.drawn.array(), 0.0)
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
        "prompts": json.loads(said.to_json()),
        "target": written.writer.layer.name,
        "label": written.label,
        "box": [top, left, top + height, left + width],
        "mask": encode_mask(cut.mask, (top, left), view.shape),
    }
