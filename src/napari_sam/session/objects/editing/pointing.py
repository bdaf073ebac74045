"""What is pointed at: the object at a place of the world, and the clicks that a tool has collected so far.

Of several layers, the topmost that is visible and has an object there counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels

from napari_sam.session.labels.pixels import full_resolution
from napari_sam.session.viewing.transform import LayerTransform

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_sam.session.state import ObjectTool


@dataclass(frozen=True, slots=True, eq=False)
class PointedObject:
    """An object that somebody points at.

    Attributes
    ----------
    layer : Labels
        The layer.
    label : int
        Its id there.
    place : numpy.ndarray, shape (D,), float64
        Where, data pixels of the layer.
    """

    layer: Labels
    label: int
    place: NDArray[np.float64]


def object_at(
    viewer: ViewerModel, position: NDArray[np.float64], without: Collection[Layer | None] = ()
) -> PointedObject | None:
    """Find the object at a place; None where no visible labels have one.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are.
    position : numpy.ndarray, shape (D,), float64
        In the world, one coordinate for each axis of the viewer.
    without : collection of Layer
        Layers that hold no objects of the person's, such as the preview.
    """
    for layer in reversed(viewer.layers):
        if not isinstance(layer, Labels) or not layer.visible or any(layer is other for other in without):
            continue
        # Axes of layers are lined up at their ends.
        place = LayerTransform.of(viewer, layer).to_data(position[-layer.ndim :])
        if (label := label_at(layer, place)) > 0:
            return PointedObject(layer, label, place)
    return None


def label_at(layer: Labels, place: NDArray[np.float64]) -> int:
    """Return the id at data pixels of a layer, (D,); 0 where there is none, or the place lies outside."""
    data, index = full_resolution(layer), np.rint(place).astype(int)
    if any(not 0 <= at < size for at, size in zip(index, data.shape, strict=True)):
        return 0
    return int(np.asarray(data[tuple(int(at) for at in index)]))


@dataclass(frozen=True, slots=True, eq=False)
class GatheredClicks:
    """What was clicked with a tool.

    Attributes
    ----------
    tool : {"pick", "split", "merge"} or None
        The tool.
    layer : Labels or None
        The layer of the objects; None before the first click.
    clicks : tuple of PointedObject
        The clicks, in their order.
    held : tuple of int
        Ids that come before those that were clicked: of the object at hand.
    """

    tool: ObjectTool | None = None
    layer: Labels | None = None
    clicks: tuple[PointedObject, ...] = ()
    held: tuple[int, ...] = ()

    @property
    def labels(self) -> tuple[int, ...]:
        """The ids that are meant, each once, in the order of the clicks."""
        return tuple(dict.fromkeys((*self.held, *(click.label for click in self.clicks))))

    @property
    def pixels(self) -> NDArray[np.int64]:
        """The pixels that were clicked, each once, (N, D)."""
        places = dict.fromkeys(tuple(int(at) for at in np.rint(click.place)) for click in self.clicks)
        return np.array(list(places), dtype=np.int64)

    @property
    def enough(self) -> bool:
        """Whether there is something to be done with them."""
        if self.tool == "merge":
            return len(self.labels) > 1
        return self.tool == "split" and len(self.clicks) > 0 and len(self.pixels) > 1

    def takes(self, found: PointedObject) -> bool:
        """Tell whether a click may join the others: on the same layer, and to split, on the same object."""
        if self.layer is None:
            return True
        return found.layer is self.layer and (self.tool == "merge" or found.label in self.labels)

    def with_click(self, found: PointedObject) -> GatheredClicks:
        """Return this with one click more."""
        return replace(self, layer=found.layer, clicks=(*self.clicks, found))

    def without_last(self) -> GatheredClicks:
        """Return this without the last click."""
        kept = self.clicks[:-1]
        return replace(self, layer=self.layer if kept or self.held else None, clicks=kept)
