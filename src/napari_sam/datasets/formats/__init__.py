"""Formats of masks, one module each; `napari_sam.datasets.table` lists them."""
