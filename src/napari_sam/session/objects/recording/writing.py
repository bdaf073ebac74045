"""Writes one candidate as an object of the person's, and records it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.session import messages
from napari_sam.session.labels.pixels import label_mask
from napari_sam.session.objects.recording.describing import (
    account,
    describe_kept,
    describe_question,
    describe_treatment,
)
from napari_sam.session.objects.tracked import PlaneRecord, TrackedObject
from napari_sam.session.viewing.feature_table import PROMPTS, SCORE, begin_objects, note_objects

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam.inference.request import PlaneAnswer
    from napari_sam.session.labels.edit import LabelEdit
    from napari_sam.session.labels.writer import LabelWriter
    from napari_sam.session.objects.recording.recorder import ObjectRecorder


@dataclass(frozen=True, slots=True, eq=False)
class WriteOrder:
    """How a candidate is to be written.

    Attributes
    ----------
    writer : LabelWriter
        Writes into the target.
    only_empty : bool
        Leave pixels alone that carry a label.
    replaces : TrackedObject or None
        Write this object again, in place of what the plane carries of it, instead of a new one.
    label : int or None
        Id of a new object; by default the next one of the layer.
    """

    writer: LabelWriter
    only_empty: bool
    replaces: TrackedObject | None = None
    label: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of writing a candidate.

    Attributes
    ----------
    tracked : TrackedObject
        The object.
    written : LabelEdit or None
        What was written; None where the plane was as the person wants it already.
    entries : tuple of int
        Numbers of what was written in the journal.
    trouble : str
        What the person should know; "" when all went as expected.
    """

    tracked: TrackedObject
    written: LabelEdit | None = None
    entries: tuple[int, ...] = ()
    trouble: str = ""


def write_candidate(
    image: Image, answer: PlaneAnswer, index: int, order: WriteOrder, recorder: ObjectRecorder
) -> Outcome | str:
    """Write a candidate into a labels layer, and record it.

    Parameters
    ----------
    image : Image
        The image.
    answer : PlaneAnswer
        What the model answered.
    index : int
        Which of its candidates.
    order : WriteOrder
        How to write it.
    recorder : ObjectRecorder
        Tells the journal.

    Returns
    -------
    Outcome or str
        What came of it; words for why nothing was written.
    """
    candidate, view, prompts = answer.candidates[index], answer.request.source.view, answer.request.prompts
    if not candidate.area:
        return messages.EMPTY_MASK
    writer, replaced = order.writer, order.replaces
    label = order.label if replaced is None else replaced.label
    written = writer.write(
        view, candidate.mask, candidate.origin, only_empty=order.only_empty, label=label, replace=replaced is not None
    )
    if written is None:
        if replaced is None or not label_mask(writer.layer, view, replaced.label).any():
            return messages.NOTHING_FREE
        # The plane is as the person wants it: that is worth to be known all the same.
        return Outcome(
            replaced.with_prompted(view.index, PlaneRecord.prompted(candidate.origin, candidate.mask, prompts))
        )
    if replaced is None and label is not None:
        begin_objects(writer.layer, [label], writer.new_class())
    entry, trouble = recorder.add(
        "accepted",
        **account(image, view, written, prompts, answer.digest),
        model=answer.request.model,
        score=candidate.score,
        **describe_treatment(answer),
        asked=describe_question(answer, index)
        | {"only_empty": order.only_empty, "replaces": replaced is not None}
        | describe_kept(candidate, view, written),
    )
    tracked = (replaced or TrackedObject(writer.layer, written.label)).with_prompted(
        view.index, PlaneRecord.of(written, prompts)
    )
    note_origin(tracked, candidate.score)
    return Outcome(tracked, written, (entry,), trouble or writer.first_notice())


def note_origin(tracked: TrackedObject | None, score: float = 1.0) -> None:
    """Note in the features of its layer how far an object can be trusted, and what it came of.

    Parameters
    ----------
    tracked : TrackedObject or None
        The object; nothing is noted of none.
    score : float
        The model's estimate, for an object of one plane; one of many is as good as its worst plane.
    """
    if tracked is None:
        return
    records = list(tracked.planes.values())
    worst = min(record.score for record in records) if len(records) > 1 else score
    prompts = [prompt for record in records for prompt in record.prompts.prompts]
    kinds = Counter(type(prompt).__name__.removesuffix("Prompt").lower() for prompt in prompts)
    words = ", ".join(messages.counted(count, kind) for kind, count in kinds.items())
    note_objects(tracked.layer, {tracked.label: {SCORE: float(worst), PROMPTS: words}})
