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
"""Name of the feature of a Points layer that says which points are "positive" and which "negative"."""
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
    """Make an empty layer for boxes."""
    return Shapes(
        ndim=image.ndim,
        feature_defaults={KIND: "box"},
        features=pd.DataFrame({KIND: pd.Series([], dtype=object)}),
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
    points.feature_defaults = {**_current_features(points), POLARITY: "positive" if positive else "negative"}
    points.current_face_color = _COLOURS[positive]
    points.current_border_color = _RIMS[positive]
    points.current_symbol = _SYMBOLS[positive]


def _share_of_side(image: Image, share: float) -> float:
    """Give a share of the longest displayed side, in data pixels: what looks the same on images of any size."""
    return max(1.0, share * max(int(size) for size in image.data.shape[: image.ndim][-2:]))


def _current_features(points: Points) -> dict[str, Any]:
    return {str(name): points.feature_defaults[name].iloc[0] for name in points.feature_defaults}
