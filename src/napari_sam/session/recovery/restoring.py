"""Writes what the journal knows into a labels layer, plane by plane, as one step of undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.journal.catalog import id_ranges, read_layer
from napari_sam.journal.composing import compose
from napari_sam.journal.notes.reading import COLUMNS, read_notes
from napari_sam.planes.source import PlaneIndex
from napari_sam.session.labels.pixels import full_resolution
from napari_sam.session.objects.recording import describe_layer
from napari_sam.session.viewing.feature_table import NotesChange, note_objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sam.journal.composing import Composition, PlaneCanvas
    from napari_sam.journal.notes.reading import Notes
    from napari_sam.progress import Progress
    from napari_sam.session.labels.edit import LabelEdit
    from napari_sam.session.labels.writer import LabelWriter
    from napari_sam.session.objects.history import HistoryStep
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.recording import ObjectRecorder
    from napari_sam.session.recovery.lookup import LookupResult


class LayerRestorer:
    """Restores one layer.

    Parameters
    ----------
    image : Image
        The image.
    found : LookupResult
        What is restored.
    writer : LabelWriter
        Writes into the target, which is empty or carries the objects up to one.
    log, recorder
        What keeps the step, for undo, and the records.
    """

    def __init__(
        self, image: Image, found: LookupResult, writer: LabelWriter, log: ObjectLog, recorder: ObjectRecorder
    ) -> None:
        self.image, self.found, self.writer = image, found, writer
        self._log, self._recorder = log, recorder
        self._step: HistoryStep | None = None
        self._composition: Composition | None = None
        self._planes: Iterator[PlaneCanvas] = iter(())
        self._unread = 0
        self._notes: Notes = {}
        self.done = 0
        """Planes that were written."""

    @property
    def damaged(self) -> int:
        """Records that could not be read."""
        return self._unread + (0 if self._composition is None else self._composition.damaged)

    @property
    def taken_back(self) -> bool:
        """Whether the person has undone what was written."""
        step = self._step
        if step is None or step.written is None:
            return False
        newest = step.written.parts[-1]
        return newest.holding(newest.change.after) is None

    def prepare(self, progress: Progress) -> list[tuple[tuple[int | slice, ...], NDArray[np.uint32]]] | None:
        """Lay out the next plane, as tiles and where they lie; None after the last. On the inference thread."""
        target = self.found.target
        if self._composition is None and target is not None:
            entries, self._unread = read_layer(target.path, target.layer_id)
            progress(0.0)
            self._composition = compose(entries)
            there = {entry.label for entry in entries if not entry.erased}
            notes = read_notes(target.path, target.layer_id)
            self._notes = {label: said for label, said in notes.items() if label in there}
            self._planes = self._composition.planes(full_resolution(self.writer.layer).__getitem__)
        progress(0.0)
        plane = next(self._planes, None)
        return None if plane is None else list(plane.regions())

    def write(self, tiles: list[tuple[tuple[int | slice, ...], NDArray[np.uint32]]]) -> None:
        """Write a plane.

        Raises
        ------
        InputError
            If the target does not hold the ids, or cannot be written.
        """
        if self._step is None and self.found.contents is not None:
            # Before the first pixel: whatever happens now, the next offer knows of all of it.
            number, _trouble = self._recorder.add(
                "continued",
                **describe_layer(self.image, self.writer.layer),
                records=id_ranges(sorted(self.found.contents.ids)),
            )
            entries: tuple[int, ...] = (number,)
        else:
            entries = ()
        for region, labels in tiles:
            for edit in self._write_tile(region, labels):
                self._keep(edit, entries)
                entries = ()
        self.done += 1

    def write_notes(self) -> None:
        """Note the classes of the objects and what the person said of them, as they were, after the last plane."""
        layer = self.writer.layer
        note_objects(layer, self._notes)
        for column in COLUMNS:
            values = {label: said[column] for label, said in self._notes.items() if column in said}
            if values:
                # For the next time: the records that are gone on from are those of pixels only.
                self._recorder.add_notes(self.image, NotesChange(layer, column, {}, values), values)

    def _keep(self, edit: LabelEdit, entries: tuple[int, ...]) -> None:
        if self._step is None:
            self._step = self._log.add_written(self.image, edit, entries)
        else:
            self._step = self._log.grow_written(self.image, self._step, edit, entries)

    def _write_tile(self, region: tuple[int | slice, ...], labels: NDArray[np.uint32]) -> Iterator[LabelEdit]:
        axes = [axis for axis, at in enumerate(region) if isinstance(at, slice)]
        data: Any = full_resolution(self.writer.layer)
        index = tuple(None if isinstance(at, slice) else at for at in region)
        view = PlaneIndex((axes[0], axes[1]), index, (int(data.shape[axes[0]]), int(data.shape[axes[1]])))
        top, left = (at.start for at in region if isinstance(at, slice))
        origin = int(top), int(left)
        present = np.asarray(data[region])
        if (gone := (labels == 0) & (present > 0)).any():
            # What was taken off on a plane across this one.
            if (edit := self.writer.write(view, gone, origin, only_empty=False, label=0)) is not None:
                yield edit
        changed = np.where(labels != present, labels, 0)
        done = self.writer.write_objects(view, changed.astype(np.int64), origin, only_empty=False, offset=0)
        if done is not None:
            yield done[0]
