"""What undo and redo change is brought on screen: nothing happens behind the person's back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam.session import messages
from napari_sam.session.viewing.locations import Location

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam.session.objects.history import HistoryStep
    from napari_sam.session.prompts.drawing import PromptContents
    from napari_sam.session.prompts.editor import PromptEditor
    from napari_sam.session.viewing.active_image import ActiveImage


def reveal(
    active: ActiveImage, prompts: PromptEditor, image: Image, before: PromptContents, step: HistoryStep | None
) -> str:
    """Go to a plane of what has just changed, unless the one on screen shows any of it.

    Prompts that came count more than what went, and than what was written: who undoes a run goes on with its prompts.

    Parameters
    ----------
    active : ActiveImage
        What is on screen.
    prompts : PromptEditor
        What is drawn now.
    image : Image
        The image.
    before : PromptContents
        What was drawn before.
    step : HistoryStep or None
        The step that was undone or redone; None for one that was taken back as if it had never been made.

    Returns
    -------
    str
        Where it is, if that is a plane along other axes than those on screen; else "".
    """
    view = active.view
    if view is None:
        return ""
    after = prompts.copy_contents()
    came = prompts.locate_new(image, view, before, after)
    went = prompts.locate_new(image, view, after, before)
    written = () if step is None or step.written is None else step.written.parts
    # Of the prompts, the one that was drawn last: there the person was at work.
    places = came[::-1] or [*went[::-1], *(Location.of_region(part.change.region) for part in written)]
    if not places or any(place.is_seen_on(view) for place in places):
        return ""
    there = next((place for place in places if place.axes == view.axes), None)
    if there is None:
        plane = replace(view, index=places[0].index)
        return messages.along_other_axes(plane.words(active.axis_names))
    active.go_to(there.index)
    return ""
