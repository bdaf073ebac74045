"""What is marked on a prompt layer, in its metadata: whether a session works with it, and whether one made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.layers import Layer

_IN_USE = "napari-sam-live: in use"
"""Key while a session works with a layer, so that a second session does not take it."""
_MADE = "napari-sam-live: made by a session"
"""Key of a layer that is no layer of the person's: the session that finds it may remove it."""


def is_in_use(layer: Layer) -> bool:
    """Tell whether a session works with a layer."""
    return bool(layer.metadata.get(_IN_USE))


def mark_in_use(layer: Layer) -> None:
    """Keep other sessions from working with a layer."""
    layer.metadata[_IN_USE] = True


def mark_free(layer: Layer) -> None:
    """Let any session work with a layer."""
    layer.metadata.pop(_IN_USE, None)


def is_made(layer: Layer) -> bool:
    """Tell whether a session made a layer."""
    return bool(layer.metadata.get(_MADE))


def mark_made(layer: Layer) -> None:
    """Note that a session made a layer."""
    layer.metadata[_MADE] = True
