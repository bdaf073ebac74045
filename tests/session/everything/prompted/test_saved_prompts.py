"""Points and boxes out of the files that napari writes of its layers."""

from __future__ import annotations

import numpy as np
from napari.layers import Points, Shapes
from napari_builtins.io import napari_write_points, napari_write_shapes

from napari_sam.automatic.prompted.tables import read_boxes, read_points
from napari_sam.prompts import BoxPrompt, PointPrompt


def test_what_napari_saves_of_points(tmp_path):
    path = tmp_path / "points.csv"
    points = Points([[1.5, 2], [3, 4]], features={"polarity": ["positive", "negative"]})
    assert napari_write_points(str(path), *points.as_layer_data_tuple()[:2])
    assert read_points(path) == (PointPrompt((1.5, 2)), PointPrompt((3, 4), positive=False))


def test_what_napari_saves_of_shapes(tmp_path):
    path = tmp_path / "shapes.csv"
    shapes = Shapes()
    shapes.add_rectangles([np.array([[1, 2], [1, 8], [5, 8], [5, 2]])])
    shapes.add_polygons(np.array([[10, 10], [20, 12], [15, 30]]))
    shapes.add_lines(np.array([[0, 0], [40, 40]]))
    assert napari_write_shapes(str(path), *shapes.as_layer_data_tuple()[:2])
    assert read_boxes(path) == (BoxPrompt((1, 2), (5, 8)), BoxPrompt((10, 10), (20, 30)))
