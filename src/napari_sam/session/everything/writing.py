"""Writes many objects at once, as one step, and tells the journal of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.automatic.proposals import renumbered
from napari_sam.masks import BoxedMask
from napari_sam.prompts import PromptSet
from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.objects.recording import describe
from napari_sam.session.viewing.feature_table import set_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from napari_sam.session.everything.ranking.match import Match
    from napari_sam.session.everything.search import SearchRequest, SearchResult
    from napari_sam.session.labels.writer import LabelWriter
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.recording import ObjectRecorder


def write_objects(
    image: Image,
    result: SearchResult,
    objects: NDArray[np.int32],
    writer: LabelWriter,
    log: ObjectLog,
    recorder: ObjectRecorder,
    *,
    only_empty: bool,
    match: Match | None = None,
) -> str | None:
    """Write objects into a labels layer as one step, and record each.

    Parameters
    ----------
    image : Image
        The image.
    result : SearchResult
        Where they were found.
    objects : numpy.ndarray, shape (h, w), int32
        1 plus the place of the object in the table of the result, 0 for none.
    writer : LabelWriter
        Writes into the target.
    log, recorder
        What keeps the step, for undo, and the records.
    only_empty : bool
        Leave pixels alone that carry a label.
    match : Match, optional
        What the objects were ranked by; their classes go into the features of the layer.

    Returns
    -------
    str or None
        What the person should know; None when there was no pixel to write.
    """
    view, (top, left) = result.request.source.view, result.request.start
    places = np.flatnonzero(np.bincount(objects.ravel()))
    places = places[places > 0] - 1
    numbers = renumbered(objects)
    if (done := writer.write_objects(view, numbers, (top, left), only_empty=only_empty)) is None:
        return None
    edit, offset = done
    carried = np.where(edit.change.pixels.array(), numbers, 0)
    told, classes = {}, {}
    for number, place in enumerate(places.tolist(), 1):
        proposal = result.table.proposals[place]
        found: dict[str, object] = {"mode": result.request.mode, "stability": proposal.stability}
        if match is not None:
            found |= match.describe(place)
            classes[offset + number] = match.class_of(place)
        told[number] = {"found": found, "score": proposal.score}
    entries, trouble = record_objects(image, result.request, carried, told.__getitem__, writer.layer, offset, recorder)
    set_classes(writer.layer, {label: name for label, name in classes.items() if name})
    log.add_written(image, edit, entries)
    text = everything_messages.written(len(places), offset + 1, writer.layer.name)
    return " ".join(filter(None, (text, trouble or writer.first_notice())))


def record_objects(
    image: Image,
    request: SearchRequest,
    carried: NDArray[np.int32],
    tell: Callable[[int], Mapping[str, object]],
    layer: Labels,
    offset: int,
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
    offset : int
        What makes ids of numbers.
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
    for number, (rows, columns) in zip(present.tolist(), boxes, strict=True):
        mask = BoxedMask((top + rows.start, left + columns.start), carried[rows, columns] == number, view.shape)
        # Brought to the disk on another thread: there may be hundreds.
        entry, trouble = recorder.add(
            "accepted",
            **describe(image, view, layer, offset + number, mask, PromptSet()),
            model=request.model,
            **tell(number),
            on_disk=False,
        )
        entries.append(entry)
    return tuple(entries), trouble
