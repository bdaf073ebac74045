"""Segment everything: objects that nobody pointed at."""

from __future__ import annotations

from napari_sam.automatic.dense import segment_everything
from napari_sam.automatic.settings import QUICK, DenseSettings

__all__ = ["QUICK", "DenseSettings", "segment_everything"]
