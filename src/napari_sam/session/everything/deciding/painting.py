"""Notes which objects the person painted on with napari's tools: these were not right as they were proposed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.journal.notes.decisions import PAINTED
from napari_sam.session.labels.pixels import label_mask
from napari_sam.session.napari_private import redo_steps, undo_steps
from napari_sam.session.objects.recording import describe_layer
from napari_sam.session.viewing.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Image, Labels

    from napari_sam.inference.worker import Worker
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.objects.recording import ObjectRecorder
    from napari_sam.session.viewing.active_image import ActiveImage
    from napari_sam.session.viewing.connections import Mute


@dataclass(slots=True, eq=False)
class _Stroke:
    """A step of napari's history that painted on objects.

    Attributes
    ----------
    image, view
        What was on screen.
    changes : list
        What it consists of. Undone and redone it is another list, of the same changes.
    labels : set of int
        Objects that pixels were taken from or given to.
    record : int or None
        Number of the journal's record of it; None until there is one.
    undone : bool
        Whether the journal says that it was undone.
    """

    image: Image
    view: PlaneIndex
    changes: list[Any]
    labels: set[int]
    record: int | None = None
    undone: bool = False

    def is_among(self, steps: Iterable[Iterable[Any]]) -> bool:
        """Whether napari's history has it among these steps."""
        own = {id(change) for change in self.changes}
        return any(id(change) in own for step in steps for change in step)


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
        self._seen: tuple[int, ...] = ()
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
            self._strokes.append(_Stroke(image, view, list(event.value), labels))
            # napari tells of a stroke before it writes the pixels.
            self._worker.submit("painted", lambda _progress: None, lambda _nothing: self._note(layer))

    def _on_layer_drawn(self) -> None:
        # Sent after undo and redo, but also after every slicing.
        if self._strokes and self._layer is not None:
            self._follow_history(self._layer)

    def _note(self, layer: Labels) -> None:
        if layer is not self._layer:
            return
        history = [*undo_steps(layer), *redo_steps(layer)]
        waiting = [stroke for stroke in self._strokes if stroke.record is None]
        # What was undone, and painted over before it could be redone, has left nothing.
        lost = [stroke for stroke in waiting if history and not stroke.is_among(history)]
        self._strokes = [stroke for stroke in self._strokes if stroke not in lost]
        waiting = [stroke for stroke in waiting if stroke not in lost]
        for place, stroke in enumerate(waiting):
            # What is there now is what the last of them left.
            later = set[int]().union(*(other.labels for other in waiting[place + 1 :]))
            last = sorted(stroke.labels - later)
            stroke.record, _trouble = self._recorder.add(
                PAINTED,
                **describe_layer(stroke.image, layer),
                plane={"index": list(stroke.view.index)},
                labels=sorted(stroke.labels),
                gone=[label for label in last if not label_mask(layer, stroke.view, label).any()],
                on_disk=False,
            )
        self._seen = ()
        self._follow_history(layer)

    def _follow_history(self, layer: Labels) -> None:
        """Tell the journal which strokes napari's undo took back, and which its redo made again."""
        done, undone = undo_steps(layer), redo_steps(layer)
        # A step that moves becomes another list.
        now = len(done), len(undone), *(id(steps[-1]) for steps in (done, undone) if steps), len(self._strokes)
        if now == self._seen:
            return
        moved: dict[bool, list[int]] = {True: [], False: []}
        kept = []
        for stroke in self._strokes:
            is_undone = stroke.is_among(undone)
            held = is_undone or stroke.is_among(done)
            if stroke.record is not None and held and is_undone != stroke.undone:
                stroke.undone = is_undone
                moved[is_undone].append(stroke.record)
            # What napari's history has dropped is as it is for good.
            if held or stroke.record is None:
                kept.append(stroke)
        self._strokes = kept
        self._seen = (*now[:-1], len(kept))
        for is_undone, records in moved.items():
            if records:
                self._recorder.add("withdrawn" if is_undone else "restored", of=records, on_disk=False)


def _labels_of(changes: Iterable[Any]) -> set[int]:
    """Name the objects that pixels were taken from or given to, by a step of napari's history."""
    # Whatever kind a change is of, it ends with the values of before and of now.
    values = {int(value) for change in changes for part in change[-2:] for value in np.unique(part)}
    return values - {0}
