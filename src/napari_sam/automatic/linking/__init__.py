"""Objects of planes linked: into objects of a volume, or along time."""

from __future__ import annotations

from napari_sam.automatic.linking.frames import Tracks, TrackSettings, link_frames
from napari_sam.automatic.linking.stack import LinkSettings, StackGraph, link_planes
from napari_sam.automatic.linking.writing import find_gaps, write_linked

__all__ = [
    "LinkSettings",
    "StackGraph",
    "TrackSettings",
    "Tracks",
    "find_gaps",
    "link_frames",
    "link_planes",
    "write_linked",
]
