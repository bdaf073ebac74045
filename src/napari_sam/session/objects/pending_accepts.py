"""Accepts that were pressed before the answer was there: each belongs to the prompts that it was pressed for.

Their prompts leave the prompt layers at once, so that the next click begins the next object. They are written in the
order in which they were pressed. One that cannot be written gives its prompts back, as soon as nothing else is drawn on
its plane: prompts of two objects would make one of them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam.errors import InputError
from napari_sam.session import messages
from napari_sam.session.candidates.level import first_shown
from napari_sam.session.candidates.requests import describe_failure
from napari_sam.session.objects.matching import belongs, label_at
from napari_sam.session.objects.pending_accept import PendingAccept
from napari_sam.session.objects.recording import WriteOrder
from napari_sam.session.state import Status

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_sam.inference.request import PlaneAnswer, PlaneRequest
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.prompts import PromptSet
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.labels.writer import LabelWriter
    from napari_sam.session.objects.current import CurrentObject
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.tracked import TrackedObject
    from napari_sam.session.prompts.editor import PromptEditor
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.viewing.active_image import ActiveImage
    from napari_sam.session.viewing.connections import Mute


class NothingToWriteError(InputError):
    """No pixel of an object's mask is to be written."""


class PendingAccepts:
    """The accepts of a session that wait, oldest first.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are.
    active, prompts, live
        What is on screen, drawn and answered.
    targets, log, current
        What writes, records, and is the current object.
    settings : SessionSettings
        Which candidate of an ambiguous click is meant.
    mute : Mute
        Gives a context in which changes of layers are the session's own.
    """

    settled = Signal(object)
    """Accepts were written or failed; carries a `Status` for what the person should know, or None."""

    def __init__(
        self,
        viewer: ViewerModel,
        active: ActiveImage,
        prompts: PromptEditor,
        live: LivePrediction,
        targets: TargetLayers,
        log: ObjectLog,
        current: CurrentObject,
        settings: SessionSettings,
        *,
        mute: Mute,
    ) -> None:
        self._viewer = viewer
        self._active = active
        self._prompts = prompts
        self._live = live
        self._targets = targets
        self._log = log
        self._current = current
        self._settings = settings
        self._mute = mute
        self._waiting: deque[PendingAccept] = deque()
        self._unwritten: list[PendingAccept] = []

    @property
    def waiting(self) -> int:
        """How many objects wait to be written."""
        return len(self._waiting)

    @property
    def unwritten(self) -> int:
        """How many could not be written, and have not given their prompts back yet."""
        return len(self._unwritten)

    def ids(self, image: Image) -> int:
        """Count the new ids that the waiting accepts will take in the target of an image."""
        target = self._targets.chosen_layer(image)
        layers = [None if one.writer is None else one.writer.layer for one in self._waiting if one.replaces is None]
        return sum(layer is None or layer is target for layer in layers)

    def add(
        self,
        image: Image,
        writer: LabelWriter | None,
        *,
        only_empty: bool,
        replaces: TrackedObject | None,
        undecided: bool,
        with_drawing: bool = False,
    ) -> None:
        """Accept the object that is prompted, as soon as its answer is there and all before it are written.

        Parameters
        ----------
        image, writer, only_empty, replaces, undecided
            As `PendingAccept` has them.
        with_drawing : bool
            Whether drawing its prompts, the newest step, is a part of this: one undo then takes back both.
        """
        live, log = self._live, self._log
        drawn = log.drawn if with_drawing else None
        # It may be answered and wait all the same, for its turn behind others.
        answer = live.answer if live.is_answered else None
        if answer is not None:
            request, choice, level, picked = answer.request, live.selected, None, live.picked
        else:
            # Presses of N, before there is anything to choose from, count from the first that will be shown.
            choice, level, picked = live.skipped, self._settings.level, live.skipped > 0
            request = live.set_apart(
                lambda answer: self._on_answered(request, answer), lambda error: self._on_failed(request, error)
            )
        step = log.promise(image, with_drawing=with_drawing)
        self._waiting.append(
            PendingAccept(
                image,
                request,
                choice,
                level,
                picked,
                writer,
                only_empty,
                replaces,
                undecided,
                step,
                drawn,
                answer,
            )
        )

    def take_back(self, image: Image) -> bool:
        """Take back the newest step, if it is an accept that was not written: its prompts come back.

        Where drawing them is a part of the step, they go with it; redo draws them again, and they wait to be accepted.

        Returns
        -------
        bool
            Whether it was one.
        """
        newest = self._log.history(image).done[-1:]
        accept = next((one for one in (*self._waiting, *self._unwritten) if [one.step] == newest), None)
        if accept is None:
            return False
        self._drop(accept)
        self._log.withdraw(image, accept.step, accept.drawn)
        return True

    def cancel(self) -> str:
        """Take back all accepts that wait; return words for that, "" when there was none."""
        # Another list: each is taken out of the queue below.
        accepts = list(self._waiting)
        for accept in accepts:
            self._drop(accept)
        return self._fail(accepts, ask=False)

    def release(self) -> int:
        """Wait no longer: all prompts go back into their layers, where other prompts may be; return of how many."""
        prompts, drawn = self._prompts, 0
        for accept in [*self._waiting, *self._unwritten]:
            self._drop(accept)
            layers = prompts.layers.present
            if accept.image in self._viewer.layers and all(one.ndim == accept.image.ndim for one in layers):
                prompts.draw_prompts(accept.image, accept.request.source.view, accept.request.prompts)
                drawn += 1
        return drawn

    def give_back(self, *, ask: bool = True) -> None:
        """Draw the prompts of what could not be written, where nothing else is drawn now.

        Parameters
        ----------
        ask : bool
            Whether to ask for their objects again.
        """
        for accept in list(self._unwritten):
            view = accept.request.source.view
            if accept.image not in self._viewer.layers:
                self._unwritten.remove(accept)
            # Among prompts of another object they would become a part of it.
            elif accept.image is self._active.image and self._prompts.read_plane(accept.image, view).empty:
                self._unwritten.remove(accept)
                if not self._log.withdraw(accept.image, accept.step):
                    self._prompts.draw_prompts(accept.image, view, accept.request.prompts)
                    self._log.note_drawing(accept.image)
                self._live.read_prompts(ask=ask or view != self._active.view)

    # -- answers ----------------------------------------------------------------------------------

    def _on_answered(self, request: PlaneRequest, answer: PlaneAnswer) -> None:
        self._find(request).answer = answer
        self._settle()

    def _on_failed(self, request: PlaneRequest, error: BaseException) -> None:
        self._find(request).error = error
        self._settle()

    def _find(self, request: PlaneRequest) -> PendingAccept:
        return next(accept for accept in self._waiting if accept.request is request)

    def _settle(self) -> None:
        """Write what has its turn, and tell what came of it."""
        with self._mute():
            notice = self._advance()
        self.settled.emit(notice)

    def _advance(self) -> Status | None:
        """Write what has its turn; return what the person should know."""
        notice, failed = None, []
        # In the order in which they were pressed: ids and overlaps are those of slow clicks.
        while self._waiting and self._waiting[0].settled:
            accept = self._waiting.popleft()
            try:
                status = self._write(accept)
            # Whatever napari or the disk raise: the objects behind this one are to be written all the same.
            except Exception as error:
                status = describe_failure(error)
                if accept.drawn is not None and isinstance(error, NothingToWriteError):
                    # The person clicks on; prompts that come back now would become a part of another object.
                    self._part_drawing(accept)
                    status = Status("attention", messages.passed_over(str(error)))
                else:
                    failed.append(accept)
            notice = status or notice
        if notice is None or not failed:
            return notice
        more = self._fail(failed, ask=all(accept.error is None for accept in failed))
        return Status(notice.kind, f"{notice.text} {more}".rstrip())

    def _write(self, accept: PendingAccept) -> Status | None:
        """Write one object; return what the person should know.

        Raises
        ------
        Exception
            If it cannot be written.
        """
        if accept.answer is None:
            raise accept.error or InputError(messages.NO_CANDIDATE)
        image, answer = accept.image, accept.answer
        writer, replaced, current = self._writer(accept), accept.replaces, self._current.of(image)
        # The current object has grown meanwhile: what is written next goes on from that.
        if replaced is not None and current is not None and _are_same(replaced, current):
            replaced = current
        first = 0 if accept.level is None else first_shown(answer, accept.level)
        index = (first + accept.choice) % max(1, len(answer.candidates))
        view = answer.request.source.view
        in_stack = any(at is not None for at in view.index)
        if accept.undecided and in_stack and current is not None and current.layer is writer.layer:
            replaced = current if belongs(current, view, answer.request.prompts, answer.candidates[index]) else None
        label = None
        # Its own target of that moment, unless it is still the one that the policy is for.
        if replaced is None and writer is self._targets.find_writer(image):
            writer, label = self._targets.place_whole(image, view, answer.candidates[index])
        order = WriteOrder(writer, accept.only_empty, replaced, label)
        if accept.drawn is not None and accept.only_empty and replaced is None and label is None:
            _require_free(writer, view, answer.request.prompts)
        done = self._log.fulfil(image, accept.step, answer, index, order, current)
        if isinstance(done, str):
            raise NothingToWriteError(done)
        self._current.set(image, done.tracked)
        if accept.picked:
            self._live.levels.learn(answer, index)
        return Status("attention", done.trouble) if done.trouble else None

    def _writer(self, accept: PendingAccept) -> LabelWriter:
        """Return what writes the object: into the target of the moment at which it was accepted."""
        image, writer = accept.image, accept.writer
        there = image in self._viewer.layers
        # Chosen still, but perhaps no longer where the image is: then objects need another layer.
        if there and (writer is None or writer.layer is self._targets.chosen_layer(image)):
            return self._targets.need_writer(image)
        if writer is None:
            raise InputError(messages.IMAGE_GONE)
        if writer.layer not in self._viewer.layers or writer.layer.data.shape != image.data.shape[: image.ndim]:
            raise InputError(messages.TARGET_GONE)
        return writer

    def _fail(self, accepts: list[PendingAccept], *, ask: bool) -> str:
        """Give the prompts of accepts back, or keep them until there is room; return words for that."""
        for accept in accepts:
            self._part_drawing(accept)
        self._unwritten += accepts
        # Counted first: giving prompts back forgets those whose image is gone.
        lost = [accept for accept in accepts if accept.image not in self._viewer.layers]
        self.give_back(ask=ask)
        return messages.not_written(len(accepts), self.unwritten, lost=len(lost))

    def _part_drawing(self, accept: PendingAccept) -> None:
        """Make the drawing of its prompts a step of its own: undo then brings them back, and they are not accepted."""
        if accept.drawn is not None:
            accept.step = self._log.history(accept.image).part_drawing(accept.step, accept.drawn)
            accept.drawn = None

    def _drop(self, accept: PendingAccept) -> None:
        """Stop waiting for an accept."""
        self._live.withdraw(accept.request)
        if accept in self._waiting:
            self._waiting.remove(accept)
        if accept in self._unwritten:
            self._unwritten.remove(accept)


def _require_free(writer: LabelWriter, view: PlaneIndex, prompts: PromptSet) -> None:
    """Check that what was clicked carries no label yet: what is left of the mask would be a sliver beside it.

    Raises
    ------
    NothingToWriteError
        If it does.
    """
    for point in prompts.points:
        if point.positive and (label := label_at(writer.layer, view, point.position)):
            raise NothingToWriteError(messages.is_there(label))


def _are_same(one: TrackedObject, other: TrackedObject) -> bool:
    """Tell whether two states are those of one object."""
    return (one.layer, one.label) == (other.layer, other.label)
