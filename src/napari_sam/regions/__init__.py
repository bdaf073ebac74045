"""Where each object of a labels image is, and how large."""

from napari_sam.regions.measuring import Box, RegionTable, combine, measure, measure_blocks

__all__ = ["Box", "RegionTable", "combine", "measure", "measure_blocks"]
