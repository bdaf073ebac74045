"""Crops on large planes: what to look at, how it is read, and where the answers go."""

from napari_sam.masks import bounding_box
from napari_sam.planes.crop import Crop
from napari_sam.planes.crop_placement import choose_crop, fits, grown, screen_crop, whole

__all__ = ["Crop", "bounding_box", "choose_crop", "fits", "grown", "screen_crop", "whole"]
