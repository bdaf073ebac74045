"""Puts the state together that the panels show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.session import stack_words, words
from napari_sam.session.state import SessionState, Status

if TYPE_CHECKING:
    from napari_sam.session.accepts import Accepts
    from napari_sam.session.parts import Parts
    from napari_sam.session.stack import Stack
    from napari_sam.session.stack_object import CarriedObject


def report(parts: Parts, stack: Stack, accepts: Accepts, notice: Status | None) -> SessionState:
    """Describe a session as it is now.

    Parameters
    ----------
    parts : Parts
        Its parts.
    stack : Stack
        What it does with objects in stacks.
    accepts : Accepts
        What was accepted and is not written yet.
    notice : Status or None
        What the last command had to say.
    """
    scene, dialogue, ledger = parts.scene, parts.dialogue, parts.ledger
    image, answer, tool = scene.image, dialogue.answer, parts.tools.current
    candidates = () if answer is None else answer.candidates
    history = None if image is None else ledger.history(image)
    undo, redo = (False, False) if image is None else parts.targets.earlier(image)
    hand = stack.hand if stack.again else None
    next_id = _next_id(parts, accepts, hand)
    section = stack.state()
    return SessionState(
        status=_status(parts, stack, accepts, notice),
        hint=" ".join(filter(None, (stack_words.again(hand.label), section.joining)))
        if hand is not None and not candidates
        else words.hint(
            enter=words.enter(next_id, again=hand is not None),
            has_view=scene.view is not None,
            armed=tool is not None,
            candidates=len(candidates),
            prompts=not dialogue.reading.empty,
            accepted=ledger.accepted is not None or bool(accepts.waiting),
            stack=image is not None and image.ndim > 2,
            joining=section.joining,
        ),
        model=dialogue.model,
        device=dialogue.device_text,
        tool=tool,
        candidates=candidates,
        selected=dialogue.selected,
        next_id=next_id,
        only_empty=parts.targets.only_empty,
        asking=dialogue.asker.waits_for_prompts,
        waiting=accepts.waiting,
        can_accept=dialogue.candidate is not None or dialogue.asker.waits_for_prompts or dialogue.is_stopped,
        can_clear=not dialogue.reading.empty,
        can_clear_all=image is not None and not parts.prompts.everything().empty,
        can_undo=history is not None and bool(history.done or undo or history.shortened),
        can_redo=history is not None and bool(history.undone or redo),
        stack=section,
    )


def _next_id(parts: Parts, accepts: Accepts, hand: CarriedObject | None) -> int | None:
    """Tell what label accept would write, after the objects that wait to be written."""
    image = parts.scene.image
    writer = None if image is None else parts.targets.writer(image)
    if hand is not None:
        return hand.label
    free = 1 if writer is None else writer.known_label
    return None if image is None or free is None else free + accepts.ids(image)


def _status(parts: Parts, stack: Stack, accepts: Accepts, notice: Status | None) -> Status:
    """Choose what the status line says: what keeps the person from working goes first."""
    scene, dialogue = parts.scene, parts.dialogue
    if scene.image is None:
        return Status("attention", words.NO_IMAGE)
    if scene.view is None:
        return Status("attention", scene.problem)
    plane = scene.view.words(scene.axis_names)
    work = dialogue.asker.status(plane)
    if work is not None and work.kind == "failed":
        return work
    if notice is not None:
        return notice
    if (run := stack.status) is not None:
        return run
    if work is not None:
        return words.waiting(work, accepts.waiting)
    if held := words.prompts_held(accepts.unwritten):
        return Status("attention", held)
    if unsaved := parts.ledger.unsaved:
        return Status("attention", unsaved)
    if warning := words.warning(dialogue.reading):
        return Status("attention", warning)
    if dialogue.ready is None:
        return Status()
    if dialogue.ready.notice:
        return Status("attention", dialogue.ready.notice)
    clicked = next((point.position for point in reversed(dialogue.reading.prompts.points) if point.positive), None)
    if (other := parts.channels.seen_elsewhere(scene.image, scene.view, clicked)) is not None:
        return Status("attention", words.elsewhere(scene.image.name, other.name))
    if dialogue.is_cut:
        return Status("attention", words.CUT)
    name = scene.image.name if parts.channels.several(scene.image) else ""
    encoded = bool(dialogue.ready.pictures)
    return Status("idle", words.ready(plane, parts.ledger.accepted, encoded=encoded, image=name))
