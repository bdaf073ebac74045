"""Writes one candidate as an object of the person's, and tells the journal."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.inference.shaping import MaskShaping
from napari_sam.journal import encode_mask
from napari_sam.masks import BoxedMask
from napari_sam.session import messages
from napari_sam.session.labels.edit import spread_values
from napari_sam.session.labels.pixels import label_mask
from napari_sam.session.objects.tracked import PlaneRecord, TrackedObject
from napari_sam.session.viewing.feature_table import CLASS, PROMPTS, SCORE, begin_objects, note_objects, read_column

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari.layers import Image, Labels

    from napari_sam.inference.request import PlaneAnswer
    from napari_sam.inference.worker import Worker
    from napari_sam.journal import Journal
    from napari_sam.planes.source import PlaneIndex, PlaneSource
    from napari_sam.prompts import PromptSet
    from napari_sam.session.labels.edit import LabelEdit
    from napari_sam.session.labels.writer import LabelWriter
    from napari_sam.session.viewing.feature_table import NotesChange

_OWN_FIELDS = frozenset({"source", "prompts", "previous", "start"})
"""Fields of a request that are described in their own way."""
_TIDY_EVERY = 64
"""Records after which it is looked whether the journal wants to be put in order."""


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


class ObjectRecorder:
    """Tells the journal of every accepted object.

    Parameters
    ----------
    journal : Journal
        Where records go.
    worker : Worker, optional
        Puts the journal in order now and then; without it, that is done when the session ends.
    """

    def __init__(self, journal: Journal, worker: Worker | None = None) -> None:
        self._journal = journal
        self._worker = worker
        self._told: Path | None = None

    @property
    def path(self) -> Path | None:
        """The file of the journal; None before the first record."""
        return self._journal.path

    @property
    def session(self) -> str:
        """Name of the session in the journal."""
        return self._journal.session

    @property
    def count(self) -> int:
        """How many records there are of this session."""
        return self._journal.count

    @property
    def unsaved(self) -> str:
        """What the person should know while records cannot be written to the journal; "" when all are there."""
        return "" if self._journal.trouble is None else messages.no_journal(self._journal.trouble)

    def add(self, kind: str, **fields: Any) -> tuple[int, str]:
        """Add an entry: its number, and what the person should know if that failed."""
        number = self._journal.add(kind, **fields)
        if number % _TIDY_EVERY == 0 and self._journal.is_untidy and self._worker is not None:
            journal = self._journal
            self._worker.submit("journal tidied", lambda _progress: journal.tidy())
        return number, self.unsaved or self._damage_notice()

    def _damage_notice(self) -> str:
        """Say, once, that a damaged journal was found."""
        before, self._told = self._told, self._journal.set_aside
        return "" if self._told in (None, before) else messages.journal_set_aside(self._told)

    def add_plane(
        self, kind: str, image: Image, view: PlaneIndex, written: LabelEdit, prompts: PromptSet, **more: Any
    ) -> tuple[int, str]:
        """Record what a run wrote on one plane; `sync` brings it to the disk.

        Parameters
        ----------
        kind : str
            "accepted", or "erased" where an object was taken off a plane.
        image : Image
            The image.
        view : PlaneIndex
            The plane.
        written : LabelEdit
            What was written.
        prompts : PromptSet
            What the person drew for it; empty where nobody did.
        **more
            What else the journal should know.

        Returns
        -------
        (int, str)
            The number in the journal, and what the person should know.
        """
        # Not on the disk yet: a run writes plane after plane, and `sync` waits for the disk on another thread.
        return self.add(kind, **account(image, view, written, prompts), **more, on_disk=False)

    def note_pixels(self, image: Image, pixels: str) -> None:
        """Say what the pixels of an image are, by which it is known again; "" where they cannot be read."""
        if pixels:
            self._journal.note_pixels(str(image.unique_id), pixels)

    def add_notes(self, change: NotesChange, values: Mapping[int, str]) -> str:
        """Record what the person said of objects; return what they should know.

        Parameters
        ----------
        change : NotesChange
            Names the layer and the column.
        values : mapping from int to str
            What is there now, by id: that of before where the change was undone.
        """
        told = {str(label): value for label, value in values.items()}
        return self.add("noted", target=change.layer.name, column=change.column, values=told)[1]

    def sync(self) -> None:
        """Bring what was noted to the disk, which takes too long for the owner's thread; safe on any."""
        # What cannot be written is told by the next record, on the owner's thread.
        with suppress(OSError):
            self._journal.sync()

    def close(self) -> None:
        """Try a last time to write what could not be written, and end the session in the journal."""
        self._journal.close()


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
        **_channels(answer.request.source),
        asked=describe_question(answer, index) | {"only_empty": order.only_empty, "replaces": replaced is not None},
        **_shaping(answer.request.shaping),
    )
    tracked = (replaced or TrackedObject(writer.layer, written.label)).with_prompted(
        view.index, PlaneRecord.of(written, prompts)
    )
    note_origin(tracked, candidate.score)
    return Outcome(tracked, written, (entry,), trouble or writer.first_notice())


