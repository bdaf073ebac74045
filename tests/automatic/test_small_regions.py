import numpy as np
import pytest
from scipy import ndimage

from napari_sam.automatic.grid.small_regions import without_small_regions
from napari_sam.masks import BoxedMask


def on_the_whole_plane(mask: np.ndarray, least: int) -> np.ndarray:
    """The rule in its plainest form."""

    def small(part: np.ndarray) -> np.ndarray:
        labels, count = ndimage.label(part, np.ones((3, 3)))
        return np.isin(labels, [i for i in range(1, count + 1) if (labels == i).sum() < least])

    filled = mask | small(~mask)
    return filled & ~small(filled)


@pytest.mark.parametrize("least", [1, 5, 30])
@pytest.mark.parametrize("inside", [0.3, 0.55, 0.95])
def test_random_masks_come_out_as_on_the_whole_plane(inside, least):
    rng = np.random.default_rng(0)
    for shape in ((3, 90), (40, 50), (60, 8)):
        mask = np.zeros(shape, bool)
        # Some go to the edge of the plane, and some leave a strip there that is itself too small.
        top, left = rng.integers(0, 3, 2)
        mask[top:-1, left : shape[1] - 1] = rng.random(mask[top:-1, left : shape[1] - 1].shape) < inside
        mask[1, 2:6] = True
        expected = on_the_whole_plane(mask, least)
        found = without_small_regions(BoxedMask.of(mask), least).whole()
        if expected.any():
            assert np.array_equal(found, expected)
        else:
            assert found.any()


def test_holes_are_filled_and_islands_removed():
    mask = np.zeros((30, 40), bool)
    mask[5:20, 5:25] = True
    clean = BoxedMask.of(mask)
    mask[10:12, 10:12] = False
    mask[25, 30:33] = True
    cleaned = without_small_regions(BoxedMask.of(mask), 5)
    assert np.array_equal(cleaned.whole(), clean.whole())
    assert cleaned.box == clean.box
    assert without_small_regions(clean, 5) is clean


def test_of_small_parts_alone_the_largest_stays():
    mask = np.zeros((30, 40), bool)
    mask[3, 3:6] = mask[20, 10:15] = True
    cleaned = without_small_regions(BoxedMask.of(mask), 50)
    assert (cleaned.origin, cleaned.area) == ((20, 10), 5)
    again = without_small_regions(cleaned, 50)
    assert again is not cleaned
    assert np.array_equal(again.whole(), cleaned.whole())
