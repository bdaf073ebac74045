"""What the Everything section shows of the objects that were found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.stack.axes import is_time, stack_axes
from napari_sam.session.state import EverythingState

if TYPE_CHECKING:
    from napari_sam.session.everything.chooser import ObjectChooser
    from napari_sam.session.everything.deciding.judge import ProposalJudge
    from napari_sam.session.everything.found import FoundObjects
    from napari_sam.session.everything.selection import ProposalSelection
    from napari_sam.session.viewing.active_image import ActiveImage


def describe(
    chooser: ObjectChooser, judge: ProposalJudge, active: ActiveImage, drawn: int, *, batch: bool, running: bool
) -> EverythingState:
    """Describe what the section shows: where objects can be looked for, and those that were found.

    Parameters
    ----------
    chooser : ObjectChooser
        Keeps what was found.
    judge : ProposalJudge
        Knows which of it is confident.
    active : ActiveImage
        What is on screen.
    drawn : int
        How many objects what is drawn there stands for.
    batch : bool
        Whether each prompt is an object.
    running : bool
        Whether objects are being found, ranked or written.
    """
    axes = stack_axes(active)
    return replace(
        _describe_found(chooser, judge, active.axis_names),
        axes=axes,
        time_axes=tuple(axis.axis for axis in axes if is_time(active, axis)),
        running=running,
        drawn=drawn,
        can_make=not running and batch and drawn > 0,
        can_find=not running and active.view is not None,
    )


def _describe_found(chooser: ObjectChooser, judge: ProposalJudge, axis_names: tuple[str, ...]) -> EverythingState:
    """Describe the objects that were found, and which of them are shown."""
    found, here, locked = chooser.found, chooser.selection, chooser.locked
    if found is None:
        return EverythingState()
    shown = (here or found.planes[0]).shown
    stack = found.findings.stack is not None
    prompted = found.planes[0].result.request.prompted
    confident = 0 if here is None else len(here.shown_confident)
    return EverythingState(
        prompted=prompted is not None,
        refines=prompted is not None and prompted.replaces,
        found=len(found),
        shown=found.wanted if stack else shown,
        chosen=found.chosen,
        suggested=found.suggested,
        largest=found.largest,
        intensities=found.intensities,
        ranked_by="" if found.match is None else found.match.by,
        stack=stack,
        here=here is not None and not locked,
        picking=chooser.is_picking and not locked,
        text=_words(found, here, axis_names, "" if here is None else judge.words(here.shown, confident)),
        confident=confident,
        can_accept_confident=confident > 0 and not stack and not locked,
        can_accept=here is not None and not locked and (found.wanted if stack else shown) > 0,
    )


def _words(found: FoundObjects, here: ProposalSelection | None, axis_names: tuple[str, ...], promised: str) -> str:
    """Say what is shown, what there is on other planes, and what the mouse is on."""
    stack, lines = found.findings.stack, []
    if here is not None:
        table = here.result.table
        lines.append(everything_messages.shown(here.shown, len(table), here.kept, here.dropped, here=stack is not None))
        if emptied := here.result.emptied:
            lines.append(everything_messages.emptied(emptied))
    elif stack is None:
        lines.append(everything_messages.elsewhere(found.planes[0].result.request.source.view.words(axis_names)))
    else:
        lines.append(everything_messages.not_looked_at(stack.axis.name, len(found.planes)))
    if stack is not None:
        lines.append(everything_messages.in_stack(found.wanted, len(found), len(found.planes), stack.axis))
    if promised:
        lines.append(promised)
    if here is not None and (place := here.pointed) is not None:
        match = here.match
        kind = match.class_of(place) if match is not None and len(match.classes) > 1 else ""
        lines.append(everything_messages.pointed(here.result.table, place, kind))
    return "\n".join(lines)
