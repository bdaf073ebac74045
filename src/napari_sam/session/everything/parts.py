"""Which part of a plane is looked at, and what labels it carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.search import MOST_PIXELS, part_between
from napari_sam.session.labels.pixels import full_resolution

if TYPE_CHECKING:
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.everything.search import Part, SearchRequest
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.viewing.active_image import ActiveImage

SearchPlace = Literal["plane", "screen", "box"]


def choose_part(active: ActiveImage, live: LivePrediction, plane: tuple[int, int], where: SearchPlace) -> Part | str:
    """Choose where to look on the plane on screen.

    Parameters
    ----------
    active, live
        What is on screen, and which box is drawn there.
    plane : (int, int)
        Height and width of the plane, data pixels.
    where : {"plane", "screen", "box"}
        The whole plane, what of it is on screen, or the box that is drawn.

    Returns
    -------
    Part or str
        First row and column, and the ends; words for why nowhere.
    """
    if where == "plane":
        part: Part | None = ((0, 0), plane)
        missing = ""
    elif where == "box":
        missing, box = everything_messages.NO_BOX, live.reading.prompts.box
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
