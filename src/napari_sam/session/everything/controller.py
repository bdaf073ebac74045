"""Every object of a plane: found on the inference thread, chosen by sliders and clicks, and written as one step."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from psygnal import Signal

from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.runner import SearchRunner
from napari_sam.session.everything.search import MOST_PIXELS, SearchRequest, part_between
from napari_sam.session.everything.selection import ProposalSelection
from napari_sam.session.everything.snapshot import describe
from napari_sam.session.everything.writing import write_objects
from napari_sam.session.labels.pixels import full_resolution
from napari_sam.session.state import Status
from napari_sam.session.viewing.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

    from napari_sam.automatic.proposals import ProposalFilter
    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.worker import Worker
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.everything.proposals_layer import ProposalsLayer
    from napari_sam.session.everything.search import Part, SearchMode, SearchResult
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.recording import ObjectRecorder
    from napari_sam.session.prompts.tools import PromptTools
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.state import EverythingState
    from napari_sam.session.viewing.active_image import ActiveImage
    from napari_sam.session.viewing.connections import Mute

SearchPlace = Literal["plane", "screen", "box"]


class EverythingController:
    """Finds the objects of one plane at a time, and keeps them until they are written or another search is made.

    Parameters
    ----------
    active, live
        What is on screen, and which box is drawn there.
    shown : ProposalsLayer
        Shows what was found.
    targets, log, recorder
        What writes and records, for undo and in the journal.
    tools : PromptTools
        What the person clicked with before.
    settings : SessionSettings
        What the person chose.
    above : callable
        Gives the layers that lie above what was found.
    mute : Mute
        Gives a context in which changes of layers are the session's own.
    worker, backend
        What computes.
    """

    changed = Signal()
    """Something that panels may show changed."""
    notified = Signal(Status)
    """A search ended by itself; this is what there is to say about it."""

    def __init__(
        self,
        active: ActiveImage,
        live: LivePrediction,
        shown: ProposalsLayer,
        targets: TargetLayers,
        log: ObjectLog,
        recorder: ObjectRecorder,
        tools: PromptTools,
        settings: SessionSettings,
        above: Callable[[], list[Layer | None]],
        *,
        mute: Mute,
        worker: Worker,
        backend: InferenceBackend,
    ) -> None:
        self._active = active
        self._live = live
        self._shown = shown
        self._targets = targets
        self._log = log
        self._recorder = recorder
        self._tools = tools
        self._settings = settings
        self._above = above
        self._mute = mute
        self._worker = worker
        self._connections = Connections()
        self._image: weakref.ref[Image] | None = None
        self._runner = SearchRunner(worker, backend.engine, self._on_runner_ended, self._on_runner_changed)
        self._selection: ProposalSelection | None = None
        connect = self._connections.connect
        connect("active", active.view_changed, self._on_active_view)
        connect("active", active.image_changed, self._on_active_view)
        connect("active", active.place_changed, self._on_active_place)
        connect("active", active.viewer_events.removed, self._on_viewer_removed)
        connect("shown", shown.clicked, self._on_shown_clicked)
        connect("shown", shown.pointed, self._on_shown_pointed)

    def release(self) -> None:
        """Stop working and listening, and take the layer away."""
        self.stop()
        self._connections.release()
        self._shown.remove_layer()

    # -- what there is ----------------------------------------------------------------------------

    @property
    def status(self) -> Status | None:
        """Describe the search under way; None when there is none."""
        if (request := self._runner.request) is None:
            return None
        plane = request.source.view.words(self._active.axis_names)
        return Status("working", everything_messages.finding(plane), self._runner.share or None, cancellable=True)

    @property
    def state(self) -> EverythingState:
        """Everything that the section shows."""
        can_find = self._runner.request is None and self._active.view is not None
        state = describe(self._selection, self._active.axis_names, here=self._is_here, picking=self.is_picking)
        return replace(state, running=self._runner.request is not None, can_find=can_find)

    @property
    def layer(self) -> Labels | None:
        """The layer that shows what was found; None where nothing is shown."""
        return self._shown.layer

    @property
    def is_picking(self) -> bool:
        """Whether a click on the image keeps or drops an object."""
        return self._is_here and self._shown.is_selected

    @property
    def _is_here(self) -> bool:
        """Whether the plane on screen is the one whose objects are kept."""
        image = None if self._image is None else self._image()
        if self._selection is None or image is None or image is not self._active.image:
            return False
        return self._selection.result.request.source.view == self._active.view

    # -- commands ---------------------------------------------------------------------------------

    def find(self, image: Image, where: SearchPlace, mode: SearchMode) -> str:
        """Begin to find objects; return what the person should know."""
        source = self._active.plane_source()
        if self._runner.request is not None:
            return everything_messages.RUNNING
        if source is None:
            return self._active.problem
        part = self._part(source.view.shape, where)
        if isinstance(part, str):
            return part
        (top, left), (bottom, right) = part
        if (bottom - top) * (right - left) > MOST_PIXELS:
            return everything_messages.too_large(bottom - top, right - left)
        self.discard()
        self._image = weakref.ref(image)
        request = SearchRequest(
            self._settings.model, self._settings.device, source, (top, left), (bottom - top, right - left), mode
        )
        self._runner.start(request)
        return ""

    def stop(self) -> str:
        """Stop the search under way; return words for that, "" when there was none."""
        if self._runner.request is None:
            return ""
        self._runner.stop()
        return everything_messages.CANCELLED

    def choose(self, chosen: ProposalFilter) -> None:
        """Show the objects that another filter leaves."""
        if self._selection is not None:
            self._selection.chosen = chosen
            self.refresh()

    def toggle(self, place: int) -> None:
        """Drop an object that is shown, or keep one that is not, whatever the filter says."""
        if self._selection is not None:
            self._selection.toggle(place)
            self.refresh()

    def refresh(self) -> None:
        """Choose anew among what was found, as the labels are now, and show that."""
        selection, image = self._selection, self._active.image
        if selection is None or image is None or not self._is_here:
            return
        request = selection.result.request
        selection.update(self._taken(image, request))
        self._shown.show_objects(image, request.source.view, request.start, selection.objects, self._above())
        if selection.pointed is not None:
            self._shown.show_pointed(selection.pointed_mask)

    def select(self) -> None:
        """Let clicks keep and drop objects from now on."""
        if self._is_here:
            self._shown.select()

    def accept(self, image: Image) -> str:
        """Write what is shown, as one step; return why that could not be done, "" when it was."""
        # Labels may have been painted since the last look.
        self.refresh()
        selection = self._selection
        if selection is None or not self._is_here or not selection.shown:
            return everything_messages.NOTHING_TO_WRITE
        writer, only_empty = self._targets.need_writer(image), self._settings.only_empty
        done = write_objects(
            image, selection.result, selection.objects, writer, self._log, self._recorder, only_empty=only_empty
        )
        if done is None:
            return everything_messages.NOTHING_FREE
        self._worker.submit("journal", lambda _progress: self._recorder.sync())
        self.discard()
        self.notified.emit(Status("idle", done))
        return ""

    def discard(self) -> None:
        """Forget what was found."""
        selected, self._selection = self._shown.is_selected, None
        self._shown.remove_layer()
        # Who chose among objects goes on with the tool of before.
        if selected and self._active.image is not None:
            self._tools.select_tool(self._tools.last_tool, self._active.image)

    def _part(self, plane: tuple[int, int], where: SearchPlace) -> Part | str:
        """Say where to look: the first row and column and the ends, or words for why nowhere."""
        if where == "plane":
            return (0, 0), plane
        if where == "box":
            missing, box = everything_messages.NO_BOX, self._live.reading.prompts.box
            corners = None if box is None else (np.array(box.start), np.array(box.stop))
        else:
            missing, view = everything_messages.NOT_VISIBLE, self._active.view
            corners = None if view is None else self._active.visible_corners(view)
        return (None if corners is None else part_between(*corners, plane)) or missing

    def _taken(self, image: Image, request: SearchRequest) -> NDArray[np.bool_] | None:
        """Tell which pixels of the part carry labels that are to be left alone; None: none."""
        writer = self._targets.find_writer(image)
        if writer is None or not self._settings.only_empty:
            return None
        region = request.source.view.slices(request.start, request.shape)
        taken: NDArray[np.bool_] = np.asarray(full_resolution(writer.layer)[region]) != 0
        return taken

    # -- the search -------------------------------------------------------------------------------

    def _on_runner_ended(self, result: SearchResult | BaseException) -> None:
        if isinstance(result, BaseException):
            self._live.fail(result)
            self.changed.emit()
        elif not len(result.table):
            self.notified.emit(Status("attention", everything_messages.NOTHING_HERE))
        else:
            self._selection = ProposalSelection(result)
            with self._mute():
                self.refresh()
                self.select()
            self.notified.emit(Status("idle", everything_messages.found(len(result.table))))

    def _on_runner_changed(self) -> None:
        self.changed.emit()

    # -- what happens meanwhile -------------------------------------------------------------------

    def _on_active_view(self) -> None:
        """Show the objects on their plane only."""
        with self._mute():
            if self._is_here:
                self.refresh()
            else:
                self._shown.remove_layer()
        # Nothing is told here: another image's prompt layers are still to come. Who listens to the viewer tells then.

    def _on_active_place(self) -> None:
        if self._active.image is not None and self._is_here:
            with self._mute():
                self._shown.follow_image(self._active.image)

    def _on_viewer_removed(self, layers: tuple[Layer, ...]) -> None:
        image = None if self._image is None else self._image()
        if self._shown.layer is not None and self._shown.layer in layers:
            self._shown.forget_layer()
        elif image not in layers:
            return
        else:
            self.stop()
            self._shown.remove_layer()
        self._selection = None

    def _on_shown_clicked(self, y: int, x: int) -> None:
        selection = self._selection
        if selection is not None and (place := selection.place_at(y, x)) is not None:
            with self._mute():
                self.toggle(place)
            self.changed.emit()

    def _on_shown_pointed(self, at: tuple[int, int] | None) -> None:
        if (selection := self._selection) is None:
            return
        place = None if at is None else selection.place_at(*at)
        if place != selection.pointed:
            selection.pointed = place
            with self._mute():
                self._shown.show_pointed(selection.pointed_mask)
            self.changed.emit()
