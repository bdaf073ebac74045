"""Puts the state together that the panels show, and tells when it is another one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam.remote.addresses import is_address
from napari_sam.session import messages
from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.deciding import messages as deciding_messages
from napari_sam.session.everything.prompted import messages as prompted_messages
from napari_sam.session.propagation import messages as propagation_messages
from napari_sam.session.state import SessionState, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_sam.session.components import Components
    from napari_sam.session.objects.tracked import TrackedObject
    from napari_sam.session.state import EverythingState, StackState


class StatePublisher:
    """Keeps the state of a session, and what the last command had to say.

    Parameters
    ----------
    components : Components
        What is described.
    keys : callable
        Takes the name of an action, and returns the keys that it has now.
    emit : callable
        Takes every new state.
    """

    def __init__(
        self,
        components: Components,
        keys: Callable[[str], tuple[str, ...]],
        emit: Callable[[SessionState], None],
    ) -> None:
        self._components = components
        self._keys = keys
        self._emit = emit
        self._closed = False
        self._held = 0
        self.state = SessionState(model=components.settings.model)
        """The newest state, as it was told."""
        self.notice: Status | None = None
        """What the last command had to say."""

    def close(self) -> None:
        """Tell of no other state."""
        self._closed = True

    def say(self, text: str) -> None:
        """Let the status line say something; "" for nothing."""
        self.notice = Status("attention", text) if text else None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Tell of nothing in between: who does this publishes at the end."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    def publish(self) -> None:
        """Make the state anew, and tell if it is another one."""
        if self._closed or self._held:
            return
        state = _with_keys(resolve(self._components, self.notice), self._keys)
        # Asked for after every event, most of which change nothing that panels show.
        if state != self.state:
            self.state = state
            self._emit(state)


def resolve(components: Components, notice: Status | None) -> SessionState:
    """Describe a session as it is now; nothing changes by it, and no pixels are read that were read before.

    Parameters
    ----------
    components : Components
        The components of the session.
    notice : Status or None
        What the last command had to say.
    """
    settings, active, live, log = components.settings, components.active, components.live, components.log
    image, answer = active.image, live.answer
    history = None if image is None else log.history(image)
    undo, redo = (False, False) if image is None else components.targets.earlier_steps(image)
    section, everything = components.propagation.state, components.everything.state
    objects = components.editing.state
    replaced = components.current.tracked if components.same_object.replaces_current else None
    next_id = _next_id(components, replaced)
    return SessionState(
        status=_status(components, notice),
        hint=_hint(components, section, everything, replaced, next_id),
        model=settings.model,
        device=live.device_text,
        channels=() if image is None else tuple(layer.name for layer in active.mix.seen_with(image)),
        tool=components.tools.current_tool,
        positive=components.tools.is_positive,
        candidates=() if answer is None else answer.candidates,
        selected=live.selected,
        next_id=next_id,
        only_empty=settings.only_empty,
        write_policy=settings.write_policy,
        protected_ids=settings.protected_ids,
        tempo=settings.tempo,
        level=settings.level,
        hover=settings.hover,
        asking=live.is_waiting,
        waiting=components.accepts.waiting,
        # After a cancel or a failure, it asks once more.
        can_accept=objects.can_apply
        if objects.tool in ("split", "merge") and not everything.picking
        else everything.can_accept or everything.can_make
        if everything.picking or (settings.tempo == "batch" and not live.is_answered and not live.is_waiting)
        else live.selected_candidate is not None or live.is_waiting or live.is_stopped,
        can_clear=not live.reading.empty or live.start is not None,
        can_clear_all=image is not None and not components.prompts.read_everything().empty,
        # Undo also says, once, that older steps were let go.
        can_undo=objects.clicks > 0 or (history is not None and bool(history.done or undo or history.shortened)),
        can_redo=history is not None and bool(history.undone or redo),
        shaping=settings.shaping,
        shaped=None if answer is None or not answer.changes or live.selected < 0 else answer.changes[live.selected],
        stack=section,
        everything=everything,
        series=components.series.state,
        objects=objects,
        recovery=components.recovery.state,
        table=components.table.state,
    )


def _with_keys(state: SessionState, keys: Callable[[str], tuple[str, ...]]) -> SessionState:
    """Name the keys in all that is said."""
    status = replace(state.status, text=messages.name_keys(state.status.text, keys))
    stack = replace(state.stack, text=messages.name_keys(state.stack.text, keys))
    series = replace(state.series, text=messages.name_keys(state.series.text, keys))
    everything = replace(state.everything, text=messages.name_keys(state.everything.text, keys))
    hint = messages.name_keys(state.hint, keys)
    return replace(state, status=status, hint=hint, stack=stack, series=series, everything=everything)


def _next_id(components: Components, replaced: TrackedObject | None) -> int | None:
    """Tell what label accept would write, after the objects that wait to be written."""
    image = components.active.image
    if replaced is not None:
        return replaced.label
    free = None if image is None else components.targets.next_id(image)
    return None if image is None or free is None else free + components.accepts.ids(image)


def _hint(
    components: Components,
    section: StackState,
    everything: EverythingState,
    replaced: TrackedObject | None,
    next_id: int | None,
) -> str:
    """Choose what the hint says."""
    active, live = components.active, components.live
    candidates = 0 if live.answer is None else len(live.answer.candidates)
    if (hint := components.editing.state.hint) and not everything.picking:
        return hint
    if everything.picking and everything.prompted:
        return prompted_messages.REFINED_HINT if everything.refines else prompted_messages.HINT
    if everything.picking and everything.can_accept_confident:
        return deciding_messages.HINT
    if everything.picking:
        return everything_messages.STACK_HINT if everything.stack else everything_messages.HINT
    if components.settings.tempo == "batch" and active.view is not None:
        return prompted_messages.ready(everything.drawn) if everything.can_make else prompted_messages.BATCH_HINT
    if components.tools.paints:
        return _brush_hint(components, messages.enter(next_id, replaces_current=replaced is not None), candidates)
    if replaced is not None and not candidates:
        return " ".join(filter(None, (propagation_messages.goes_on(replaced.label), section.joining)))
    return messages.hint(
        enter=messages.enter(next_id, replaces_current=replaced is not None),
        has_view=active.view is not None,
        armed=components.tools.current_tool is not None,
        candidates=candidates,
        prompts=not live.reading.empty,
        accepted=components.log.accepted is not None or bool(components.accepts.waiting),
        stack=active.image is not None and active.image.ndim > 2,
        joining=section.joining,
        turbo=components.settings.tempo == "turbo",
    )


def _brush_hint(components: Components, enter: str, candidates: int) -> str:
    """Say what the brush or the eraser does, and how the object is written."""
    does = messages.BRUSH if components.tools.is_positive else messages.ERASER
    if components.settings.tempo == "turbo":
        return f"{does} {messages.BRUSH_IN_TURBO}"
    return f"{does} {enter}" if candidates else does


def _status(components: Components, notice: Status | None) -> Status:
    """Choose what the status line says: what keeps the person from working goes first."""
    active, live = components.active, components.live
    if active.image is None:
        return components.series.status or notice or Status("attention", messages.NO_IMAGE)
    if active.view is None:
        return Status("attention", active.problem)
    plane = active.view.words(active.axis_names)
    work = live.status(plane)
    if work is not None and work.kind == "failed":
        return work
    if notice is not None:
        return notice
    running = (
        components.series,
        components.image_advisor,
        components.everything.judge.advisor,
        components.editing,
        components.everything,
        components.propagation,
        components.recovery,
    )
    if (run := next((one.status for one in running if one.status is not None), None)) is not None:
        return run
    if work is not None:
        return messages.waiting(work, components.accepts.waiting)
    if held := messages.prompts_held(components.accepts.unwritten):
        return Status("attention", held)
    if unsaved := components.recorder.unsaved:
        return Status("attention", unsaved)
    if live.reading.prompts.is_background_only and live.start is None:
        erased = live.reading.prompts.paint is not None
        return Status("attention", messages.ERASED_ONLY if erased else messages.BACKGROUND_ONLY)
    if warning := live.reading.warning(one_box=components.settings.tempo != "batch"):
        return Status("attention", warning)
    if live.ready is None:
        return Status()
    if live.ready.notice:
        return Status("attention", live.ready.notice)
    clicked = next(reversed(live.reading.prompts.places(positive=True)), None)
    together = active.mix.seen_with(active.image)
    if (other := components.channels.seen_elsewhere(active.image, active.view, clicked, together)) is not None:
        return Status("attention", messages.elsewhere(active.image.name, other.name))
    if live.is_cut:
        return Status("attention", messages.CUT)
    # Beside other images, "ready" has to say which one the model reads.
    name = active.image.name if components.channels.has_others(active.image) else ""
    if together:
        name = " + ".join(layer.name for layer in together)
    # On a large plane, nothing is encoded before a click says where.
    encoded = bool(live.ready.pictures)
    there = live.device_text if is_address(components.settings.device) else ""
    return Status("idle", messages.ready(plane, components.log.accepted, encoded=encoded, image=name, machine=there))
