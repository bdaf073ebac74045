"""Tells whether what is prompted on a plane is the current object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam.session.labels.pixels import full_resolution
from napari_sam.session.objects.tracked import is_there

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_sam.inference.request import Candidate
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.prompts import PromptSet
    from napari_sam.session.objects.tracked import TrackedObject


def belongs(current: TrackedObject, view: PlaneIndex, prompts: PromptSet, candidate: Candidate | None) -> bool:
    """Tell whether what is prompted on a plane belongs to an object.

    Where a run has written the object, it does when a click or a stroke on the object lies on its pixels, or when more
    than half of the candidate, or of what the plane carries, is in both: a new object would be a sliver beside the old
    one. Where the person drew it, something inside of it may be meant: there the greater of the two has to be in both
    for the most part.

    Parameters
    ----------
    current : TrackedObject
        The object.
    view : PlaneIndex
        The plane.
    prompts : PromptSet
        What is drawn there.
    candidate : Candidate or None
        What was answered; None while that is under way.
    """
    record = current.planes.get(view.index)
    if record is None or full_resolution(current.layer).ndim != len(view.index) or not is_there(current, view, record):
        return False
    if not record.annotated and any(
        label_at(current.layer, view, place) == current.label for place in prompts.places(positive=True)
    ):
        return True
    if candidate is None or not candidate.area:
        return False
    size = (candidate.mask.shape[0], candidate.mask.shape[1])
    # The mask's own box, not the plane, which may be huge or on a disk.
    present = np.asarray(full_resolution(current.layer)[view.slices(candidate.origin, size)]) == current.label
    areas = candidate.area, int(np.count_nonzero(record.mask))
    shared = np.count_nonzero(present & candidate.mask)
    return bool(shared > (max(areas) if record.annotated else min(areas)) / 2)


def label_at(layer: Labels, view: PlaneIndex, position: tuple[float, float]) -> int:
    """Read the label of the pixel at a position, (y, x) data pixels of a plane; 0 outside of it."""
    y, x = (round(at) for at in position)
    if not (0 <= y < view.shape[0] and 0 <= x < view.shape[1]):
        return 0
    return int(np.asarray(full_resolution(layer)[view.slices((y, x), (1, 1))]).max())
