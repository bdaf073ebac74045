"""Puts the state together that the panels show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.session import messages
from napari_sam.session.propagation import messages as propagation_messages
from napari_sam.session.state import SessionState, Status

if TYPE_CHECKING:
    from napari_sam.session.components import Components
    from napari_sam.session.objects.pending_accepts import PendingAccepts
    from napari_sam.session.objects.tracked import TrackedObject
    from napari_sam.session.propagation.controller import PropagationController


def report(
    components: Components, stack: PropagationController, accepts: PendingAccepts, notice: Status | None
) -> SessionState:
    """Describe a session as it is now.

    Parameters
    ----------
    components : Components
        Its components.
    stack : PropagationController
        What it does with objects in stacks.
    accepts : PendingAccepts
        What was accepted and is not written yet.
    notice : Status or None
        What the last command had to say.
    """
    active, live, log = components.active, components.live, components.log
    image, answer, tool = active.image, live.answer, components.tools.current_tool
    candidates = () if answer is None else answer.candidates
    history = None if image is None else log.history(image)
    undo, redo = (False, False) if image is None else components.targets.earlier_steps(image)
    hand = stack.hand if stack.again else None
    next_id = _next_id(components, accepts, hand)
    section = stack.state()
    return SessionState(
        status=_status(components, stack, accepts, notice),
        hint=" ".join(filter(None, (propagation_messages.again(hand.label), section.joining)))
        if hand is not None and not candidates
        else messages.hint(
            enter=messages.enter(next_id, again=hand is not None),
            has_view=active.view is not None,
            armed=tool is not None,
            candidates=len(candidates),
            prompts=not live.reading.empty,
            accepted=log.accepted is not None or bool(accepts.waiting),
            stack=image is not None and image.ndim > 2,
            joining=section.joining,
        ),
        model=live.model,
        device=live.device_text,
        tool=tool,
        candidates=candidates,
        selected=live.selected,
        next_id=next_id,
        only_empty=components.targets.only_empty,
        asking=live.requests.waits_for_prompts,
        waiting=accepts.waiting,
        can_accept=live.selected_candidate is not None or live.requests.waits_for_prompts or live.is_stopped,
        can_clear=not live.reading.empty,
        can_clear_all=image is not None and not components.prompts.read_everything().empty,
        can_undo=history is not None and bool(history.done or undo or history.shortened),
        can_redo=history is not None and bool(history.undone or redo),
        stack=section,
    )


def _next_id(components: Components, accepts: PendingAccepts, hand: TrackedObject | None) -> int | None:
    """Tell what label accept would write, after the objects that wait to be written."""
    image = components.active.image
    writer = None if image is None else components.targets.find_writer(image)
    if hand is not None:
        return hand.label
    free = 1 if writer is None else writer.known_label
    return None if image is None or free is None else free + accepts.ids(image)


def _status(
    components: Components, stack: PropagationController, accepts: PendingAccepts, notice: Status | None
) -> Status:
    """Choose what the status line says: what keeps the person from working goes first."""
    active, live = components.active, components.live
    if active.image is None:
        return Status("attention", messages.NO_IMAGE)
    if active.view is None:
        return Status("attention", active.problem)
    plane = active.view.words(active.axis_names)
    work = live.requests.work_status(plane)
    if work is not None and work.kind == "failed":
        return work
    if notice is not None:
        return notice
    if (run := stack.status) is not None:
        return run
    if work is not None:
        return messages.waiting(work, accepts.waiting)
    if held := messages.prompts_held(accepts.unwritten):
        return Status("attention", held)
    if unsaved := components.log.unsaved:
        return Status("attention", unsaved)
    if live.reading.prompts.is_background_only:
        return Status("attention", messages.BACKGROUND_ONLY)
    if live.reading.warning:
        return Status("attention", live.reading.warning)
    if live.ready is None:
        return Status()
    if live.ready.notice:
        return Status("attention", live.ready.notice)
    clicked = next((point.position for point in reversed(live.reading.prompts.points) if point.positive), None)
    if (other := components.channels.seen_elsewhere(active.image, active.view, clicked)) is not None:
        return Status("attention", messages.elsewhere(active.image.name, other.name))
    if live.is_cut:
        return Status("attention", messages.CUT)
    name = active.image.name if components.channels.has_others(active.image) else ""
    encoded = bool(live.ready.pictures)
    return Status("idle", messages.ready(plane, components.log.accepted, encoded=encoded, image=name))
