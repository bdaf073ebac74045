from __future__ import annotations

import numpy as np
import pytest

from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask
from napari_sam.text.crops import CropSettings, crop_pairs


def test_the_square_is_half_as_large_again_and_its_surroundings_are_dimmed():
    image = np.arange(40 * 50, dtype=np.uint32).reshape(40, 50, 1).repeat(3, axis=2).astype(np.uint8)
    mask = np.zeros((40, 50), bool)
    mask[15:19, 20:28] = True
    mask[15, 20] = False
    masked, context = crop_pairs(image, [BoxedMask.of(mask)], CropSettings(dim=0.5))
    # 8 px wide: 12 px, centred on rows 15 to 18 and columns 20 to 27.
    assert (context == image[11:23, 18:30]).all()
    inside = mask[11:23, 18:30]
    assert (masked[inside] == context[inside]).all()
    assert (masked[~inside] == context[~inside] // 2).all()


def test_beyond_the_plane_its_last_pixels_go_on():
    image = np.arange(6 * 6 * 3, dtype=np.uint8).reshape(6, 6, 3)
    mask = np.zeros((6, 6), bool)
    mask[:4, :4] = True
    masked, context = crop_pairs(image, [BoxedMask.of(mask)], CropSettings(dim=0))
    assert context.shape == (6, 6, 3)
    assert (context[1:, 1:] == image[:5, :5]).all()
    assert (context[0, 1:] == image[0, :5]).all()
    assert (context[1:, 0] == image[:5, 0]).all()
    assert masked[0].max() == 0  # what goes on is not the object


def test_pairs_come_in_the_order_of_the_masks_and_not_before_they_are_asked_for():
    masks = [BoxedMask((0, 0), np.ones((side, side), bool), (30, 30)) for side in (2, 4)]
    pictures = crop_pairs(np.zeros((30, 30, 3), np.uint8), iter(masks), CropSettings(enlarge=1))
    assert next(pictures).shape == (2, 2, 3)
    assert [len(picture) for picture in pictures] == [2, 4, 4]


@pytest.mark.parametrize("wrong", [{"enlarge": 0.5}, {"enlarge": float("nan")}, {"dim": -0.1}, {"dim": 2}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))} is a"):
        CropSettings(**wrong)