def _channels(source: PlaneSource) -> dict[str, Any]:
    """Name the images that the model saw together, where it saw several."""
    return {"channels": list(source.channels)} if source.channels else {}


def _shaping(shaping: MaskShaping) -> dict[str, Any]:
    """Say what became of the mask that the model gave; nothing where it stayed as it was."""
    return {} if shaping.changes_nothing else {"shaping": shaping.to_dict()}


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


def account(image: Image, view: PlaneIndex, written: LabelEdit, prompts: PromptSet, digest: str = "") -> dict[str, Any]:
    """Say where an accepted object, or its part on one plane, is, and which prompts it came of."""
    # What the labels carry: where others were in the way, that is less than the model's mask.
    cut = BoxedMask.of(written.drawn.array())
    origin = int(written.origin[0]) + cut.origin[0], int(written.origin[1]) + cut.origin[1]
    (kind,) = read_column(written.layer, CLASS, [written.label])
    mask = BoxedMask(origin, cut.mask, view.shape)
    said = describe(image, view, written.layer, written.label, mask, prompts, digest=digest, kind=kind)
    # Mostly the object is all that changed.
    return said if written.drawn is written.change.pixels else said | {"changes": describe_changes(view, written)}


def describe_changes(view: PlaneIndex, written: LabelEdit) -> list[dict[str, Any]]:
    """Say which pixels of a plane carry which id since an edit, 0 for none: of those that changed."""
    pixels, (top, left) = written.change.pixels.array(), written.origin
    after = spread_values(pixels, written.change.after.array())
    changes = []
    for label in np.unique(after[pixels]).tolist():
        cut = BoxedMask.of(pixels & (after == label))
        origin = top + cut.origin[0], left + cut.origin[1]
        changes.append({"label": int(label), "mask": encode_mask(cut.mask, origin, view.shape)})
    return changes


def describe_question(answer: PlaneAnswer, choice: int) -> dict[str, Any]:
    """Say what was asked of the model, so that it can be asked again: see `napari_sam.journal.replaying`."""
    request = answer.request
    source = request.source
    limits = source.contrast_limits
    asked: dict[str, Any] = {
        "weights": answer.weights,
        "contrast_limits": None if limits is None else [float(limit) for limit in limits],
        "gamma": float(source.gamma),
        "spacing": [float(step) for step in source.view.spacing],
        "rounds": [
            {
                "prompts": json.loads(one.prompts.to_json()),
                "choice": one.choice,
                "region": one.region,
                "visible": one.visible,
            }
            for one in answer.rounds(choice)
        ],
    }
    # What else belongs to a request, such as how masks are cleaned up, is plain values in a dataclass of its own.
    for field in fields(request):
        if is_dataclass(value := getattr(request, field.name)) and field.name not in _OWN_FIELDS:
            # Not all that shapes a mask is plain: labels to leave out are read from a layer.
            plain = value.to_dict() if isinstance(value, MaskShaping) else asdict(value)  # type: ignore[arg-type]  # an instance
            asked[field.name] = plain
    if (start := request.start) is not None:
        asked["start"] = encode_mask(start.mask.mask, start.mask.origin, start.mask.plane)
    return asked


def describe(
    image: Image,
    view: PlaneIndex,
    target: Labels,
    label: int,
    carried: BoxedMask,
    prompts: PromptSet,
    *,
    digest: str = "",
    kind: str = "",
) -> dict[str, Any]:
    """Describe an object of a plane as the journal keeps it: `carried` are the pixels that carry its id."""
    (top, left), (height, width) = carried.origin, carried.mask.shape
    return describe_layer(image, target) | {
        **({"class": kind} if kind else {}),
        "calibration": {
            "axes": list(image.axis_labels),
            "scale": [float(step) for step in image.scale],
            "units": [str(unit) for unit in image.units],
        },
        "plane": {"axes": view.axes, "index": view.index, "digest": digest},
        "prompts": json.loads(prompts.to_json()),
        "label": label,
        "box": [top, left, top + height, left + width],
        "mask": encode_mask(carried.mask, (top, left), view.shape),
    }


def describe_layer(image: Image, target: Labels) -> dict[str, Any]:
    """Say which labels layer of which image a record is about."""
    return {
        "image": image.name,
        "identity": {
            "source": str(image.source.path or ""),
            "image": str(image.unique_id),
            "layer": str(target.unique_id),
        },
        "shape": [int(n) for n in image.data.shape],
        "target": target.name,
    }
