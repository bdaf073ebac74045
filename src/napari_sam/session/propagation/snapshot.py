"""Puts the state together that the Stack section shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_sam.session import messages
from napari_sam.session.objects.tracked import is_there
from napari_sam.session.propagation import messages as propagation_messages
from napari_sam.session.propagation.plan import read_line
from napari_sam.session.state import StackState, StripPlane

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.objects.current import CurrentObject
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.same_object import SameObject
    from napari_sam.session.objects.tracked import PlaneLine, TrackedObject
    from napari_sam.session.prompts.drawing import PromptContents
    from napari_sam.session.prompts.editor import PromptEditor
    from napari_sam.session.propagation.options import PropagationOptions
    from napari_sam.session.state import Status
    from napari_sam.session.viewing.active_image import ActiveImage


@dataclass(frozen=True, slots=True)
class _StripSource:
    """What the strip of planes was read from; label pixels are read again only when it is another one."""

    tracked: TrackedObject
    version: int
    plane: PlaneIndex
    axis: int


class StackSnapshot:
    """Describes the section.

    A state is made after every event, so what takes long to read is kept until it may be another: the planes of the
    current object until it, the line or the pixels of the target change, and what is drawn until that changes.

    Parameters
    ----------
    active, prompts, live
        What is on screen, drawn, and answered.
    log, current, same_object
        What was done, the current object, and whether accept writes that again.
    options : PropagationOptions
        Axis, range and strategy.
    """

    def __init__(
        self,
        active: ActiveImage,
        prompts: PromptEditor,
        live: LivePrediction,
        log: ObjectLog,
        current: CurrentObject,
        same_object: SameObject,
        options: PropagationOptions,
    ) -> None:
        self._active = active
        self._prompts = prompts
        self._live = live
        self._log = log
        self._current = current
        self._same_object = same_object
        self._options = options
        self._read: tuple[_StripSource, tuple[StripPlane, ...], tuple[int, ...]] | None = None
        self._drawn: tuple[PromptContents, PlaneLine, tuple[int, ...]] | None = None

    def state(self, run: Status | None, message: str) -> StackState:
        """Describe a stack as it is now.

        Parameters
        ----------
        run : Status or None
            What the run under way says; None when there is none.
        message : str
            What the last run came to; "" when that is old news.
        """
        active, options, current = self._active, self._options, self._current.tracked
        line, axis = options.line, options.axis
        if line is None or axis is None or active.image is None:
            text = messages.NO_IMAGE if active.image is None else active.problem or propagation_messages.NO_STACK
            return StackState(strategy=options.strategy, running=run is not None, text=text)
        planes, marks = ((), ()) if current is None else self._planes(current, line)
        prompts = len(self._live.reading.prompts) > 0 and not self._live.reading.prompts.is_background_only
        here = None if current is None else current.planes.get(line.view.index)
        shown = self._shown(active.image, line)
        same_object = self._same_object.replaces_current
        joining = propagation_messages.shown(axis.name, shown, line.place)
        return StackState(
            axes=options.axes(),
            axis=axis,
            place=line.place,
            start=options.span.start,
            stop=options.span.stop,
            strategy=options.strategy,
            label=None if current is None else current.label,
            planes=planes,
            marks=marks,
            shown=shown,
            joining=joining,
            running=run is not None,
            same_object=same_object,
            text=_message(run, current, message, same_object=same_object, prompts=prompts, joining=joining),
            can_propagate=run is None and (prompts or bool(shown) or current is not None),
            can_copy=prompts or (here is not None and len(here.prompts) > 0),
            can_jump=any(plane.weak for plane in planes),
        )

    def _shown(self, image: Image, line: PlaneLine) -> tuple[int, ...]:
        """Read which planes a run would start from, if anything that is drawn or the planes changed since."""
        contents = self._log.drawn
        # By identity, which costs nothing: what is drawn is another object after every change.
        if self._drawn is None or self._drawn[0] is not contents or self._drawn[1] != line:
            self._drawn = contents, line, tuple(read_line(self._prompts, image, line).objects)
        return self._drawn[2]

    def _planes(self, current: TrackedObject, line: PlaneLine) -> tuple[tuple[StripPlane, ...], tuple[int, ...]]:
        """Read the planes that carry the current object, and those with a stop mark."""
        # Of the line any plane will do: which one is on screen changes nothing.
        source = _StripSource(current, self._current.version, line.at(0), line.axis)
        if self._read is None or self._read[0] != source:
            # napari's own undo says nothing of what it took back; the newest plane does.
            whole = _is_whole(current, line)
            planes = tuple(
                StripPlane(place, record.score, record.weak, record.annotated)
                for place, record in current.on(line)
                if whole or is_there(current, line.at(place), record)
            )
            self._read = source, planes, tuple(sorted(current.marks_on(line)))
        return self._read[1:]


def _is_whole(current: TrackedObject, line: PlaneLine) -> bool:
    """Tell whether the newest plane of an object is still there."""
    newest = next(reversed(current.planes.items()), None)
    return newest is None or is_there(current, replace(line.view, index=newest[0]), newest[1])


def _message(
    run: Status | None,
    current: TrackedObject | None,
    message: str,
    *,
    same_object: bool,
    prompts: bool,
    joining: str,
) -> str:
    """Choose what the section says; `joining` names the planes of the next run that are not on screen."""
    if run is not None:
        return run.text
    if current is not None and same_object:
        return " ".join(filter(None, (propagation_messages.goes_on(current.label), joining)))
    if joining:
        return f"{joining} {propagation_messages.PROMPTED}"
    if message:
        return message
    if current is None:
        return propagation_messages.PROMPTED if prompts else propagation_messages.NO_OBJECT
    if current.remainder is not None and not prompts:
        return propagation_messages.in_part(current.label)
    if current.fresh and any(not record.annotated for record in current.planes.values()):
        return propagation_messages.corrected(current.label)
    return propagation_messages.PROMPTED if prompts else propagation_messages.ready(current.label)
