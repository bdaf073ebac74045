"""Where objects are looked for, how, and what labels there are already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.search import MOST_PIXELS, SearchRequest, part_between
from napari_sam.session.labels.pixels import full_resolution

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.everything.prompted.source import PromptSource
    from napari_sam.session.everything.search import Part, SearchMode
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.viewing.active_image import ActiveImage

SearchPlace = Literal["plane", "screen", "box", "stack"]
LinkChoice = Literal["auto", "depth", "time", "off"]


@dataclass(frozen=True, slots=True)
class SearchScope:
    """Where and how a person wants objects to be found.

    Attributes
    ----------
    where : {"plane", "screen", "box", "stack"}
        The whole plane, what of it is on screen, the box that is drawn, or all planes of a stack.
    mode : {"auto", "dense", "grid"}
        Whether the model's dense maps say where objects are, or a grid of points; "auto": the maps, if it has any.
    axis : int or None
        The data axis that planes of a stack follow each other along; None: as the person scrolls.
    link : {"auto", "depth", "time", "off"}
        Whether objects of the planes of a stack become objects of a volume, or tracks; "auto": as the axis says.
    """

    where: SearchPlace = "plane"
    mode: SearchMode = "auto"
    axis: int | None = None
    link: LinkChoice = "auto"


def plane_request(
    active: ActiveImage, live: LivePrediction, settings: SessionSettings, scope: SearchScope
) -> SearchRequest | str:
    """Ask for the part of the plane on screen that a person wants; words where there is none."""
    if (source := active.plane_source()) is None:
        return active.problem
    part = choose_part(active, live, source.view.shape, scope.where)
    if isinstance(part, str):
        return part
    (top, left), (bottom, right) = part
    shape = bottom - top, right - left
    request = SearchRequest(settings.model, settings.device, source, (top, left), shape, scope.mode)
    return request.shaped_for(settings.shaping)


def prompted_request(
    active: ActiveImage,
    live: LivePrediction,
    settings: SessionSettings,
    read: Callable[[PlaneIndex, tuple[int, int], tuple[int, int]], PromptSource | str],
) -> SearchRequest | str:
    """Ask for the objects of many prompts on the plane on screen; words where there is nothing to ask for.

    Parameters
    ----------
    active, live, settings
        What is on screen, and what the person chose.
    read : callable
        Takes the plane, and the upper left pixel and the shape of the part that is looked at; gives the prompts.
    """
    if (source := active.plane_source()) is None:
        return active.problem
    # All of the plane, or, where it is too large, what the person sees of it.
    part = choose_part(active, live, source.view.shape, "plane")
    if isinstance(part, str):
        part = choose_part(active, live, source.view.shape, "screen")
    if isinstance(part, str):
        return part
    (top, left), (bottom, right) = part
    start, shape = (top, left), (bottom - top, right - left)
    prompted = read(source.view, start, shape)
    if isinstance(prompted, str):
        return prompted
    request = SearchRequest(settings.model, settings.device, source, start, shape, "prompts", prompted, settings.level)
    return request.shaped_for(settings.shaping)


def choose_part(active: ActiveImage, live: LivePrediction, plane: tuple[int, int], where: SearchPlace) -> Part | str:
    """Choose where to look on the plane on screen.

    Parameters
    ----------
    active, live
        What is on screen, and which box is drawn there.
    plane : (int, int)
        Height and width of the plane, data pixels.
    where : {"plane", "screen", "box", "stack"}
        The whole plane, also where it is one of a stack; what of it is on screen; or the box that is drawn.

    Returns
    -------
    Part or str
        First row and column, and the ends; words for why nowhere.
    """
    if where in ("plane", "stack"):
        part: Part | None = ((0, 0), plane)
        missing = ""
    elif where == "box":
        missing, drawn = everything_messages.NO_BOX, live.reading.prompts
        # A lasso or an ellipse surrounds a part of the plane, too.
        box = drawn.box or next((area.box for area in reversed(drawn.areas) if area.positive), None)
        part = None if box is None else part_between(np.array(box.start), np.array(box.stop), plane)
    else:
        missing, view = everything_messages.NOT_VISIBLE, active.view
        corners = None if view is None else active.visible_corners(view)
        part = None if corners is None else part_between(*corners, plane)
    if part is None:
        return missing
    (top, left), (bottom, right) = part
    if (bottom - top) * (right - left) > MOST_PIXELS:
        return everything_messages.too_large(bottom - top, right - left)
    return part


def labels_there(targets: TargetLayers, image: Image, request: SearchRequest) -> NDArray[np.integer[Any]] | None:
    """Read the labels that the part of a search carries, (h, w); None where there is no target yet."""
    writer = targets.find_writer(image)
    if writer is None:
        return None
    labels: NDArray[np.integer[Any]] = np.asarray(
        full_resolution(writer.layer)[request.source.view.slices(request.start, request.shape)]
    )
    return labels
