"""Windows on large planes: what to look at, how it is read, and where the answers go."""

from napari_sam.windows.choosing import choose_window, fits, grown, screen_window, whole
from napari_sam.windows.window import Window, bounding_box

__all__ = ["Window", "bounding_box", "choose_window", "fits", "grown", "screen_window", "whole"]
