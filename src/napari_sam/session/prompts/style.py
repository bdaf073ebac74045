"""How prompts look, and the features of a layer that say what they are.

Colours go by meaning and are told apart by people with any kind of colour vision (the set of Okabe and Ito, 2008);
positive and negative points also differ in shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from napari.layers import Points, Shapes
from napari.utils.colormaps.standardize_color import transform_color

from napari_sam.session.viewing.placement import placement_of

if TYPE_CHECKING:
    from napari.layers import Image
    from numpy.typing import NDArray

POLARITY = "polarity"
"""Name of the feature of a prompt layer that says what is "positive" in it, and what "negative"."""
KIND = "prompt"
"""Name of the feature that marks a Shapes layer as one of prompts."""

_BLUE_GREEN, _ORANGE, _YELLOW = "#009e73", "#e69f00", "#f0e442"
# By polarity:
_SYMBOLS = {True: "disc", False: "x"}
_COLOURS = {True: _BLUE_GREEN, False: _ORANGE}
_RIMS = {True: "#000000", False: _ORANGE}  # around the thin arms of the x, a dark rim would leave nothing to be seen


def make_points(image: Image) -> Points:
    """Make an empty layer for clicks: small marks of one size on the screen, which hide little of a small mask.

    Their size in data pixels is larger, so that they are easy to catch with the mouse; napari draws them no larger than
    its limit, with a thin rim that sets them off from any image.
    """
    points = Points(
        ndim=image.ndim,
        # Of objects: an empty column of no type becomes one of floats, which takes no words.
        features=pd.DataFrame({POLARITY: pd.Series([], dtype=object)}),
        feature_defaults={POLARITY: "positive"},
        face_color=_BLUE_GREEN,
        border_color=_RIMS[True],
        border_width=0.15,
        size=_share_of_side(image, 1 / 40),
        canvas_size_limits=(2, 8),
        name="SAM points",
        **placement_of(image),
    )
    set_current_polarity(points, True)
    return points


def make_shapes(image: Image) -> Shapes:
    """Make an empty layer for boxes, scribbles and areas."""
    return Shapes(
        ndim=image.ndim,
        feature_defaults={KIND: "box", POLARITY: "positive"},
        features=pd.DataFrame({name: pd.Series([], dtype=object) for name in (KIND, POLARITY)}),
        edge_color=_YELLOW,
        face_color="transparent",
        edge_width=_share_of_side(image, 1 / 300),
        name="SAM boxes",
        **placement_of(image),
    )


def style_points(points: Points) -> None:
    """Make colour and shape of every point tell its polarity again, after a program or an undo changed the table."""
    positive = read_polarity(points)
    symbols = np.array([_SYMBOLS[bool(p)] for p in positive], dtype=object)
    # Only what differs: napari draws the layer anew for whatever is set.
    if [str(s) for s in points.symbol] != list(symbols):
        points.symbol = symbols
    if not len(positive):
        return
    for name, colours in (("face_color", _COLOURS), ("border_color", _RIMS)):
        wanted = transform_color([colours[False], colours[True]])[positive.astype(int)]
        if not np.allclose(getattr(points, name), wanted):
            setattr(points, name, wanted)


def style_shapes(shapes: Shapes) -> None:
    """Make the colour of every shape tell its polarity: boxes, which are all positive, have one of their own."""
    if not len(shapes.data):
        return
    positive = read_polarity(shapes)
    boxes = np.array([str(kind) == "rectangle" for kind in shapes.shape_type]) & positive
    wanted = transform_color([_COLOURS[False], _COLOURS[True], _YELLOW])[np.where(boxes, 2, positive.astype(int))]
    # Only what differs: napari draws the layer anew for whatever is set.
    if not np.allclose(shapes.edge_color, wanted):
        shapes.edge_color = wanted


def read_polarity(layer: Points | Shapes) -> NDArray[np.bool_]:
    """Tell which points or shapes are positive: all that do not say "negative"."""
    positive = np.ones(len(layer.data), dtype=bool)
    if POLARITY in layer.features:
        # The table of a Shapes layer may be longer than the layer: see `drop_spare_rows`.
        told = layer.features[POLARITY].to_numpy()[: len(positive)]
        positive[: len(told)] = told != "negative"
    return positive


def drop_spare_rows(shapes: Shapes) -> None:
    """Take rows off the table of a layer that belong to no shape.

    napari leaves the row of a shape that was begun and not drawn to its end, and the next shape would get it.
    """
    if len(shapes.features) > (count := len(shapes.data)):
        shapes.features = shapes.features.iloc[:count]


def write_polarity(layer: Points | Shapes, positive: NDArray[np.bool_]) -> None:
    """Note which points or shapes are positive, (N,) bool."""
    # Of objects: an empty column of no type becomes one of floats, which takes no words.
    words = np.where(positive, "positive", "negative").astype(object)
    layer.features = layer.features.assign(**{POLARITY: words})


def current_polarity(layer: Points | Shapes) -> bool:
    """Tell whether the next click or stroke is positive."""
    defaults = layer.feature_defaults
    return POLARITY not in defaults or defaults[POLARITY].iloc[0] != "negative"


def set_current_polarity(points: Points, positive: bool) -> None:
    """Choose what the next click is. Points that are there keep what they are.

    napari keeps the newest point selected, and would turn it along with the current value; nothing stays selected here.
    """
    points.selected_data = set()
    points.feature_defaults = {**_current_features(points), POLARITY: "positive" if positive else "negative"}
    points.current_face_color = _COLOURS[positive]
    points.current_border_color = _RIMS[positive]
    points.current_symbol = _SYMBOLS[positive]


def set_shape_polarity(shapes: Shapes, positive: bool, *, boxes: bool) -> None:
    """Choose what the next shape is, and whether it is drawn as a box. Shapes that are there keep what they are."""
    shapes.selected_data = set()
    shapes.feature_defaults = {**_current_features(shapes), POLARITY: "positive" if positive else "negative"}
    shapes.current_edge_color = _YELLOW if boxes else _COLOURS[positive]


def _share_of_side(image: Image, share: float) -> float:
    """Give a share of the longest displayed side, in data pixels: what looks the same on images of any size."""
    return max(1.0, share * max(int(size) for size in image.data.shape[: image.ndim][-2:]))


def _current_features(layer: Points | Shapes) -> dict[str, Any]:
    return {str(name): layer.feature_defaults[name].iloc[0] for name in layer.feature_defaults}
