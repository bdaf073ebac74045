"""Notes which objects the person painted on with napari's tools: these were not right as they were proposed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.journal.notes.decisions import PAINTED
from napari_sam.session.labels.pixels import label_mask
from napari_sam.session.napari_private import redo_steps, undo_steps
from napari_sam.session.objects.recording import describe_layer
from napari_sam.session.viewing.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari.layers import Image, Labels

    from napari_sam.inference.worker import Worker
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.objects.recording import ObjectRecorder
    from napari_sam.session.viewing.active_image import ActiveImage
    from napari_sam.session.viewing.connections import Mute


@dataclass(slots=True)
class _Stroke:
    """A step of napari's history that painted on objects.

    Attributes
    ----------
    changes : list
        What it consists of. Undone and redone it is another list, of the same changes.
    labels : set of int
        Objects that pixels were taken from or given to.
    record : int or None
        Number of the journal's record of it; None until there is one.
    undone : bool
        Whether the journal says that it was undone.
    """

    changes: list[Any]
    labels: set[int]
    record: int | None = None
    undone: bool = False


class PaintNotes:
    """Tells the journal which objects of the target were painted on, erased or filled by hand, and what was undone.

    Parameters
    ----------
    active, targets
        What is on screen, and where its objects are.
    recorder : ObjectRecorder
        Tells the journal.
    mute : Mute
        Active while the session itself writes.
    worker : Worker
        Waits until napari has written what was painted.
    """

    def __init__(
        self, active: ActiveImage, targets: TargetLayers, recorder: ObjectRecorder, mute: Mute, worker: Worker
    ) -> None:
        self._active = active
        self._targets = targets
        self._recorder = recorder
        self._mute = mute
        self._worker = worker
        self._layer: Labels | None = None
        self._strokes: list[_Stroke] = []
        self._connections = Connections()

    def connect_layer(self) -> None:
        """Listen to the target of the image that is worked on, and to no other."""
        image = self._active.image
        layer = None if image is None else self._targets.chosen_layer(image)
        if layer is self._layer:
            return
        self.release()
        self._layer = layer
        if layer is not None:
            self._connections.connect("layer", layer.events.paint, self._on_layer_paint)
            self._connections.connect("layer", layer.events.set_data, self._on_layer_drawn)

    def release(self) -> None:
        """Stop listening."""
        self._connections.release()
        self._layer, self._strokes = None, []

    def _on_layer_paint(self, event: Any) -> None:
        image, layer, view = self._active.image, self._layer, self._active.view
        if self._mute.active or image is None or layer is None or view is None:
            return
        labels = _labels_of(event.value)
        if labels:
            self._strokes.append(_Stroke(list(event.value), labels))
            # napari tells of a stroke before it writes the pixels.
            self._later("painted", partial(self._note, image, layer, view))

    def _on_layer_drawn(self) -> None:
        # Sent after undo and redo, but also after every slicing.
        if self._strokes and self._layer is not None:
            self._follow_history(self._layer)

    def _later(self, name: str, note: Callable[[], None]) -> None:
        self._worker.submit(name, lambda _progress: None, lambda _nothing: note())

    def _note(self, image: Image, layer: Labels, view: PlaneIndex) -> None:
        if layer is not self._layer:
            return
        waiting = [stroke for stroke in self._strokes if stroke.record is None]
        for place, stroke in enumerate(waiting):
            # What is there now is what the last of them left.
            later = set[int]().union(*(other.labels for other in waiting[place + 1 :]))
            stroke.record, _trouble = self._recorder.add(
                PAINTED,
                **describe_layer(image, layer),
                plane={"index": list(view.index)},
                labels=sorted(stroke.labels),
                gone=[label for label in sorted(stroke.labels - later) if not label_mask(layer, view, label).any()],
                on_disk=False,
            )
        self._follow_history(layer)

    def _follow_history(self, layer: Labels) -> None:
        """Tell the journal which strokes napari's undo took back, and which its redo made again."""
        done, undone = _changes(undo_steps(layer)), _changes(redo_steps(layer))
        moved: dict[bool, list[int]] = {True: [], False: []}
        for stroke in self._strokes:
            here = any(id(change) in done for change in stroke.changes)
            gone = any(id(change) in undone for change in stroke.changes)
            if stroke.record is not None and here != gone and gone != stroke.undone:
                stroke.undone = gone
                moved[gone].append(stroke.record)
        for is_undone, records in moved.items():
            if records:
                self._recorder.add("withdrawn" if is_undone else "restored", of=records, on_disk=False)
        # What napari's history has dropped is as it is for good.
        held = done | undone
        self._strokes = [
            stroke
            for stroke in self._strokes
            if stroke.record is None or any(id(change) in held for change in stroke.changes)
        ]


def _changes(steps: Iterable[Iterable[Any]]) -> set[int]:
    """Give the ids of the changes that steps of napari's history consist of: a step that moves is another list."""
    return {id(change) for step in steps for change in step}


def _labels_of(changes: Iterable[Any]) -> set[int]:
    """Name the objects that pixels were taken from or given to, by a step of napari's history."""
    # Whatever kind a change is of, it ends with the values of before and of now.
    values = {int(value) for change in changes for part in change[-2:] for value in np.unique(part)}
    return values - {0}
