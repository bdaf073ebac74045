"""What the Everything section shows of the objects that were found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.state import EverythingState

if TYPE_CHECKING:
    from napari_sam.session.everything.selection import ProposalSelection


def describe(
    selection: ProposalSelection | None, axis_names: tuple[str, ...], *, here: bool, picking: bool
) -> EverythingState:
    """Describe the objects that were found, and which of them are shown.

    Parameters
    ----------
    selection : ProposalSelection or None
        The objects; None where there are none.
    axis_names : tuple of str
        Names of the image's data axes.
    here : bool
        Whether the plane on screen is theirs.
    picking : bool
        Whether a click keeps or drops an object.
    """
    if selection is None:
        return EverythingState()
    table = selection.result.table
    if not here:
        text = everything_messages.elsewhere(selection.result.request.source.view.words(axis_names))
    else:
        text = everything_messages.shown(selection.shown, len(table), selection.kept, selection.dropped)
        if (place := selection.pointed) is not None:
            match = selection.match
            kind = match.class_of(place) if match is not None and len(match.classes) > 1 else ""
            text = f"{text}\n{everything_messages.pointed(table, place, kind)}"
    return EverythingState(
        found=len(table),
        shown=selection.shown,
        chosen=selection.chosen,
        suggested=selection.result.chosen,
        largest=int(table.area.max()),
        intensities=(float(table.intensity.min()), float(table.intensity.max())),
        ranked_by="" if selection.match is None else selection.match.by,
        here=here,
        picking=picking,
        text=text,
        can_accept=here and selection.shown > 0,
    )
