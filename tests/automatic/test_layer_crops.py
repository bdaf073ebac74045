import numpy as np
import pytest
import torch
from segment_anything.utils import amg

from napari_sam.automatic import GridSettings
from napari_sam.automatic.grid.crops import layer_crops, point_grid

PLANE = (203, 310)


@pytest.mark.parametrize("overlap", [0.0, 512 / 1500, 0.9])
def test_crops_are_those_of_the_authors_in_their_order(overlap):
    boxes, layers = amg.generate_crop_boxes(PLANE, 2, overlap)
    crops = list(layer_crops(PLANE, GridSettings(crop_layers=2, crop_overlap=overlap)))
    assert [[*crop.start[::-1], *crop.stop[::-1]] for crop in crops] == boxes
    assert [crop.layer for crop in crops] == layers


def test_points_are_those_of_the_authors_in_their_order():
    settings = GridSettings(9, crop_layers=2, crop_downscale=2)
    grids = amg.build_all_layer_point_grids(9, 2, 2)
    assert len({len(grid) for grid in grids}) == 3
    for crop in layer_crops(PLANE, settings):
        expected = grids[crop.layer] * crop.shape[::-1]
        assert np.allclose(point_grid(crop, settings)[:, ::-1], expected, rtol=0, atol=1e-12)


def test_what_a_crop_cuts_off_is_what_the_authors_leave_out():
    rng = np.random.default_rng(0)
    crops = list(layer_crops(PLANE, GridSettings(crop_layers=1)))
    for crop in crops:
        corners = rng.integers(0, crop.shape, (200, 2, 2))
        boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
        expected = amg.is_box_near_crop_edge(
            torch.from_numpy(boxes[:, [1, 0, 3, 2]]), [*crop.start[::-1], *crop.stop[::-1]], [0, 0, *PLANE[::-1]]
        )
        assert crop.cuts(boxes + np.tile(crop.start, 2), PLANE).tolist() == expected.tolist()
        assert expected.any() == (crop.layer > 0)
