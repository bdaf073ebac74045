"""Opens the images of a series one after the other, and keeps their labels in files.

An image is left only when its labels are on the disk. Labels are also saved a little after every change, so that
nothing waits for the person to go on.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from napari.layers import Image, Labels
from psygnal import Signal

from napari_sam.errors import Cancelled, InputError
from napari_sam.session.napari_private import file_source
from napari_sam.session.series import messages as series_messages
from napari_sam.session.series.ahead import NextImage
from napari_sam.session.series.files import OpenedImage, open_image, save_labels
from napari_sam.session.state import SeriesState, Status
from napari_sam.session.viewing.connections import Connections
from napari_sam.session.viewing.placement import placement_of

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam.datasets.image_series import ImageSeries, ImageStatus
    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.worker import Worker
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.objects.pending_accepts import PendingAccepts
    from napari_sam.session.prompts.editor import PromptEditor
    from napari_sam.session.viewing.active_image import ActiveImage
    from napari_sam.session.viewing.connections import Mute

_OPEN, _SAVE = "series", "series labels"
_AUTOSAVE_S = 2.0
"""Seconds that labels must rest before they are saved."""
_EDITS = ("data", "labels_update", "paint", "set_data")


class SeriesController:
    """One series of images in one viewer.

    Parameters
    ----------
    viewer : ViewerModel
        Where the images are shown.
    active, prompts, live, targets, accepts
        What is looked at, drawn, answered and written.
    mute : Mute
        Gives a context in which changes of layers are the session's own.
    worker, backend
        What reads, writes, and encodes the next image.
    """

    changed = Signal()
    """The state is another one."""
    notified = Signal(Status)
    """Something that the person should know."""

    def __init__(
        self,
        viewer: ViewerModel,
        active: ActiveImage,
        prompts: PromptEditor,
        live: LivePrediction,
        targets: TargetLayers,
        accepts: PendingAccepts,
        *,
        mute: Mute,
        worker: Worker,
        backend: InferenceBackend,
    ) -> None:
        self._viewer = viewer
        self._active = active
        self._prompts = prompts
        self._live = live
        self._targets = targets
        self._accepts = accepts
        self._mute = mute
        self._worker = worker
        self._connections = Connections()
        self.series: ImageSeries | None = None
        """What is gone through; None while there is nothing."""
        self.index: int | None = None
        """Place of the image on screen in it; None while there is none."""
        self._wanted: int | None = None
        self._why: tuple[int | None, str] = (None, "")
        self._warned: tuple[Image, int] | None = None
        self._layer: Image | None = None
        self._labels: Labels | None = None
        self._digest, self._edits, self._saved_edits = "", 0, 0
        self._busy: Literal["", "opening", "saving"] = ""
        self.next_image = NextImage(active, live, worker, backend)
        """What is made ready ahead."""
        for signal, slot in ((accepts.settled, self._on_accepts_settled), (live.changed, self.next_image.go_on)):
            self._connections.connect("session", signal, slot)

    @property
    def state(self) -> SeriesState:
        """What the panel shows."""
        series = self.series
        if series is None:
            return SeriesState()
        return SeriesState(
            images=tuple((image.name, image.status) for image in series),
            index=self.index,
            folder=str(series.folder),
            text=series_messages.progress(series, self.index, self._why),
            busy=bool(self._busy) or self._wanted is not None,
            unsaved=self._edits != self._saved_edits,
        )

    @property
    def status(self) -> Status | None:
        """The work under way; None when there is none that the person waits for."""
        if self.series is None or self._wanted is None or not self._busy:
            return None
        if self._busy == "saving" and self.index is not None:
            return Status("working", series_messages.saving(self.series[self.index].name))
        return Status("working", series_messages.opening(self.series[self._wanted].name), cancellable=True)

    # -- going through the series -------------------------------------------------------------------

    def begin(self, series: ImageSeries) -> str:
        """Go through a series, from the first image that is not done; return what the person should know."""
        if self.series is not None and (words := self.close()):
            return words
        self.series, self.index = series, None
        start = series.next_open(-1)
        return self.go_to(0 if start is None else start)

    def go_to(self, index: int, why: str = "") -> str:
        """Save what is there, and open an image, for a reason that is told beside it; return words for trouble."""
        series = self.series
        if series is None:
            return series_messages.NO_SERIES
        if not 0 <= index < len(series) or (index == self.index and self._wanted is None):
            return ""
        if self._holds_unaccepted(index):
            return series_messages.UNACCEPTED
        self._wanted, self._why = index, (index, why)
        self._go_on()
        return ""

    def step(self, step: int, *, skip_done: bool, around: bool = False) -> str:
        """Go to the next or the previous image, from the end to the beginning or not; return words for trouble."""
        series = self.series
        if series is None:
            return series_messages.NO_SERIES
        at = self._wanted if self._wanted is not None else (-1 if self.index is None else self.index)
        to = series.next_open(at, step, around=around) if skip_done else at + step
        if to is None:
            return series_messages.ALL_DONE if not _any_open(series) else _end(step)
        return self.go_to(to) if 0 <= to < len(series) else _end(step)

    def mark(self, status: ImageStatus | None) -> None:
        """Say how far the image on screen is; None: as its labels say.

        Raises
        ------
        InputError
            If that cannot be written down.
        """
        if self.series is not None and self.index is not None:
            there = self._digest or self._edits != self._saved_edits
            self.series.mark(self.index, status or ("started" if there else "untouched"))
            self.changed.emit()

    def cancel(self) -> bool:
        """Stay where we are; tell whether an image was being opened."""
        going, self._wanted = self._wanted is not None, None
        if going:
            self._worker.cancel(_OPEN)
            self._busy = ""
            self.changed.emit()
        return going

    def release(self) -> None:
        """Save at once, and stop listening."""
        self.close()
        self._connections.release()

    # -- leaving an image ----------------------------------------------------------------------------

    def close(self) -> str:
        """Save on this thread, and forget the series; its last image stays. Return what the person should know."""
        self._wanted = None
        self._worker.cancel(_SAVE)
        self._worker.cancel(_OPEN)
        words = ""
        if self._labels is not None and self.index is not None and self.series is not None and self._is_edited:
            try:
                save_labels(self.series[self.index].labels, self._labels.data, _options(self._labels), self._digest)
            except (InputError, OSError, ValueError) as error:
                words = str(error)
        self._connections.release("labels")
        self.series = self.index = self._layer = self._labels = None
        self._busy, self._digest = "", ""
        self._edits = self._saved_edits = 0
        self.next_image.forget()
        self.changed.emit()
        return words

    def _holds_unaccepted(self, index: int) -> bool:
        """Tell, once for each try, whether prompts on the image would be lost."""
        image = self._active.image
        if image is None or image is not self._layer or self._prompts.read_everything().empty:
            return False
        warned, self._warned = self._warned, (image, index)
        return warned != self._warned

    def _go_on(self) -> None:
        """Take the next step on the way to the image that is wanted."""
        if self._wanted is None or self.series is None or self._accepts.waiting:
            self.changed.emit()  # accepts that wait are written first, and tell when they are
            return
        if self._is_edited:
            self._save(delay=0.0)
            return
        ready, image = self.next_image.take(self.series[self._wanted]), self.series[self._wanted]
        if ready is not None:
            self._show(self._wanted, ready)
            return
        self._busy = "opening"
        self._worker.submit(
            _OPEN, partial(open_image, image), partial(self._on_opened, self._wanted), partial(self._on_failed, "open")
        )
        self.changed.emit()

    @property
    def _is_edited(self) -> bool:
        """Whether there may be labels that are not in the file."""
        self._follow_target()
        return self._labels is not None and self._edits != self._saved_edits

    def _save(self, delay: float) -> None:
        """Write the labels of the image on screen, on the worker."""
        if self._labels is None or self.series is None or self.index is None:
            return
        if not delay:
            self._busy = "saving"
        work = partial(
            save_labels, self.series[self.index].labels, self._labels.data, _options(self._labels), self._digest
        )
        done = partial(self._on_saved, self.index, self._edits)
        self._worker.submit(_SAVE, work, done, partial(self._on_failed, "save"), delay=delay)
        self.changed.emit()

    # -- showing an image ----------------------------------------------------------------------------

    def _show(self, index: int, opened: OpenedImage) -> None:
        """Put an image into the viewer in the place of the one before."""
        old = [layer for layer in (self._layer, self._labels) if layer is not None and layer in self._viewer.layers]
        self._connections.release("labels")
        with self._mute():
            self._prompts.delete_drawn(self._prompts.read_everything())
        with file_source(opened.image.path):
            layer = Image(opened.data, **opened.options)
        # The new one first: a viewer that is empty in between forgets its sliders.
        self._viewer.layers.append(layer)
        self._viewer.layers.selection.active = layer
        # As if the person had opened it: the next image that they open is followed, too.
        self._active.choose_image(None)
        if opened.labels is not None:
            labels = Labels(opened.labels, name=f"{layer.name} labels", **placement_of(layer))
            self._viewer.layers.append(labels)
            self._targets.choose_layer(labels, layer)
        for one in old:
            self._viewer.layers.remove(one)
        if self._layer is None or layer.extent.world.tolist() != self._layer.extent.world.tolist():
            self._viewer.reset_view()
        self.index, self._wanted, self._warned, self._busy = index, None, None, ""
        self._layer, self._labels, self._digest = layer, None, opened.digest
        self._edits = self._saved_edits = 0
        self._follow_target()
        self._edits = self._saved_edits
        if self.series is not None:
            following = self.series.next_open(index, around=True)
            self.next_image.prepare(None if following is None else self.series[following])
        self.changed.emit()

    def _follow_target(self) -> None:
        """Listen to the labels of the image on screen, which the first accept may have made."""
        if self._layer is None or self._layer not in self._viewer.layers:
            return
        target = self._targets.chosen_layer(self._layer)
        if target is None or target is self._labels:
            return
        self._connections.release("labels")
        self._labels = target
        for name in _EDITS:
            self._connections.connect("labels", target.events[name], self._on_labels_edited)
        self._edits += 1

    # -- what comes of it ----------------------------------------------------------------------------

    def note_target(self) -> None:
        """Look whether there is another layer of labels, after something was written."""
        before = self._edits
        self._follow_target()
        if self._edits != before:
            self._save(_AUTOSAVE_S)

    def _on_labels_edited(self) -> None:
        self._edits += 1
        # Also sent after scrolling: whether anything is to be written is seen by the digest, on the worker.
        if self._busy != "saving":
            self._save(_AUTOSAVE_S)

    def _on_accepts_settled(self, _notice: Status | None) -> None:
        self.note_target()
        self._go_on()

    def _on_saved(self, index: int, edits: int, result: tuple[str, bool]) -> None:
        self._busy = ""
        series = self.series
        if series is None or index != self.index:
            return
        self._digest, written = result
        self._saved_edits = edits
        if written and series[index].status == "untouched":
            series.mark(index, "started")
        # Painted in meanwhile: saved again, before the image is left.
        if self._edits != edits:
            self._save(0.0 if self._wanted is not None else _AUTOSAVE_S)
        else:
            self._go_on()

    def _on_opened(self, index: int, opened: OpenedImage) -> None:
        self._busy = ""
        if index == self._wanted:
            self._show(index, opened)

    def _on_failed(self, what: str, error: BaseException) -> None:
        self._busy, self._wanted = "", None
        if not isinstance(error, Cancelled):
            self.notified.emit(Status("failed", str(error)))
        self.changed.emit()


def _options(labels: Labels) -> dict[str, Any]:
    """Say what a file of labels should know of their layer."""
    return {
        "scale": tuple(float(step) for step in labels.scale),
        "units": tuple(str(unit) for unit in labels.units),
        "axis_labels": tuple(labels.axis_labels),
        "metadata": dict(labels.metadata),
        "multiscale": bool(labels.multiscale),
    }


def _any_open(series: ImageSeries) -> bool:
    return series.next_open(-1) is not None


def _end(step: int) -> str:
    return series_messages.AT_END if step > 0 else series_messages.AT_BEGINNING
