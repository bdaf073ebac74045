"""Going to an object: to a plane that carries it, with its middle in the middle of the canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam.session.labels.pixels import full_resolution
from napari_sam.session.viewing.plane_on_screen import center_on

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_sam.regions import RegionTable
    from napari_sam.session.viewing.active_image import ActiveImage


def go_to(viewer: ViewerModel, active: ActiveImage, layer: Labels, table: RegionTable, row: int) -> None:
    """Bring an object on screen: a plane that carries it, unless the one there does, and its middle."""
    view = active.view
    if view is None:
        return
    index = [None if axis in view.axes else int(view.index[axis] or 0) for axis in range(table.ndim)]
    low, high = table.low[row], table.high[row]
    if not _carries(layer, table, row, index):
        middle = np.round(table.center[row]).astype(int)
        for axis in range(table.ndim):
            if axis not in view.axes:
                index[axis] = int(np.clip(middle[axis], low[axis], high[axis] - 1))
        active.go_to(tuple(_nearest(layer, table, row, index)))
    if (image := active.image) is not None:
        center_on(viewer, image, table.center[row], index)


def _nearest(layer: Labels, table: RegionTable, row: int, index: list[int | None]) -> list[int | None]:
    """Find a plane that carries an object: the middle one may lie in a gap."""
    deep = [axis for axis, at in enumerate(index) if at is not None]
    if len(deep) == 1:
        (axis,) = deep
        planes = range(int(table.low[row, axis]), int(table.high[row, axis]))
        for place in sorted(planes, key=lambda at: abs(at - int(index[axis] or 0))):
            index[axis] = place
            if _carries(layer, table, row, index):
                break
    return index


def _carries(layer: Labels, table: RegionTable, row: int, index: list[int | None]) -> bool:
    """Tell whether a plane carries an object; only the object's box is read."""
    low, high = table.low[row], table.high[row]
    if any(at is not None and not low[axis] <= at < high[axis] for axis, at in enumerate(index)):
        return False
    region = tuple(slice(int(low[axis]), int(high[axis])) if at is None else at for axis, at in enumerate(index))
    return bool((np.asarray(full_resolution(layer)[region]) == table.labels[row]).any())
