"""Writes many objects at once, as one step, and tells the journal of each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sam.automatic.calibration import FEATURES
from napari_sam.automatic.laying import renumbered
from napari_sam.journal.notes.decisions import DECIDED, decided_fields
from napari_sam.masks import BoxedMask
from napari_sam.prompts import PromptSet
from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.prompted import messages as prompted_messages
from napari_sam.session.everything.selection import DecidedGroup
from napari_sam.session.labels.pixels import full_resolution
from napari_sam.session.objects.recording import describe, describe_layer
from napari_sam.session.viewing.feature_table import CLASS, SCORE, note_objects, read_column

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from napari_sam.session.everything.search import SearchRequest, SearchResult
    from napari_sam.session.everything.selection import ProposalSelection
    from napari_sam.session.labels.edit import LabelEdit
    from napari_sam.session.labels.writer import LabelWriter
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.recording import ObjectRecorder
    from napari_sam.session.prompts.reader import PromptReading


@dataclass(frozen=True, slots=True, eq=False)
class ObjectWriting:
    """How the objects of a plane are written and recorded.

    Attributes
    ----------
    image : Image
        The image.
    writer : LabelWriter
        Writes into the target.
    log, recorder
        What keeps the step, for undo, and the records.
    only_empty : bool
        Leave pixels alone that carry a label.
    """

    image: Image
    writer: LabelWriter
    log: ObjectLog
    recorder: ObjectRecorder
    only_empty: bool

    def write(self, selection: ProposalSelection, reading: PromptReading) -> str | None:
        """Write objects into the labels layer as one step, and record each.

        Parameters
        ----------
        selection : ProposalSelection
            The objects, and which pixels each gets. Their classes, if they were ranked, go into the features of the
            layer.
        reading : PromptReading
            What is drawn on the plane now: prompts that the objects were made of go.

        Returns
        -------
        str or None
            What the person should know; None when there was no pixel to write.
        """
        result = selection.result
        places = np.flatnonzero(np.bincount(selection.objects.ravel()))
        places = places[places > 0] - 1
        if (done := self._write_pixels(result, renumbered(selection.objects), places)) is None:
            return None
        edit, carried, ids = done
        told, layer = {number: _told(selection, place) for number, place in enumerate(places.tolist(), 1)}, edit.layer
        match = selection.match
        notes: dict[int, dict[str, object]] = {}
        for number, place in enumerate(places.tolist(), 1):
            notes[ids[number]] = {SCORE: float(result.table.proposals[place].score)}
            if match is not None and (kind := match.class_of(place)):
                notes[ids[number]][CLASS] = kind
        # First: the journal is told of it, too.
        note_objects(layer, notes)
        entries, trouble = record_objects(
            self.image, result.request, carried, told.__getitem__, layer, ids.__getitem__, self.recorder
        )
        carrying = {place: ids[number] for number, place in enumerate(places.tolist(), 1) if (carried == number).any()}
        entries, trouble = self._record_decisions(selection, edit, carrying, entries, trouble)
        prompted = result.request.prompted
        if prompted is not None and prompted.drawn:
            self.log.add_made(self.image, edit, entries, reading.only({*prompted.points, *prompted.boxes}))
        else:
            self.log.add_written(self.image, edit, entries)
        if prompted is not None and prompted.replaces:
            text = prompted_messages.replaced(len(places), layer.name)
        else:
            text = everything_messages.written(len(places), ids[1], layer.name)
        return " ".join(filter(None, (text, trouble or self.writer.first_notice())))

    def _record_decisions(
        self,
        selection: ProposalSelection,
        edit: LabelEdit,
        accepted: Mapping[int, int],
        entries: tuple[int, ...],
        trouble: str,
    ) -> tuple[tuple[int, ...], str]:
        """Note what was decided about proposals as a part of the step; return its entries, and trouble.

        Parameters
        ----------
        selection, edit
            The objects, and what was written of them.
        accepted : mapping from int to int
            Ids of those that were written, by their places in the table.
        entries, trouble
            Numbers of the entries so far, and what the person should know.
        """
        rejected = selection.rejected
        told = describe_decisions(self.image, edit.layer, selection.result, accepted, rejected)
        if told is not None:
            entry, trouble = self.recorder.add(DECIDED, **told, on_disk=False)
            entries = (*entries, entry)

        def is_there() -> bool:
            return edit.holding(edit.change.after) is not None

        selection.add_group(DecidedGroup(tuple(accepted), rejected, is_there))
        return entries, trouble

    def _write_pixels(
        self, result: SearchResult, numbers: NDArray[np.int32], places: NDArray[np.intp]
    ) -> tuple[LabelEdit, NDArray[np.int32], list[int]] | None:
        """Write the pixels; return what was written, the numbers of the objects on it, and the id of each number."""
        view, start, prompted = result.request.source.view, result.request.start, result.request.prompted
        if prompted is not None and prompted.replaces:
            ids = [0, *result.labels[places].tolist()]
            if (done := self.writer.write_objects(view, numbers, start, only_empty=True, ids=ids[1:])) is None:
                return None
            labels = np.asarray(full_resolution(self.writer.layer)[view.slices(start, numbers.shape)])
            return done[0], np.where(labels == np.array(ids, np.int64)[numbers], numbers, 0), ids
        if (done := self.writer.write_objects(view, numbers, start, only_empty=self.only_empty)) is None:
            return None
        edit, offset = done
        carried = np.where(edit.change.pixels.array(), numbers, 0)
        return edit, carried, list(range(offset, offset + len(places) + 1))


def _told(selection: ProposalSelection, place: int) -> dict[str, object]:
    """Say what the journal is to know of an object, by its place in the table, besides where it is."""
    result, match = selection.result, selection.match
    proposal = result.table.proposals[place]
    found: dict[str, object] = {"mode": result.request.mode, "stability": proposal.stability}
    told: dict[str, object] = {"found": found, "score": proposal.score}
    if not result.request.shaping.changes_nothing:
        told["shaping"] = result.request.shaping.to_dict()
    if match is not None:
        found |= match.describe(place)
    if proposal.asked is not None:
        asked = result.objects[proposal.asked]
        told["prompts"] = json.loads(asked.prompts.to_json())
        if asked.rough is not None:
            found["agreement"] = proposal.agreement
    return told


def describe_decisions(
    image: Image, layer: Labels, result: SearchResult, accepted: Mapping[int, int], rejected: Sequence[int]
) -> dict[str, Any] | None:
    """Say what was decided about proposals of a plane, as the journal keeps it.

    Parameters
    ----------
    image, layer
        The image, and the labels that objects went to.
    result : SearchResult
        The proposals.
    accepted : mapping from int to int
        Ids of those that were accepted, by their places in the table.
    rejected : sequence of int
        Places of those that were not.

    Returns
    -------
    dict or None
        None where they were found in a way that nothing is learnt from.
    """
    features = result.features
    if features is None:
        return None
    proposals = [(label, features[place].tolist()) for place, label in accepted.items()]
    proposals += [(0, features[place].tolist()) for place in rejected]
    return {
        **describe_layer(image, layer),
        "model": result.request.model,
        "mode": result.request.mode,
        **decided_fields(FEATURES, proposals, result.request.source.view.index),
    }


def record_objects(
    image: Image,
    request: SearchRequest,
    carried: NDArray[np.int32],
    tell: Callable[[int], Mapping[str, object]],
    layer: Labels,
    label_of: Callable[[int], int],
    recorder: ObjectRecorder,
) -> tuple[tuple[int, ...], str]:
    """Tell the journal of objects that were written on a plane.

    Parameters
    ----------
    image : Image
        The image.
    request : SearchRequest
        Where they were found.
    carried : numpy.ndarray, shape (h, w), int32
        Numbers of the objects on the pixels that were written, 0 elsewhere.
    tell : callable
        Takes a number, of those that are on any pixel; gives what else the journal is to know of it.
    layer : Labels
        What carries them.
    label_of : callable
        Gives the id of a number.
    recorder : ObjectRecorder
        Tells the journal.

    Returns
    -------
    (tuple of int, str)
        Numbers of the entries, and what the person should know; "" when all went well.
    """
    view, (top, left) = request.source.view, request.start
    entries, trouble = [], ""
    # Numbers of a stack may be many thousands, of which few are on this plane.
    present = np.unique(carried[carried > 0])
    boxes = ndimage.find_objects(renumbered(carried), len(present))
    kinds = read_column(layer, CLASS, [label_of(number) for number in present.tolist()])
    for number, (rows, columns), kind in zip(present.tolist(), boxes, kinds, strict=True):
        mask = BoxedMask((top + rows.start, left + columns.start), carried[rows, columns] == number, view.shape)
        # Brought to the disk on another thread: there may be hundreds.
        account = describe(image, view, layer, label_of(number), mask, PromptSet(), kind=kind)
        account |= {"model": request.model, **tell(number)}
        entry, trouble = recorder.add("accepted", **account, on_disk=False)
        entries.append(entry)
    return tuple(entries), trouble
