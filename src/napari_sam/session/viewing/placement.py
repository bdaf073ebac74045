"""Where the layers that a session adds lie, and how they get into the viewer."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex


PLACING = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
"""Attributes, and names of events, that say where a layer lies."""


def placement_of(image: Image) -> dict[str, Any]:
    """Return the arguments that put a new layer exactly where an image is.

    Units and axis labels must be among them: a layer without units beside one that has some makes napari drop the
    units of all.
    """
    return {name: _copy_value(image, name) for name in PLACING}


def align_to_image(layer: Layer, image: Image) -> None:
    """Put a layer where an image is now, touching only what differs."""
    set_placement(layer, placement_of(image))


def set_placement(layer: Layer, wanted: dict[str, Any]) -> None:
    """Set attributes of a layer's placement that differ: napari draws a layer anew for each."""
    for name, value in wanted.items():
        if not np.array_equal(value, _copy_value(layer, name)):
            setattr(layer, name, value)


def part_placement(image: Image, view: PlaneIndex, start: tuple[int, int], step: int = 1) -> dict[str, Any]:
    """Return the arguments that put a new layer on a part of a plane of an image.

    Parameters
    ----------
    image : Image
        The image.
    view : PlaneIndex
        The plane.
    start : (int, int)
        Upper left data pixel of the part, (y, x).
    step : int
        Data pixels that a pixel of the layer stands for, in each direction.
    """
    place = placement_of(image)
    # Before the scale is changed: the part begins at a pixel of the image.
    own = Affine(**{name: place[name] for name in ("scale", "rotate", "shear", "translate")})
    origin = np.array([0 if index is None else index for index in view.index], dtype=float)
    for axis, first in zip(view.axes, start, strict=True):
        # A position is the middle of a pixel: a large one's lies amid those that it stands for.
        origin[axis] = first + (step - 1) / 2
        place["scale"][axis] *= step
    return place | {"translate": np.asarray(own(origin))}


def with_other_axes(view: PlaneIndex, pixels: NDArray[Any]) -> NDArray[Any]:
    """Give pixels of a plane, (h, w), an axis for each of the image's, all others one pixel long."""
    return pixels[tuple(np.newaxis if index is not None else slice(None) for index in view.index)]


def _copy_value(layer: Layer, name: str) -> Any:
    """Copy one attribute of a layer's placement, so that no array is shared between two layers."""
    value = getattr(layer, name)
    if name in ("units", "axis_labels"):
        return tuple(value)
    return np.array(value.affine_matrix if name == "affine" else value)


@contextmanager
def keeping_selection(viewer: ViewerModel) -> Iterator[None]:
    """Leave the selection of layers as it was: adding a layer selects it."""
    layers = viewer.layers
    before, active = set(layers.selection), layers.selection.active
    yield
    # What is done meanwhile may remove a layer that was selected.
    kept = {layer for layer in before if layer in layers}
    if set(layers.selection) != kept:
        layers.selection = kept
    # A selection of several layers leaves open which of them is active.
    if active in kept and layers.selection.active is not active:
        layers.selection.active = active


def add_below(viewer: ViewerModel, layer: Layer, above: list[Layer | None]) -> None:
    """Add a layer beneath the lowest of the layers `above`, or on top when none of them is there."""
    places = [viewer.layers.index(other) for other in above if other is not None and other in viewer.layers]
    with keeping_selection(viewer):
        viewer.layers.insert(min(places, default=len(viewer.layers)), layer)
