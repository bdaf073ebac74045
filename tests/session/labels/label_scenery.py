"""Labels of every kind of array, and who writes into them."""

from __future__ import annotations

import numpy as np
import zarr
from napari.components import ViewerModel

from napari_sam.session.labels.tiled import TiledLabels
from napari_sam.session.labels.writer import LabelWriter
from napari_sam.session.viewing.plane_on_screen import find_view


def array(shape, dtype="int32", chunks=None):
    return zarr.create_array(zarr.storage.MemoryStore(), shape=shape, chunks=chunks or shape, dtype=dtype, fill_value=0)


def in_zarr(values):
    array = zarr.create_array(zarr.storage.MemoryStore(), shape=values.shape, chunks=(8,) * values.ndim, dtype="int32")
    array[...] = values
    return array


def in_tiles(values):
    tiles = TiledLabels(in_zarr(np.zeros_like(values)))
    tiles[...] = values
    return tiles


def layer_and_writer(shape, make=lambda values: values, seed=None):
    """Give labels in a viewer, who writes into them, and the plane on screen; with noise in them if there is a seed."""
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros(shape, np.uint8))
    values = np.zeros(shape, np.int32)
    if seed is not None:
        values[:] = np.random.default_rng(seed).integers(0, 4, shape)
    layer = viewer.add_labels(make(values))
    return layer, LabelWriter(layer), find_view(viewer, image)
