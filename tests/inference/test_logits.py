from __future__ import annotations

import numpy as np
import pytest

from napari_sam.geometry import Frame, longest_side_frame
from napari_sam.inference.logits import NOWHERE, CropGrid, resampled
from napari_sam.planes import Crop, whole

PLANE = (3000, 4000)
CROP = Crop((500, 1000), (1024, 1024), (2.0, 2.0))


def ramp(frame, grid, axis):
    """Logits that say at which data pixel they are."""
    centres = (np.arange(grid[axis]) + 0.5) * frame.canvas[axis] / grid[axis] - 0.5
    data = frame.to_data(np.stack([centres, centres], axis=1))[:, axis]
    return np.ascontiguousarray(np.broadcast_to(np.expand_dims(data, 1 - axis), grid), dtype=np.float32)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("anchor", [0.0, 0.5])
def test_logits_land_on_the_same_data_pixels(axis, anchor):
    plane = longest_side_frame(PLANE, 1024, anchor=anchor)
    frame = longest_side_frame(CROP.picture, 1024, anchor=anchor)
    all_of_it, part = CropGrid(whole(PLANE), plane, (256, 256)), CropGrid(CROP, frame, (256, 256))
    inside = resampled(ramp(plane, (256, 256), axis), all_of_it, part)
    wanted = np.array(CROP.to_plane(np.stack([ramp(frame, (256, 256), axis)] * 2, axis=-1)))[..., axis]
    np.testing.assert_allclose(inside, wanted, atol=0.02)
    back = resampled(ramp(frame, (256, 256), axis), part, all_of_it)
    there = back != NOWHERE
    wanted = CROP.to_picture(np.stack([ramp(plane, (256, 256), axis)] * 2, axis=-1))[..., axis]
    # The outermost half cell has no neighbour to interpolate with.
    near = there & (wanted > 4) & (wanted < CROP.picture[axis] - 5)
    np.testing.assert_allclose(back[near], wanted[near], atol=0.02)
    assert there.any() and not there.all()


def test_outside_the_crop_is_nothing():
    frame = Frame((1024, 1024), (1024, 1024), (1024, 1024))
    plane = Frame(PLANE, (768, 1024), (1024, 1024))
    part, all_of_it = CropGrid(Crop((0, 0), (1024, 1024)), frame, (256, 256)), CropGrid(whole(PLANE), plane, (256, 256))
    full = resampled(np.full((256, 256), 5, np.float32), part, all_of_it)
    assert full[:65, :65].min() == 5 and full[67:].max() == NOWHERE and full[:, 67:].max() == NOWHERE
