"""What a person chose for a layer, kept in its metadata: it comes back when the dock is opened again.

The values are plain, as napari copies metadata with a layer, and others may write them to a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Layer

_KEY = "napari-sam-live"
_LAYER = "layer"
"""Which layer the choices are for: a copy of the layer has its metadata, but nobody chose anything for it yet."""


def remember_choices(layer: Layer, **choices: Any) -> None:
    """Keep choices with a layer, beside those that are kept already."""
    layer.metadata[_KEY] = {**recall_choices(layer), **choices, _LAYER: str(layer.unique_id)}


def recall_choices(layer: Layer) -> Mapping[str, Any]:
    """Return the choices that are kept with a layer."""
    found = layer.metadata.get(_KEY)
    return found if isinstance(found, dict) and found.get(_LAYER) == str(layer.unique_id) else {}
