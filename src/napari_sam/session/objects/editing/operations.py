"""What is done to objects that exist: each as one step of undo, and slow work beside the window."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from psygnal import Signal

from napari_sam.errors import InputError
from napari_sam.prompts import PromptSet
from napari_sam.session.candidates.requests import describe_failure
from napari_sam.session.labels.pixels import full_resolution
from napari_sam.session.objects.editing import messages as editing_messages
from napari_sam.session.objects.editing.changes import deleted, divided, merged
from napari_sam.session.objects.editing.finding import BackgroundStep
from napari_sam.session.objects.editing.rewriting import rewrite
from napari_sam.session.objects.editing.search import LabelSearch, find_boxes, read_object
from napari_sam.session.objects.editing.splitting import SplitOrder, split_object
from napari_sam.session.state import Status
from napari_sam.session.viewing.feature_table import CLASS, begin_objects, read_column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.request import Candidate
    from napari_sam.inference.worker import Worker
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.progress import Progress
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.labels.writer import LabelWriter
    from napari_sam.session.objects.current import CurrentObject
    from napari_sam.session.objects.editing.marks import MarksLayer
    from napari_sam.session.objects.editing.picker import ObjectPicker
    from napari_sam.session.objects.editing.rewriting import PlaneRewrite, Rewritten
    from napari_sam.session.objects.editing.search import Corners
    from napari_sam.session.objects.editing.splitting import AskModel, ObjectParts
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.recording import ObjectRecorder
    from napari_sam.session.prompts.tools import PromptTools
    from napari_sam.session.viewing.active_image import ActiveImage

T = TypeVar("T")


class ObjectOperations:
    """Picks, deletes, splits and merges the objects of one image at a time.

    Parameters
    ----------
    active, tools, live
        What is on screen, what clicks do, and what is asked.
    picker : ObjectPicker
        Makes an object the one that clicks correct.
    marks : MarksLayer
        Takes the clicks on objects, until one is picked.
    targets, current, log, recorder
        What writes, and what remembers.
    worker, backend
        Searches large labels, and divides objects.
    """

    ready = Signal(object)
    """Slow work is done: carries what is to be done now, as a command; it returns what there is to say."""
    changed = Signal()
    """Slow work came farther."""
    notified = Signal(Status)
    """Slow work failed; this is what there is to say about it."""

    def __init__(
        self,
        active: ActiveImage,
        tools: PromptTools,
        live: LivePrediction,
        picker: ObjectPicker,
        marks: MarksLayer,
        targets: TargetLayers,
        current: CurrentObject,
        log: ObjectLog,
        recorder: ObjectRecorder,
        *,
        worker: Worker,
        backend: InferenceBackend,
    ) -> None:
        self._active = active
        self._tools = tools
        self._live = live
        self._picker = picker
        self._marks = marks
        self._targets = targets
        self._current = current
        self._log = log
        self._recorder = recorder
        self._worker = worker
        self._backend = backend
        self.step = BackgroundStep(worker, self.changed.emit)
        """The slow work."""

    def pick(self, image: Image, layer: Labels, label: int) -> str:
        """Correct an object from now on; return what the person should know.

        Raises
        ------
        InputError
            If the layer does not fit the image, or cannot be written.
        """
        view = self._need_view()
        retargeted = self._picker.retarget(image, layer, label)
        here = LabelSearch(full_resolution(layer), view, (label,), whole=False)

        def take(boxes: dict[PlaneIndex, Corners]) -> str:
            if not boxes:
                return self._look_elsewhere(image, layer, label)
            mask = read_object(here.data, view, boxes, label)
            remembered = self._picker.pick(image, layer, label, mask, view)
            # The next click corrects it.
            self._tools.select_tool("positive", image)
            self._marks.remove_layer()
            return editing_messages.picked(label, layer.name, retargeted=retargeted, remembered=remembered)

        return self._search(image, layer, here, take)

    def delete(self, image: Image, layer: Labels, label: int, *, whole: bool) -> str:
        """Empty the pixels of an object, on all planes or on the one on screen; return what the person should know.

        Raises
        ------
        InputError
            As `pick`.
        """
        view = self._need_view()
        self._picker.retarget(image, layer, label)
        search = LabelSearch(full_resolution(layer), view, (label,), whole)

        def empty(boxes: dict[PlaneIndex, Corners]) -> str:
            done = self._rewrite(image, layer, deleted(search.data, boxes, label), (label,))
            if done is None:
                return editing_messages.not_on_plane(label, layer.name)
            text = editing_messages.deleted(label, done.planes, stack=image.ndim > 2)
            return " ".join(filter(None, (text, done.trouble)))

        return self._search(image, layer, search, empty)

    def merge(self, image: Image, layer: Labels, labels: tuple[int, ...]) -> str:
        """Give several objects the id of the first, on all planes; return what the person should know.

        Raises
        ------
        InputError
            As `pick`.
        """
        view = self._need_view()
        self._picker.retarget(image, layer, max(labels))
        search = LabelSearch(full_resolution(layer), view, labels, whole=True)

        def join(boxes: dict[PlaneIndex, Corners]) -> str:
            done = self._rewrite(image, layer, merged(search.data, boxes, labels), labels)
            if done is None:
                return editing_messages.UNCHANGED
            return " ".join(filter(None, (editing_messages.merged(labels), done.trouble)))

        return self._search(image, layer, search, join)

    def split(self, image: Image, layer: Labels, label: int, points: NDArray[np.int64], *, whole: bool) -> str:
        """Divide an object, a part around each of some of its pixels; return what there is to say now.

        The work is the inference thread's, where the model is.

        Raises
        ------
        InputError
            As `pick`.
        """
        view = self._need_view()
        writer = self._writer_for(image, layer, label)
        search = LabelSearch(full_resolution(layer), view, (label,), whole)
        order = SplitOrder(search, points, tuple(abs(float(step)) for step in layer.scale), self._ask_model())

        def divide(parts: ObjectParts) -> str:
            first = writer.next_label
            labels = (label, *range(first, first + parts.count - 1))
            done = self._rewrite(image, layer, divided(search.data, parts, label, first), labels)
            if done is None:
                return editing_messages.UNCHANGED
            # Its parts are of one kind.
            begin_objects(layer, labels[1:], *read_column(layer, CLASS, [label]))
            return " ".join(filter(None, (editing_messages.split(labels, by_model=parts.by_model), done.trouble)))

        self._later(image, layer, search, partial(split_object, order), divide, editing_messages.splitting(label))
        return ""

    # -- how --------------------------------------------------------------------------------------

    def _need_view(self) -> PlaneIndex:
        if self._active.view is None:
            raise InputError(self._active.problem)
        return self._active.view

    def _look_elsewhere(self, image: Image, layer: Labels, label: int) -> str:
        """Go to the first plane that carries an object, and pick it there."""
        search = LabelSearch(full_resolution(layer), self._need_view(), (label,), whole=True)

        def go(boxes: dict[PlaneIndex, Corners]) -> str:
            if not boxes:
                return editing_messages.not_on_plane(label, layer.name)
            there = next(iter(boxes))
            self._active.go_to(there.index)
            return self.pick(image, layer, label) if self._active.view == there else editing_messages.NOTHING_HERE

        return self._search(image, layer, search, go)

    def _search(
        self,
        image: Image,
        layer: Labels,
        search: LabelSearch,
        then: Callable[[dict[PlaneIndex, Corners]], str],
    ) -> str:
        """Find where objects are, now or on the worker, and do something with it; return what there is to say now."""
        words = editing_messages.searching(search.labels)
        if search.quick:
            return then(find_boxes(search))
        self._later(image, layer, search, partial(find_boxes, search), then, words)
        return ""

    def _later(
        self,
        image: Image,
        layer: Labels,
        search: LabelSearch,
        work: Callable[[Progress], T],
        then: Callable[[T], str],
        words: str,
    ) -> None:
        """Do some work on the worker, and something with what came of it, as a command of its own."""

        def finish(found: T) -> str:
            # Meanwhile the person may have replaced the labels.
            if not self._targets.takes(layer, image) or full_resolution(layer) is not search.data:
                return editing_messages.NOT_FITTING
            return then(found)

        self.step.run(work, lambda found: self.ready.emit(partial(finish, found)), self._on_step_failed, words)

    def _ask_model(self) -> AskModel | None:
        """Return what answers prompts on the plane on screen; None where it cannot be read."""
        source, backend = self._active.plane_source(), self._backend
        if source is None:
            return None
        request = self._live.make_request(source, PromptSet())

        def ask(prompts: PromptSet, progress: Progress) -> Candidate:
            return backend.do(replace(request, prompts=prompts), progress).candidates[0]

        return ask

    def _writer_for(self, image: Image, layer: Labels, label: int) -> LabelWriter:
        self._picker.retarget(image, layer, label)
        return self._targets.need_writer(image)

    def _rewrite(
        self, image: Image, layer: Labels, planes: Iterable[PlaneRewrite], labels: Sequence[int]
    ) -> Rewritten | None:
        """Write what changes as one step; the object that is corrected is left, where it is one of those."""
        writer = self._targets.need_writer(image)
        done = rewrite(image, writer, planes, labels, self._recorder)
        if done is None:
            return None
        held = self._current.of(image)
        concerns = held is not None and held.layer is layer and held.label in labels
        self._log.add_edit(image, done.edit, done.entries, forget=concerns)
        # The disk may take longer than a person notices.
        self._worker.submit("journal", lambda _progress: self._recorder.sync())
        return done

    def _on_step_failed(self, error: BaseException) -> None:
        self.notified.emit(describe_failure(error))
