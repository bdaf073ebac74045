"""Offers what the journal knows of an image when it is opened, and restores it when the person wants it."""

from __future__ import annotations

import weakref
from datetime import datetime
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_sam.errors import Cancelled, InputError
from napari_sam.session.candidates.requests import describe_failure
from napari_sam.session.labels.pixels import full_resolution
from napari_sam.session.labels.writer import same_shape
from napari_sam.session.recovery import messages
from napari_sam.session.recovery.lookup import LookupOrder, LookupResult, look_up
from napari_sam.session.recovery.restoring import LayerRestorer
from napari_sam.session.state import RecoveryState, Status
from napari_sam.session.viewing.connections import Connections

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sam.inference.worker import Worker
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.labels.writer import LabelWriter
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.recording import ObjectRecorder
    from napari_sam.session.viewing.active_image import ActiveImage
    from napari_sam.session.viewing.connections import Mute

_LOOKUP, _RESTORE = "journal lookup", "journal restore"


class RecoveryController:
    """Looks up each image once, when it is first worked on.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are.
    active, targets, log, recorder
        The image in use; what writes, and keeps steps and records.
    mute : Mute
        Gives a context in which changes of layers are the session's own.
    worker : Worker
        The inference thread.
    """

    changed = Signal()
    """There is another offer, or it came farther."""
    notified = Signal(object)
    """It ended: carries a `Status`."""

    def __init__(
        self,
        viewer: ViewerModel,
        active: ActiveImage,
        targets: TargetLayers,
        log: ObjectLog,
        recorder: ObjectRecorder,
        *,
        mute: Mute,
        worker: Worker,
    ) -> None:
        self._viewer = viewer
        self._active = active
        self._targets = targets
        self._log = log
        self._recorder = recorder
        self._mute = mute
        self._worker = worker
        self._found: weakref.WeakKeyDictionary[Image, LookupResult] = weakref.WeakKeyDictionary()
        self._asked: weakref.WeakSet[Image] = weakref.WeakSet()
        self._dismissed: weakref.WeakSet[Image] = weakref.WeakSet()
        self._restorer: LayerRestorer | None = None
        self._offered: tuple[Image, LookupResult, bool] | None = None
        self._connections = Connections()
        self._connections.connect("active", active.image_changed, self._on_active_image)
        self._connections.connect("active", active.viewer_events.listed, self._on_viewer_listed)

    def release(self) -> None:
        """Look and restore no more."""
        self._connections.release()
        self._restorer = None

    @property
    def state(self) -> RecoveryState:
        """What the panels show."""
        if (restorer := self._restorer) is not None:
            contents = restorer.found.contents
            return RecoveryState(messages.restoring(contents.objects if contents else 0), running=True)
        image = self._active.image
        found = None if image is None else self.offer(image)
        if image is None or found is None or found.target is None or found.contents is None:
            return RecoveryState()
        name = PurePath(str(image.source.path)).name if image.source.path else image.name
        now = datetime.now().astimezone()
        return RecoveryState(messages.offer(found.contents.objects, name, found.target.time, now))

    @property
    def status(self) -> Status | None:
        """Describe what goes on; None when nothing does."""
        if (restorer := self._restorer) is None:
            return None
        objects = restorer.found.contents.objects if restorer.found.contents else 0
        return Status("working", messages.restoring(objects), cancellable=True)

    def offer(self, image: Image) -> LookupResult | None:
        """Return what can be restored for an image; None where there is nothing, or a layer carries it already."""
        found = self._found.get(image)
        if found is None or found.target is None or image in self._dismissed:
            return None
        if self._offered is None or self._offered[:2] != (image, found):
            # Once for each list of layers: asked after every event, and pixels may be on a disk.
            self._offered = image, found, self._is_carried(image, found)
        return None if self._offered[2] else found

    def dismiss(self) -> None:
        """Offer nothing for this image any more, in this session."""
        if self._active.image is not None:
            self._dismissed.add(self._active.image)

    def start(self, image: Image) -> str:
        """Begin to restore what is offered; return why that could not be done, "" when it was."""
        found = self.offer(image)
        if found is None or self._restorer is not None:
            return messages.NOTHING
        self._restorer = LayerRestorer(image, found, self._writer(image, found), self._log, self._recorder)
        self._next(self._restorer)
        return ""

    def cancel(self) -> str:
        """Stop restoring, and keep what is written; return words for that, "" when nothing went on."""
        if self._restorer is None:
            return ""
        self._worker.cancel(_RESTORE)
        self._restorer = None
        return messages.CANCELLED

    def _writer(self, image: Image, found: LookupResult) -> LabelWriter:
        """Return what writes into the target, if it is empty or went part of the way; else into a new layer."""
        writer = self._targets.find_writer(image)
        fits = writer is not None and (writer.known_label == 1 or _lacks_newest(writer.layer, found.samples))
        return writer if writer is not None and fits else self._targets.add_layer(image)

    def _is_carried(self, image: Image, found: LookupResult) -> bool:
        """Tell whether a labels layer of the viewer carries the objects that were written last."""
        layers = [layer for layer in self._viewer.layers if isinstance(layer, Labels)]
        if found.target is not None and any(str(layer.unique_id) == found.target.layer_id for layer in layers):
            return True
        return any(same_shape(layer, image) and _carries(layer, found.samples) for layer in layers)

    # -- what comes of work -----------------------------------------------------------------------

    def _on_active_image(self) -> None:
        image = self._active.image
        if image is None or image in self._asked:
            return
        self._asked.add(image)
        order = LookupOrder(
            data=image.data[0] if image.multiscale else image.data,
            ndim=image.ndim,
            shape=tuple(int(side) for side in image.data.shape),
            source=str(image.source.path or ""),
            session=self._recorder.session,
        )
        # Weak: an image that is closed meanwhile is not kept by this.
        known = weakref.ref(image)
        self._worker.submit(f"{_LOOKUP} {image.unique_id}", partial(look_up, order), partial(self._on_found, known))

    def _on_found(self, known: weakref.ref[Image], found: LookupResult) -> None:
        if (image := known()) is None:
            return
        self._recorder.note_pixels(image, found.pixels)
        self._found[image] = found
        if found.target is not None:
            self.changed.emit()

    def _on_viewer_listed(self) -> None:
        before, self._offered = self._offered, None
        # Layers may carry what is offered, or no longer.
        if before is not None:
            self.changed.emit()

    def _next(self, restorer: LayerRestorer) -> None:
        """Prepare the next plane: each is written by itself, so that the window goes on in between."""
        self._worker.submit(
            _RESTORE, restorer.prepare, partial(self._on_prepared, restorer), partial(self._on_failed, restorer)
        )

    def _on_prepared(
        self, restorer: LayerRestorer, tiles: list[tuple[tuple[int | slice, ...], NDArray[np.uint32]]] | None
    ) -> None:
        if restorer is not self._restorer:
            return
        if tiles is None or restorer.taken_back:
            if tiles is None:
                restorer.write_notes()
            self._finish(restorer)
            return
        try:
            if not self._targets.takes(restorer.writer.layer, restorer.image):
                raise InputError(messages.TARGET_GONE)
            with self._mute():
                restorer.write(tiles)
        # Whatever napari or the disk raise: the status tells of it, and the session goes on.
        except Exception as error:
            self._on_failed(restorer, error)
            return
        self._next(restorer)
        self.changed.emit()

    def _finish(self, restorer: LayerRestorer) -> None:
        self._restorer = None
        self._dismissed.add(restorer.image)
        contents = restorer.found.contents
        text = messages.restored(contents.objects if contents else 0, restorer.writer.layer.name, restorer.damaged)
        self.notified.emit(Status("attention" if restorer.damaged else "idle", text))

    def _on_failed(self, restorer: LayerRestorer, error: BaseException) -> None:
        if restorer is self._restorer:
            self._restorer = None
        if not isinstance(error, Cancelled):
            self.notified.emit(describe_failure(error))


def _carries(layer: Labels, samples: tuple[tuple[tuple[int, ...], int], ...]) -> bool:
    """Tell whether a layer carries nearly all of some objects: the person may have changed one or two by hand.

    The newest is among them: it is what labels lack that were saved a little before the end.
    """
    there = [at == label for at, (_place, label) in zip(_labels_at(layer, samples), samples, strict=True)]
    return bool(there) and there[-1] and sum(there) >= 0.8 * len(there)


def _lacks_newest(layer: Labels, samples: tuple[tuple[tuple[int, ...], int], ...]) -> bool:
    """Tell whether a layer carries some objects up to one, and nothing where the later ones were."""
    there = _labels_at(layer, samples)
    known = next(
        (count for count, (at, (_place, label)) in enumerate(zip(there, samples, strict=True)) if at != label), 0
    )
    return known > 0 and not any(there[known:])


def _labels_at(layer: Labels, samples: tuple[tuple[tuple[int, ...], int], ...]) -> list[int]:
    """Read the labels at the places of some objects."""
    data: Any = full_resolution(layer)
    return [int(np.asarray(data[place])) for place, _label in samples]
