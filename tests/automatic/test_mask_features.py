"""Features under masks: which cells count how much, whatever the frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam.automatic.mask_features import cell_weights, pooled_features
from napari_sam.geometry import Frame, longest_side_frame
from napari_sam.masks import BoxedMask

SQUARE = Frame((8, 12), (8, 12), (8, 16))
"""Data pixels are model pixels; the last four columns are padding. On a grid of 2 x 4, a cell has 4 x 4 pixels."""


class MapModel:
    """Gives the map that its features are."""

    def object_map(self, features):
        return features[0]


def mask(plane: tuple[int, int], rows: slice, columns: slice) -> BoxedMask:
    whole = np.zeros(plane, bool)
    whole[rows, columns] = True
    return BoxedMask.of(whole)


def weights_of(some: BoxedMask, frame: Frame = SQUARE, grid: tuple[int, int] = (2, 4)) -> np.ndarray:
    return cell_weights([some], frame, grid).toarray().reshape(grid)


def test_a_cell_counts_by_how_much_of_it_is_covered():
    # Cells see pixels as trapezoids, so that a row at the border between two counts for both.
    found = weights_of(mask((8, 12), slice(0, 4), slice(0, 8)))
    assert found[0, 0] > 0.4
    assert found[0, 1] > 0.4
    assert found.sum() == pytest.approx(1)
    partly = weights_of(mask((8, 12), slice(0, 3), slice(0, 6)))
    assert partly[0, 0] == pytest.approx(2 * partly[0, 1], rel=0.25)
    assert partly[1].max() == 0


def test_padding_counts_nothing():
    found = weights_of(mask((8, 12), slice(0, 8), slice(0, 12)))
    np.testing.assert_allclose(found[:, :3], 1 / 6, rtol=1e-6)
    assert found[:, 3].max() == 0


@pytest.mark.parametrize("place", [(0, 0), (3, 5), (7, 11)])
def test_one_pixel_has_the_cell_that_it_lies_in(place):
    found = weights_of(mask((8, 12), slice(place[0], place[0] + 1), slice(place[1], place[1] + 1)))
    assert np.unravel_index(found.argmax(), found.shape) == (place[0] // 4, place[1] // 4)
    assert found.sum() == pytest.approx(1)


def test_masks_are_weighed_as_whole_planes_are():
    frame = longest_side_frame((37, 90), 64)
    some = [mask((37, 90), slice(3, 20), slice(40, 77)), mask((37, 90), slice(30, 37), slice(0, 5))]
    found = cell_weights(some, frame, (16, 16)).toarray()
    for row, boxed in zip(found, some, strict=True):
        expected = frame.onto_grid(boxed.whole(), (16, 16))
        np.testing.assert_allclose(row.reshape(16, 16), expected / expected.sum(), atol=1e-6)


def test_means_and_spreads_are_those_of_the_covered_cells():
    values = torch.arange(16, dtype=torch.float32).reshape(2, 2, 4)
    some = [mask((8, 12), slice(0, 8), slice(0, 12)), mask((8, 12), slice(1, 3), slice(1, 3))]
    means, spreads = pooled_features(MapModel(), (values,), SQUARE, some)
    inside = values.numpy()[:, :, :3].reshape(2, -1)
    np.testing.assert_allclose(means[0], inside.mean(1), rtol=1e-5)
    np.testing.assert_allclose(spreads[0], inside.std(1), rtol=1e-5)
    np.testing.assert_allclose(means[1], values[:, 0, 0])
    np.testing.assert_allclose(spreads[1], 0, atol=1e-3)
    assert means.dtype == spreads.dtype == np.float32


def test_large_features_that_are_all_alike_have_no_spread():
    values = torch.full((3, 2, 4), 1000.1)
    _means, spreads = pooled_features(MapModel(), (values,), SQUARE, [mask((8, 12), slice(0, 7), slice(0, 9))])
    assert np.isfinite(spreads).all()
    assert spreads.max() < 1


def test_no_masks_have_no_rows():
    means, spreads = pooled_features(MapModel(), (torch.zeros(3, 2, 4),), SQUARE, [])
    assert means.shape == spreads.shape == (0, 3)
