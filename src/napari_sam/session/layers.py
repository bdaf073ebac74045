"""The layers that a session adds: how they look, where they lie, and how they get into the viewer.

Colours go by meaning and are told apart by people with any kind of colour vision (the set of Okabe and Ito, 2008);
positive and negative points also differ in shape.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from napari.layers import Labels, Points, Shapes
from napari.utils.colormaps import CyclicLabelColormap
from napari.utils.colormaps.standardize_color import transform_color
from napari.utils.transforms import Affine

from napari_sam.session.label_store import empty_labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_sam.session.sheet import Sheet
    from napari_sam.session.view import View

POLARITY = "polarity"
"""Name of the feature of a Points layer that says which points are "positive" and which "negative"."""
KIND = "prompt"
"""Name of the feature that marks a Shapes layer as one of prompts."""

_BLUE_GREEN, _ORANGE, _YELLOW = "#009e73", "#e69f00", "#f0e442"
_SYMBOLS = {True: "disc", False: "x"}
_COLOURS = {True: _BLUE_GREEN, False: _ORANGE}
_RIMS = {True: "#000000", False: _ORANGE}  # around the thin arms of the x, a dark rim would leave nothing to be seen
PLACING = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
"""Attributes, and names of events, that say where a layer lies."""


def placement(image: Image) -> dict[str, Any]:
    """Return the arguments that put a new layer exactly where an image is.

    Units and axis labels must be among them: a layer without units beside one that has some makes napari drop the
    units of all.
    """
    return {name: _value(image, name) for name in PLACING}


def follow(layer: Layer, image: Image) -> None:
    """Put a layer where an image is now, touching only what differs."""
    _place(layer, placement(image))


def _place(layer: Layer, wanted: dict[str, Any]) -> None:
    """Set attributes of a layer's placement that differ: napari draws a layer anew for each."""
    for name, value in wanted.items():
        if not np.array_equal(value, _value(layer, name)):
            setattr(layer, name, value)


def _value(layer: Layer, name: str) -> Any:
    """Copy one attribute of a layer's placement, so that no array is shared between two layers."""
    value = getattr(layer, name)
    if name in ("units", "axis_labels"):
        return tuple(value)
    return np.array(value.affine_matrix if name == "affine" else value)


def make_points(image: Image) -> Points:
    """Make an empty layer for clicks: small marks of one size on the screen, which hide little of a small mask.

    Their size in data pixels is larger, so that they are easy to catch with the mouse; napari draws them no larger than
    its limit, with a thin rim that sets them off from any image.
    """
    points = Points(
        ndim=image.ndim,
        features=pd.DataFrame({POLARITY: pd.Series([], dtype=object)}),
        feature_defaults={POLARITY: "positive"},
        face_color=_BLUE_GREEN,
        border_color=_RIMS[True],
        border_width=0.15,
        size=_pixels(image, 1 / 40),
        canvas_size_limits=(2, 8),
        name="SAM points",
        **placement(image),
    )
    set_current_polarity(points, True)
    return points


def make_shapes(image: Image) -> Shapes:
    """Make an empty layer for boxes."""
    return Shapes(
        ndim=image.ndim,
        feature_defaults={KIND: "box"},
        features=pd.DataFrame({KIND: pd.Series([], dtype=object)}),
        edge_color=_YELLOW,
        face_color="transparent",
        edge_width=_pixels(image, 1 / 300),
        name="SAM boxes",
        **placement(image),
    )


def make_labels(image: Image) -> Labels:
    """Make an empty layer for accepted objects. Memory is claimed only where something is written.

    Raises
    ------
    InputError
        If the labels are so large that they belong on the disk, and it cannot be written.
    """
    data = empty_labels(image)
    return Labels(data, name="SAM labels", multiscale=isinstance(data, list), **placement(image))


def make_preview(image: Image, view: View, sheet: Sheet) -> Labels:
    """Make an empty layer for the candidate, one plane thick, that covers a part of a plane."""
    data = preview_data(view, np.zeros(sheet.shape, dtype=np.uint8))
    preview = Labels(data, name="SAM preview", opacity=1.0, **preview_placement(image, view, sheet))
    preview.editable = False
    return preview


