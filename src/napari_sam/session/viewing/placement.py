"""Where the layers that a session adds lie, and how they get into the viewer."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from napari.layers import Image, Layer


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
