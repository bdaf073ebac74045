"""Planes with their objects, out of every source of labels."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.errors import InputError
from napari_sam.files import format_bytes
from napari_sam.io.memory import largest_read
from napari_sam.progress import no_progress
from napari_sam.training.material.cutting import (
    LARGEST_SIDE,
    MOST_PARTS,
    part_name,
    parts_with_objects,
    square_pixels,
    without_specks,
)
from napari_sam.training.material.duplicates import join_groups
from napari_sam.training.material.files import files_in, open_file, with_labels
from napari_sam.training.material.journal_objects import open_journal_objects
from napari_sam.training.material.labelled_stack import spread_evenly
from napari_sam.training.material.layers import open_layers
from napari_sam.training.material.sources import JournalObjects, LabelledFile, LabelledFolder, LayerArrays
from napari_sam.training.material.taught import TaughtPlane, object_boxes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from napari_sam.progress import Progress
    from napari_sam.training.material.labelled_stack import LabelledPlane, LabelledStack
    from napari_sam.training.material.sources import MaterialSource

    OpenSource = LabelledFile | JournalObjects | LayerArrays

LEAST_OBJECTS = 3
"""Objects without which there is nothing to learn, nor to measure."""
_FEW = 5
"""Objects below which a plane that somebody works on is taken for one that was begun, not finished."""


def read_material(
    sources: Sequence[MaterialSource],
    *,
    complete: bool | None = None,
    most_planes: int = 64,
    progress: Progress = no_progress,
) -> list[TaughtPlane]:
    """Read the planes that have objects.

    One plane at a time is in memory, beside those that are returned. Objects of fewer than four pixels are dropped.
    Planes of more than 2048 pixels a side are cut into at most four parts around objects.

    Parameters
    ----------
    sources : sequence of MaterialSource
        Files, folders, the journal, layers.
    complete : bool, optional
        Whether every object of the kind is labelled on each plane, so that what is unlabelled is background. Whether a
        person is through with a plane cannot be seen from it. By default, labels in files count as complete, those of
        images that are begun but not done in a series aside; a plane out of the journal or of an open layer does from
        five objects on.
    most_planes : int
        Of each stack, so many planes are taken at most, spread evenly over those that have objects.
    progress : Progress
        Called between planes; may raise `Cancelled`.

    Returns
    -------
    list of TaughtPlane
        In the order of the sources. Planes of one stack, and near duplicates of them in other files, share a group:
        see `napari_sam.training.material.duplicates`.

    Raises
    ------
    InputError
        If a file cannot be read, labels do not fit their image or are none, there are fewer than three objects, or
        what was labelled does not fit into memory.
    """
    if most_planes < 1:
        raise InputError(f"At least 1 plane is taken of a stack; got {most_planes}.")
    wanted = list(_expanded(sources))
    found: list[TaughtPlane] = []
    for number, source in enumerate(wanted):
        report = _Part(progress, number / len(wanted), 1 / len(wanted))
        with _opened(source, report.half) as stack:
            _require_room(stack, most_planes, found)
            chosen = [stack.planes[at] for at in spread_evenly(len(stack.planes), most_planes)]
            for done, plane in enumerate(chosen, 1):
                found += _read(plane, stack.digest, complete)
                report(0.5 + done / len(chosen) / 2)
    _require_objects(found, wanted)
    return _named_once(join_groups(found))


class _Part:
    """Reports a part of the work, which never goes back: several steps count from 0."""

    def __init__(self, progress: Progress, start: float, size: float) -> None:
        self._progress = progress
        self._start = start
        self._size = size
        self._furthest = 0.0

    def __call__(self, share: float) -> None:
        self._furthest = max(self._furthest, share)
        self._progress(self._start + self._size * self._furthest)

    def half(self, share: float) -> None:
        """Report a step that is half of the part."""
        self(share / 2)


def _expanded(sources: Sequence[MaterialSource]) -> Iterator[OpenSource]:
    """Put the files of folders in their place."""
    for source in sources:
        match source:
            case LabelledFolder():
                yield from files_in(source)
            case LabelledFile():
                yield with_labels(source)
            case _:
                yield source


def _opened(source: OpenSource, progress: Progress) -> AbstractContextManager[LabelledStack]:
    match source:
        case LabelledFile():
            return open_file(source, progress)
        case JournalObjects():
            return open_journal_objects(source, progress)
        case LayerArrays():
            return open_layers(source, progress)


def _read(plane: LabelledPlane, group: str, complete: bool | None) -> Iterator[TaughtPlane]:
    """Read a plane, or the parts of it that have objects."""
    labels = without_specks(plane.labels())
    if complete is None:
        complete = plane.complete
    if complete is None:
        complete = len(object_boxes(labels)[0]) >= _FEW
    for area in parts_with_objects(labels):
        (top, left), (height, width) = area
        # An object at the edge may have left a few pixels only in a part.
        within = without_specks(labels[top : top + height, left : left + width])
        if within.any():
            picture, within = square_pixels(np.array(plane.picture(*area)), within, plane.view.spacing)
            yield TaughtPlane(part_name(plane.name, area, plane.view.shape), group, picture, within, complete)


def _require_room(stack: LabelledStack, most_planes: int, found: Sequence[TaughtPlane]) -> None:
    """Refuse what does not fit into memory, before it is read."""
    pixels = sum(plane.labels.size for plane in found)
    pixels += sum(
        min(math.prod(plane.view.shape), MOST_PARTS * LARGEST_SIDE**2) for plane in stack.planes[:most_planes]
    )
    # Three bytes of colour, and four of a label.
    if 7 * pixels > (most := largest_read()):
        raise InputError(
            f"Planes up to {stack.name} need {format_bytes(7 * pixels)} of memory, and {format_bytes(most)} may be "
            "taken. Give fewer images, or take fewer planes of each stack."
        )


def _require_objects(planes: Sequence[TaughtPlane], sources: Sequence[OpenSource]) -> None:
    """Refuse too few objects."""
    count = sum(plane.objects for plane in planes)
    if count >= LEAST_OBJECTS:
        return
    names = [source.name if isinstance(source, LayerArrays) else source.image.name for source in sources]
    shown = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
    if not count:
        raise InputError(
            f"No object is labelled in {shown or 'what was given'}. Accept some objects, or give labels with objects "
            "of four pixels or more."
        )
    raise InputError(
        f"There {'is' if count == 1 else 'are'} only {count} labelled object{'' if count == 1 else 's'} in {shown}. "
        f"Label at least {LEAST_OBJECTS}; a few dozen teach a model more."
    )


def _named_once(planes: list[TaughtPlane]) -> list[TaughtPlane]:
    """Tell planes of one name apart: files of two folders, say."""
    seen: Counter[str] = Counter()
    named = []
    for plane in planes:
        seen[plane.name] += 1
        again = seen[plane.name]
        named.append(plane if again == 1 else replace(plane, name=f"{plane.name} ({again})"))
    return named