def preview_data(view: View, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give pixels of a plane, (h, w), an axis for each of the image's, all others one pixel long."""
    return pixels[tuple(np.newaxis if index is not None else slice(None) for index in view.index)]


def preview_placement(image: Image, view: View, sheet: Sheet) -> dict[str, Any]:
    """Return the arguments that put the preview on its part of a plane."""
    place = placement(image)
    own = Affine(**{name: place[name] for name in ("scale", "rotate", "shear", "translate")})
    origin = np.array([0 if index is None else index for index in view.index], dtype=float)
    for axis, start in zip(view.axes, sheet.start, strict=True):
        origin[axis] = start + (sheet.step - 1) / 2
        place["scale"][axis] *= sheet.step
    return place | {"translate": np.asarray(own(origin))}


def place_preview(preview: Labels, image: Image, view: View, sheet: Sheet) -> None:
    """Move the preview to its part of a plane."""
    _place(preview, preview_placement(image, view, sheet))


def contour_colours(bright: bool) -> CyclicLabelColormap:
    """Return the colours of a preview: black on a bright backdrop, white on a dark one.

    Cyclic, although one label needs no cycle: napari draws a direct colormap by code that numba compiles on the GUI
    thread first, which froze the window for seconds at the first mask.
    """
    ink = [0, 0, 0, 1] if bright else [1, 1, 1, 1]
    return CyclicLabelColormap(colors=np.array([[0, 0, 0, 0], ink], dtype=np.float32), seed=0.5, background_value=0)


def _pixels(image: Image, share: float) -> float:
    """Give a share of the longest displayed side, in data pixels: what looks the same on images of any size."""
    return max(1.0, share * max(int(size) for size in image.data.shape[: image.ndim][-2:]))


def read_polarity(points: Points) -> NDArray[np.bool_]:
    """Tell which points are positive: all that do not say "negative"."""
    if POLARITY not in points.features:
        return np.ones(len(points.data), dtype=bool)
    positive: NDArray[np.bool_] = points.features[POLARITY].to_numpy() != "negative"
    return positive


def current_polarity(points: Points) -> bool:
    """Tell whether the next click is positive."""
    defaults = points.feature_defaults
    return POLARITY not in defaults or defaults[POLARITY].iloc[0] != "negative"


def set_current_polarity(points: Points, positive: bool) -> None:
    """Choose what the next click is. Points that are there keep what they are.

    napari keeps the newest point selected, and would turn it along with the current value; nothing stays selected here.
    """
    points.selected_data = set()
    points.feature_defaults = {**_defaults(points), POLARITY: "positive" if positive else "negative"}
    points.current_face_color = _COLOURS[positive]
    points.current_border_color = _RIMS[positive]
    points.current_symbol = _SYMBOLS[positive]


def dress_points(points: Points) -> None:
    """Make colour and shape of every point tell its polarity again, after a program or an undo changed the table."""
    positive = read_polarity(points)
    symbols = np.array([_SYMBOLS[bool(p)] for p in positive], dtype=object)
    if [str(s) for s in points.symbol] != list(symbols):
        points.symbol = symbols
    if not len(positive):
        return
    for name, colours in (("face_color", _COLOURS), ("border_color", _RIMS)):
        wanted = transform_color([colours[False], colours[True]])[positive.astype(int)]
        if not np.allclose(getattr(points, name), wanted):
            setattr(points, name, wanted)


def _defaults(points: Points) -> dict[str, Any]:
    return {str(name): points.feature_defaults[name].iloc[0] for name in points.feature_defaults}


@contextmanager
def keeping_selection(viewer: ViewerModel) -> Iterator[None]:
    """Leave the selection of layers as it was: adding a layer selects it."""
    layers = viewer.layers
    before, active = set(layers.selection), layers.selection.active
    yield
    kept = {layer for layer in before if layer in layers}
    if set(layers.selection) != kept:
        layers.selection = kept
    if active in kept and layers.selection.active is not active:
        layers.selection.active = active


def add_below(viewer: ViewerModel, layer: Layer, above: list[Layer | None]) -> None:
    """Add a layer beneath the lowest of the layers `above`, or on top when none of them is there."""
    places = [viewer.layers.index(other) for other in above if other is not None and other in viewer.layers]
    with keeping_selection(viewer):
        viewer.layers.insert(min(places, default=len(viewer.layers)), layer)
