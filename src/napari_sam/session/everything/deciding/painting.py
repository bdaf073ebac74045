"""Notes which objects the person painted on with napari's tools: these were not right as they were proposed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.journal.notes.decisions import PAINTED
from napari_sam.session.labels.pixels import label_mask
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


class PaintNotes:
    """Tells the journal which objects of the target were painted on, erased or filled by hand.

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
        self._pending: set[int] = set()
        self._connections = Connections()

    def connect_layer(self) -> None:
        """Listen to the target of the image that is worked on, and to no other."""
        image = self._active.image
        layer = None if image is None else self._targets.chosen_layer(image)
        if layer is self._layer:
            return
        self._connections.release()
        self._layer, self._pending = layer, set()
        if layer is not None:
            self._connections.connect("layer", layer.events.paint, self._on_layer_paint)

    def release(self) -> None:
        """Stop listening."""
        self._connections.release()
        self._layer = None

    def _on_layer_paint(self, event: Any) -> None:
        image, layer, view = self._active.image, self._layer, self._active.view
        if self._mute.active or image is None or layer is None or view is None:
            return
        self._pending |= _labels_of(event.value)
        if self._pending:
            # napari tells of a stroke before it writes the pixels.
            note = partial(self._note, image, layer, view)
            self._worker.submit("painted", lambda _progress: None, lambda _nothing: note())

    def _note(self, image: Image, layer: Labels, view: PlaneIndex) -> None:
        labels, self._pending = sorted(self._pending), set()
        if not labels or layer is not self._layer:
            return
        gone = [label for label in labels if not label_mask(layer, view, label).any()]
        self._recorder.add(
            PAINTED,
            **describe_layer(image, layer),
            plane={"index": list(view.index)},
            labels=labels,
            gone=gone,
            on_disk=False,
        )


def _labels_of(changes: Iterable[Any]) -> set[int]:
    """Name the objects that pixels were taken from or given to, by a step of napari's history."""
    # Whatever kind a change is of, it ends with the values of before and of now.
    values = {int(value) for change in changes for part in change[-2:] for value in np.unique(part)}
    return values - {0}
