"""Writes other ids into pixels of many planes: as one step of napari's undo, of the session's, and in the journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.masks import BoxedMask
from napari_sam.prompts import PromptSet
from napari_sam.session.labels.compressed import Change, CompressedArray, values_at
from napari_sam.session.labels.edit import EditGroup, LabelEdit
from napari_sam.session.objects.recording import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.labels.writer import LabelWriter
    from napari_sam.session.objects.recording import ObjectRecorder


@dataclass(frozen=True, slots=True, eq=False)
class PlaneRewrite:
    """What changes on one plane.

    Attributes
    ----------
    view : PlaneIndex
        The plane.
    origin : (int, int)
        Upper left pixel of the box on the plane, data pixels, (y, x).
    before, after : numpy.ndarray, shape (h, w), int
        What the box holds, and what it is to hold; only pixels of the objects that are changed may differ.
    """

    view: PlaneIndex
    origin: tuple[int, int]
    before: NDArray[np.integer]
    after: NDArray[np.integer]

    @property
    def changed(self) -> NDArray[np.bool_]:
        """The pixels that change, (h, w) bool."""
        different: NDArray[np.bool_] = self.before != self.after
        return different


@dataclass(frozen=True, slots=True, eq=False)
class Rewritten:
    """What was written.

    Attributes
    ----------
    edit : EditGroup
        The step.
    entries : tuple of int
        Its numbers in the journal.
    planes : int
        Planes that changed.
    trouble : str
        What the person should know about the journal; "" when it is well.
    """

    edit: EditGroup
    entries: tuple[int, ...]
    planes: int
    trouble: str


def rewrite(
    image: Image, writer: LabelWriter, planes: Iterable[PlaneRewrite], labels: Sequence[int], recorder: ObjectRecorder
) -> Rewritten | None:
    """Change pixels of objects on some planes, and record what becomes of these objects there.

    Parameters
    ----------
    image : Image
        The image.
    writer : LabelWriter
        Writes into the layer.
    planes : iterable of PlaneRewrite
        What changes.
    labels : sequence of int
        The ids that pixels lose or gain.
    recorder : ObjectRecorder
        Tells the journal.

    Returns
    -------
    Rewritten or None
        None where no pixel changes.

    Raises
    ------
    InputError
        If the layer's integers do not hold an id, or its data cannot be changed.
    """
    # Before anything changes: half a change is none.
    writer.make_room(max(labels))
    wanted = [(plane, changed) for plane in planes if (changed := plane.changed).any()]
    if not wanted:
        return None
    target, edits = writer.target, []
    with target.one_step() as changes:
        for plane, changed in wanted:
            region = plane.view.slices(plane.origin, _shape(plane))
            values = values_at(plane.after, changed)
            change = Change.of(region, changed, values_at(plane.before, changed), values)
            changes.append(change)
            target.set_pixels(change, changed, values)
            label = int(values.max()) or labels[0]
            drawn = CompressedArray.of(plane.after == label)
            edits.append(LabelEdit(target, label, change, drawn, target.shape, target.reference_data()))
    target.label_restored(max(labels))  # the next new object gets another id
    step = target.newest_step
    entries, trouble = _record(image, writer, [plane for plane, _ in wanted], labels, recorder)
    return Rewritten(EditGroup(tuple(edits), step), entries, len(wanted), trouble)


def _record(
    image: Image, writer: LabelWriter, planes: Sequence[PlaneRewrite], labels: Sequence[int], recorder: ObjectRecorder
) -> tuple[tuple[int, ...], str]:
    """Tell the journal what each object is now on each plane that changed; return the numbers, and trouble."""
    entries, trouble = [], ""
    for plane in planes:
        # First what goes: ids that are written then lie on free pixels.
        for label in sorted(labels, key=lambda label: bool((plane.after == label).any())):
            now = plane.after == label
            if not ((plane.before == label) != now).any():
                continue
            cut = BoxedMask.of(now)
            place = BoxedMask(
                (plane.origin[0] + cut.origin[0], plane.origin[1] + cut.origin[1]), cut.mask, plane.view.shape
            )
            kind = "accepted" if cut.area else "erased"
            fields = describe(image, plane.view, writer.layer, label, place, PromptSet())
            entry, trouble = recorder.add(kind, **fields, on_disk=False)
            entries.append(entry)
    return tuple(entries), trouble


def _shape(plane: PlaneRewrite) -> tuple[int, int]:
    return int(plane.before.shape[0]), int(plane.before.shape[1])
