"""Puts the state together that the Stack section shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam.session import messages
from napari_sam.session.objects.tracked import is_there
from napari_sam.session.propagation import messages as propagation_messages
from napari_sam.session.propagation.plan import read_line
from napari_sam.session.state import StackState, StripPlane

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.components import Components
    from napari_sam.session.objects.tracked import PlaneLine, TrackedObject
    from napari_sam.session.prompts.drawing import PromptContents
    from napari_sam.session.propagation.controller import PropagationController


class Strip:
    """Describes the section; keeps what it said about planes, because a state is made after every event."""

    def __init__(self) -> None:
        self._known: tuple[TrackedObject, PlaneIndex, int, bool] | None = None
        self._planes: tuple[StripPlane, ...] = ()
        self._marks: tuple[int, ...] = ()
        self._drawn: tuple[PromptContents, PlaneLine] | None = None
        self._shown: tuple[int, ...] = ()

    def state(self, stack: PropagationController, components: Components) -> StackState:
        """Describe a stack as it is now."""
        active, course, hand = components.active, stack.course, stack.hand
        line = course.line
        if line is None or course.axis is None or active.image is None:
            text = messages.NO_IMAGE if active.image is None else active.problem or propagation_messages.NO_STACK
            return StackState(strategy=course.strategy, running=stack.running, text=text)
        self._read(hand, line)
        reading = components.live.reading
        prompts = len(reading.prompts) > 0 and not reading.prompts.is_background_only
        here = hand is not None and line.view.index in hand.planes
        shown = self._read_shown(components, active.image, line)
        joining = propagation_messages.shown(course.axis.name, shown, line.place)
        return StackState(
            axes=course.axes(),
            axis=course.axis,
            place=line.place,
            start=course.span.start,
            stop=course.span.stop,
            strategy=course.strategy,
            label=None if hand is None else hand.label,
            planes=self._planes,
            marks=self._marks,
            shown=shown,
            joining=joining,
            running=stack.running,
            same_object=stack.again,
            text=_text(stack, hand, prompts=prompts, joining=joining),
            can_propagate=not stack.running and (prompts or bool(shown) or hand is not None),
            can_copy=prompts or (hand is not None and here and len(hand.planes[line.view.index].prompts) > 0),
            can_jump=any(plane.weak for plane in self._planes),
        )

    def _read_shown(self, components: Components, image: Image, line: PlaneLine) -> tuple[int, ...]:
        """Read which planes a run would start from, if anything that is drawn or the planes changed since."""
        known = components.log.drawn, line
        if self._drawn is None or self._drawn[0] is not known[0] or self._drawn[1] != line:
            self._drawn, self._shown = known, tuple(read_line(components.prompts, image, line).objects)
        return self._shown

    def _read(self, hand: TrackedObject | None, line: PlaneLine) -> None:
        """Read the planes of the object in hand, if it is not what was read last."""
        if hand is None:
            self._known, self._planes, self._marks = None, (), ()
            return
        # napari's own undo says nothing of what it took back; the newest plane does.
        whole = _is_whole(hand, line)
        known = hand, line.at(0), line.axis, whole
        if self._known is None or self._known[0] is not hand or self._known[1:] != known[1:]:
            self._known = known
            self._planes = tuple(
                StripPlane(place, record.score, record.weak, record.annotated)
                for place, record in hand.on(line)
                if whole or is_there(hand, line.at(place), record)
            )
            self._marks = tuple(sorted(hand.marks_on(line)))


def _is_whole(hand: TrackedObject, line: PlaneLine) -> bool:
    """Tell whether the newest plane of an object is still there."""
    newest = next(reversed(hand.planes.items()), None)
    return newest is None or is_there(hand, replace(line.view, index=newest[0]), newest[1])


def _text(stack: PropagationController, hand: TrackedObject | None, *, prompts: bool, joining: str) -> str:
    """Choose what the section says; `joining` names the planes of the next run that are not on screen."""
    if (status := stack.status) is not None:
        return status.text
    if hand is not None and stack.again:
        return " ".join(filter(None, (propagation_messages.again(hand.label), joining)))
    if joining:
        return f"{joining} {propagation_messages.PROMPTED}"
    if stack.message:
        return stack.message
    if hand is None:
        return propagation_messages.PROMPTED if prompts else propagation_messages.NO_OBJECT
    if hand.remainder is not None and not prompts:
        return propagation_messages.in_part(hand.label)
    if hand.fresh and any(not record.annotated for record in hand.planes.values()):
        return propagation_messages.corrected(hand.label)
    return propagation_messages.PROMPTED if prompts else propagation_messages.ready(hand.label)
