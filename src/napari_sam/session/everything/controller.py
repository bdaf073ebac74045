"""Every object of a plane: found and ranked on the inference thread, and written as one step."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.parts import choose_part, labels_there
from napari_sam.session.everything.ranking.queries import ExamplesQuery
from napari_sam.session.everything.ranking.ranker import ObjectRanker
from napari_sam.session.everything.runner import StepRunner
from napari_sam.session.everything.search import SearchRequest, load_and_search
from napari_sam.session.everything.snapshot import describe
from napari_sam.session.everything.writing import write_objects
from napari_sam.session.state import Status
from napari_sam.session.viewing.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image, Labels

    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.worker import Worker
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.everything.chooser import ObjectChooser
    from napari_sam.session.everything.parts import SearchPlace
    from napari_sam.session.everything.proposals_layer import ProposalsLayer
    from napari_sam.session.everything.ranking.match import Match
    from napari_sam.session.everything.ranking.queries import ObjectQuery
    from napari_sam.session.everything.search import SearchMode, SearchResult
    from napari_sam.session.everything.selection import ProposalSelection
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.recording import ObjectRecorder
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.state import EverythingState
    from napari_sam.session.viewing.active_image import ActiveImage


class EverythingController:
    """Finds the objects of one plane at a time, ranks them, and writes those that were chosen.

    Parameters
    ----------
    active, live
        What is on screen, and which box is drawn there.
    shown : ProposalsLayer
        Shows what was found.
    chooser : ObjectChooser
        Keeps what was found, until it is written or another search is made.
    targets, log, recorder
        What writes and records, for undo and in the journal.
    settings : SessionSettings
        What the person chose.
    worker, backend
        What computes.
    """

    changed = Signal()
    """Something that panels may show changed."""
    notified = Signal(Status)
    """Work ended by itself; this is what there is to say about it."""

    def __init__(
        self,
        active: ActiveImage,
        live: LivePrediction,
        shown: ProposalsLayer,
        chooser: ObjectChooser,
        targets: TargetLayers,
        log: ObjectLog,
        recorder: ObjectRecorder,
        settings: SessionSettings,
        *,
        worker: Worker,
        backend: InferenceBackend,
    ) -> None:
        self._active = active
        self._live = live
        self._shown = shown
        self.chooser = chooser
        """Who lets the person choose among what was found."""
        self._targets = targets
        self._log = log
        self._recorder = recorder
        self._settings = settings
        self._worker = worker
        self._engine = backend.engine
        self._search: StepRunner[SearchResult] = StepRunner(
            worker, "everything", self._on_search_ended, self.changed.emit
        )
        self._ranker = ObjectRanker(worker, backend.engine, self._on_ranker_ended, self.changed.emit)
        self._request: SearchRequest | None = None
        self._then: Callable[[], str] | None = None
        self._connections = Connections()
        self._connections.connect("chooser", chooser.changed, self.changed.emit)
        self._connections.connect("chooser", chooser.lost, self._on_chooser_lost)

    def release(self) -> None:
        """Stop working and listening, and take the layer away."""
        self.stop()
        self._connections.release()
        self.chooser.release()

    # -- what there is ----------------------------------------------------------------------------

    @property
    def status(self) -> Status | None:
        """Describe the search or the ranking under way; None when there is none."""
        if not self._search.running or self._request is None:
            return self._ranker.status
        plane = self._request.source.view.words(self._active.axis_names)
        return Status("working", everything_messages.finding(plane), self._search.share or None, cancellable=True)

    @property
    def state(self) -> EverythingState:
        """Everything that the section shows."""
        chooser = self.chooser
        state = describe(chooser.selection, self._active.axis_names, here=chooser.is_here, picking=chooser.is_picking)
        can_find = not self._is_running and self._active.view is not None
        return replace(state, running=self._is_running, can_find=can_find)

    @property
    def layer(self) -> Labels | None:
        """The layer that shows what was found; None where nothing is shown."""
        return self._shown.layer

    @property
    def is_picking(self) -> bool:
        """Whether a click on the image keeps or drops an object."""
        return self.chooser.is_picking

    @property
    def _is_running(self) -> bool:
        return self._search.running or self._ranker.running

    # -- commands ---------------------------------------------------------------------------------

    def find(self, image: Image, where: SearchPlace, mode: SearchMode) -> str:
        """Begin to find objects; return what the person should know."""
        source = self._active.plane_source()
        if self._is_running:
            return everything_messages.RUNNING
        if source is None:
            return self._active.problem
        part = choose_part(self._active, self._live, source.view.shape, where)
        if isinstance(part, str):
            return part
        (top, left), (bottom, right) = part
        self.chooser.begin(image)
        self._request = SearchRequest(
            self._settings.model, self._settings.device, source, (top, left), (bottom - top, right - left), mode
        )
        self._search.start(partial(load_and_search, self._engine, self._request))
        return ""

    def rank(self, image: Image, query: ObjectQuery | None, where: SearchPlace, mode: SearchMode) -> str:
        """Begin to rank what was found, or to find objects first; return what the person should know.

        Parameters
        ----------
        image : Image
            The image.
        query : ObjectQuery or None
            What to rank by; None: the examples that were picked.
        where, mode
            Where and how to find objects, if none were found on this plane.
        """
        if self._is_running:
            return everything_messages.RUNNING
        if self.chooser.is_here:
            return self._begin_ranking(query)
        if not (trouble := self.find(image, where, mode)):
            self._then = partial(self._begin_ranking, query)
        return trouble

    def stop(self) -> str:
        """Stop the search or the ranking under way; return words for that, "" when there was none."""
        if not self._is_running:
            return ""
        stopped = everything_messages.CANCELLED if self._search.running else everything_messages.RANKING_CANCELLED
        self._search.stop()
        self._ranker.stop()
        self._then = None
        return stopped

    def refresh(self) -> None:
        """Choose anew among what was found, as the labels are now."""
        self.chooser.refresh()

    def accept(self, image: Image) -> str:
        """Write what is shown, as one step; return why that could not be done, "" when it was."""
        # Labels may have been painted since the last look.
        self.refresh()
        selection = self.chooser.selection
        if selection is None or not self.chooser.is_here or not selection.shown:
            return everything_messages.NOTHING_TO_WRITE
        done = write_objects(
            image,
            selection.result,
            selection.objects,
            self._targets.need_writer(image),
            self._log,
            self._recorder,
            only_empty=self._settings.only_empty,
            match=selection.match,
        )
        if done is None:
            return everything_messages.NOTHING_FREE
        self._worker.submit("journal", lambda _progress: self._recorder.sync())
        self.discard()
        self.notified.emit(Status("idle", done))
        return ""

    def discard(self) -> None:
        """Forget what was found."""
        self._ranker.stop()
        self.chooser.discard()

    # -- what comes of work -----------------------------------------------------------------------

    def _on_search_ended(self, result: SearchResult | BaseException) -> None:
        then, self._then = self._then, None
        if isinstance(result, BaseException):
            self._live.fail(result)
            self.changed.emit()
        elif not len(result.table):
            self.notified.emit(Status("attention", everything_messages.NOTHING_HERE))
        else:
            self.chooser.take(result)
            found = everything_messages.found(len(result.table))
            if then is None:
                self.notified.emit(Status("idle", found))
            elif trouble := then():
                self.notified.emit(Status("attention", f"{found} {trouble}"))
            else:
                self.changed.emit()  # a notice would hide what goes on

    def _begin_ranking(self, query: ObjectQuery | None) -> str:
        """Begin to rank what was found; return what the person should know."""
        image, selection = self.chooser.image, self.chooser.selection
        if image is None or selection is None:
            return everything_messages.NOTHING_HERE
        query = self._examples(image, selection) if query is None else query
        if query is None:
            return everything_messages.PICK_FIRST
        self._ranker.start(query, selection.result, selection.match)
        return ""

    def _examples(self, image: Image, selection: ProposalSelection) -> ExamplesQuery | None:
        """Gather what the person picked, or else wrote on this plane; None where there is neither."""
        kept, dropped = selection.marked(kept=True), selection.marked(kept=False)
        if kept:
            return ExamplesQuery(kept, dropped)
        labels = labels_there(self._targets, image, selection.result.request)
        # A copy: the person may go on painting in them meanwhile.
        return None if labels is None or not labels.any() else ExamplesQuery((), dropped, labels.copy())

    def _on_ranker_ended(self, match: Match | BaseException) -> None:
        if isinstance(match, BaseException):
            self._live.fail(match)
            self.changed.emit()
            return
        self.chooser.rank(match)
        count, best = int((match.scores >= match.threshold).sum()), float(match.scores.max())
        text = everything_messages.matching(count, len(match.scores), match.by, best)
        self.notified.emit(Status("idle" if count else "attention", text))

    def _on_chooser_lost(self) -> None:
        self.stop()
