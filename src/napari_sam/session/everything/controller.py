"""Every object of a plane or a stack: found and ranked on the inference thread, and written as one step."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari.layers import Labels
from psygnal import Signal

from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.parts import plane_request, prompted_request
from napari_sam.session.everything.ranking.ranker import ObjectRanker
from napari_sam.session.everything.snapshot import describe
from napari_sam.session.everything.stack.axes import stack_request
from napari_sam.session.everything.stack.finding import ObjectFinder
from napari_sam.session.state import Status
from napari_sam.session.viewing.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image, Layer

    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.worker import Worker
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.everything.chooser import ObjectChooser
    from napari_sam.session.everything.deciding.judge import ProposalJudge
    from napari_sam.session.everything.parts import SearchScope
    from napari_sam.session.everything.prompted.reading import PromptSources
    from napari_sam.session.everything.ranking.match import Match
    from napari_sam.session.everything.ranking.queries import ObjectQuery
    from napari_sam.session.everything.search import Findings, SearchRequest, StackRequest
    from napari_sam.session.everything.shaping.shaper import ObjectShaper
    from napari_sam.session.everything.stack.accepting import StackAccept
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.state import EverythingState
    from napari_sam.session.viewing.active_image import ActiveImage


class EverythingController:
    """Finds the objects of one plane or one stack at a time, ranks them, and writes those that were chosen.

    Parameters
    ----------
    active, live
        What is on screen, and which box is drawn there.
    chooser : ObjectChooser
        Keeps what was found, until it is written or another search is made.
    targets : TargetLayers
        What objects go to.
    stack : StackAccept
        Who links and writes the objects of a stack.
    settings : SessionSettings
        What the person chose.
    sources : PromptSources
        Reads what many objects are prompted by.
    shaper : ObjectShaper
        Cleans up what was found.
    judge : ProposalJudge
        Marks which of it is confident, and writes it.
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
        chooser: ObjectChooser,
        targets: TargetLayers,
        stack: StackAccept,
        settings: SessionSettings,
        sources: PromptSources,
        shaper: ObjectShaper,
        judge: ProposalJudge,
        *,
        worker: Worker,
        backend: InferenceBackend,
    ) -> None:
        self._active = active
        self._live = live
        self.chooser = chooser
        """Who lets the person choose among what was found."""
        self._targets = targets
        self._stack = stack
        self._settings = settings
        self.sources = sources
        """What objects can be made of."""
        self.shaper = shaper
        """Who follows the clean-up."""
        self.judge = judge
        """Who marks confident objects."""
        self._finder = ObjectFinder(worker, backend.engine, self._on_finder_ended, self.changed.emit)
        self._ranker = ObjectRanker(worker, backend.engine, self._on_ranker_ended, self.changed.emit)
        self._then: Callable[[], str] | None = None
        self._connections = Connections()
        for part in (chooser, shaper, judge, judge.advisor, stack):
            self._connections.connect("parts", part.changed, self.changed.emit)
        self._connections.connect("chooser", chooser.lost, self._on_chooser_lost)
        self._connections.connect("shaper", shaper.ended, self._on_shaper_ended)
        self._connections.connect("judge", judge.advisor.ended, self.notified.emit)
        self._connections.connect("stack", stack.ended, self._on_stack_ended)

    def release(self) -> None:
        """Stop working and listening, and take the layer away."""
        self.stop()
        self._connections.release()
        self.chooser.release()

    # -- what there is ----------------------------------------------------------------------------

    @property
    def status(self) -> Status | None:
        """Describe what is under way; None when nothing is."""
        searching = self._finder.status(self._active.axis_names)
        return searching or self._ranker.status or self._stack.status or self.shaper.status

    @property
    def state(self) -> EverythingState:
        """Everything that the section shows."""
        batch, drawn = self._settings.tempo == "batch", self.sources.drawn
        return describe(self.chooser, self.judge, self._active, drawn, batch=batch, running=self._is_running)

    @property
    def layer(self) -> Labels | None:
        """The layer that shows what was found; None where nothing is shown."""
        return self.chooser.layer

    @property
    def is_picking(self) -> bool:
        """Whether a click on the image keeps or drops an object."""
        return self.chooser.is_picking

    @property
    def _is_running(self) -> bool:
        return self._finder.running or self._ranker.running or self._stack.running

    # -- commands ---------------------------------------------------------------------------------

    def find(self, image: Image, scope: SearchScope) -> str:
        """Begin to find objects; return what the person should know."""
        if self._is_running:
            return everything_messages.RUNNING
        request = plane_request(self._active, self._live, self._settings, scope)
        if isinstance(request, str):
            return request
        stack: StackRequest | None = None
        if scope.where == "stack":
            # What was picked on the plane goes along.
            stack = stack_request(self._active, request, scope, self.chooser.marks_for(request))
            if stack is None:
                return everything_messages.NO_STACK
        return self._begin(image, request, stack)

    def make(self, image: Image, layer: Layer | None) -> str:
        """Begin to make objects of the prompts of a layer, or of what is drawn; return what the person should know."""
        if self._is_running:
            return everything_messages.RUNNING
        request = prompted_request(self._active, self._live, self._settings, partial(self.sources.read, image, layer))
        if isinstance(request, str):
            return request
        if isinstance(layer, Labels):
            # Exact objects go back to where the rough ones are.
            self._targets.choose_layer(layer, image)
        return self._begin(image, request)

    def _begin(self, image: Image, request: SearchRequest, stack: StackRequest | None = None) -> str:
        self.chooser.begin(image)
        self._finder.start(request, stack)
        return ""

    def rank(self, image: Image, query: ObjectQuery | None, scope: SearchScope) -> str:
        """Begin to rank what was found, or is first, by a query or by what was picked; return words for trouble."""
        if self._is_running:
            return everything_messages.RUNNING
        found = self.chooser.found
        if found is not None and self.chooser.is_here and (found.findings.stack or scope.where != "stack"):
            return self._begin_ranking(query)
        if not (trouble := self.find(image, scope)):
            self._then = partial(self._begin_ranking, query)
        return trouble

    def cancel(self) -> str:
        """Stop what is under way, and keep the planes of a stack that are done; return words for that, "" for none."""
        self._then = None
        if self._finder.running:
            findings = self._finder.stop()
            if findings is None or findings.stack is None:
                return everything_messages.CANCELLED
            self._take(findings)
            return everything_messages.kept_after_cancel(findings.count, len(findings.results), findings.stack.axis)
        if self._ranker.running:
            self._ranker.stop()
            return everything_messages.RANKING_CANCELLED
        stopped = self._stack.stop()
        self.chooser.unlock()
        return stopped

    def stop(self) -> str:
        """Stop what is under way, and keep nothing that was not written; return words for what was written in part."""
        self._finder.stop()
        self._ranker.stop()
        self.shaper.stop()
        self.judge.stop()
        self._then, self.chooser.locked = None, False
        return self._stack.stop()

    def refresh(self) -> None:
        """Choose anew among what was found, as the labels are now."""
        self.chooser.refresh()

    def accept(self, image: Image) -> str:
        """Write what is shown, as one step; return why that could not be done, "" when it was."""
        # Labels may have been painted since the last look.
        self.refresh()
        found, selection = self.chooser.found, self.chooser.selection
        if self._finder.running and self._settings.tempo == "batch":
            self._then = partial(self._accept_made, image)
            return ""
        if self._is_running:
            return everything_messages.RUNNING
        if self.shaper.running:
            # What was chosen last is what is written, and it is seen before.
            self._then = partial(self._accept_made, image)
            return ""
        if selection is None and self._settings.tempo == "batch":
            return self.make(image, None)
        if found is None or selection is None:
            return everything_messages.NOTHING_TO_WRITE
        if found.findings.stack is not None:
            if not found.wanted:
                return everything_messages.NOTHING_TO_WRITE
            self._stack.start(image, found)
            self.chooser.locked = True
            return ""
        if isinstance(done := self.judge.plane.write(image, selection), str):
            return done
        self.chooser.discard()
        self.notified.emit(done)
        return ""

    def accept_confident(self, image: Image) -> str:
        """Write the confident ones of what is shown, as one step; return why not, "" when it was done."""
        if self._is_running or self.shaper.running:
            return everything_messages.RUNNING
        if isinstance(done := self.judge.accept_confident(image), Status):
            self.notified.emit(done)
        return "" if isinstance(done, Status) else done

    def _accept_made(self, image: Image) -> str:
        """Write what was made meanwhile, because accept was pressed before it was there."""
        if image is not self._active.image:
            return ""
        with self.chooser.mute():
            trouble = self.accept(image)
            self._live.read_prompts()
        return trouble

    def discard(self) -> str:
        """Forget what was found; return words where only a part of it was written."""
        self._ranker.stop()
        stopped = self._stack.stop()
        self.chooser.locked = False
        self.chooser.discard()
        return stopped

    # -- what comes of work -----------------------------------------------------------------------

    def _on_finder_ended(self, findings: Findings | BaseException) -> None:
        then, self._then = self._then, None
        if isinstance(findings, BaseException):
            self._live.fail(findings)
            self.changed.emit()
        elif not findings.count:
            self.notified.emit(Status("attention", findings.words))
        else:
            self._take(findings)
            self._go_on(then, findings.words)

    def _take(self, findings: Findings) -> None:
        """Let the person choose; who began to prompt an object during a long search goes on with that."""
        self.chooser.take(findings, select=findings.stack is None or self._live.reading.empty)
        self.shaper.follow()  # another clean-up may have been chosen meanwhile
        self.judge.follow()

    def _on_shaper_ended(self, outcome: str | BaseException) -> None:
        then, self._then = self._then, None
        if isinstance(outcome, BaseException):
            self._live.fail(outcome)
            self.changed.emit()
        else:
            self._go_on(then, outcome)

    def _go_on(self, then: Callable[[], str] | None, words: str) -> None:
        """Do what was asked for meanwhile, if anything; else say what came of the work."""
        if then is not None and (trouble := then()):
            self.notified.emit(Status("attention", " ".join(filter(None, (words, trouble)))))
        elif then is None and words:
            self.notified.emit(Status("idle", words))
        else:
            self.changed.emit()  # a notice would hide what goes on

    def _on_stack_ended(self, outcome: Status | BaseException | str) -> None:
        if isinstance(outcome, Status):
            self.chooser.leave()
            self.notified.emit(outcome)
            return
        self.chooser.unlock()
        if isinstance(outcome, BaseException):
            self._live.fail(outcome)
            self.changed.emit()
        else:
            self.notified.emit(Status("attention", outcome))

    def _begin_ranking(self, query: ObjectQuery | None) -> str:
        """Begin to rank what was found; return what the person should know."""
        if isinstance(order := self.chooser.to_rank(query), str):
            return order
        self._ranker.start(*order)
        return ""

    def _on_ranker_ended(self, match: Match | BaseException) -> None:
        if isinstance(match, BaseException):
            self._live.fail(match)
            self.changed.emit()
            return
        self.chooser.rank(match)
        self.notified.emit(Status("idle" if match.count else "attention", match.words))

    def _on_chooser_lost(self) -> None:
        if stopped := self.stop():
            self.notified.emit(Status("attention", stopped))
