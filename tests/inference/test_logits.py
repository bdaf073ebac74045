from __future__ import annotations

import numpy as np
import pytest

from napari_sam.geometry import Frame, longest_side_frame
from napari_sam.inference.logits import NOWHERE, into_crop, onto_plane
from napari_sam.planes import Crop

PLANE = (3000, 4000)
WINDOW = Crop((500, 1000), (1024, 1024), (2.0, 2.0))


def ramp(frame, grid, axis):
    """Logits that say at which data pixel they are."""
    centres = (np.arange(grid[axis]) + 0.5) * frame.canvas[axis] / grid[axis] - 0.5
    data = frame.to_data(np.stack([centres, centres], axis=1))[:, axis]
    return np.ascontiguousarray(np.broadcast_to(np.expand_dims(data, 1 - axis), grid), dtype=np.float32)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("anchor", [0.0, 0.5])
def test_logits_land_on_the_same_data_pixels(axis, anchor):
    plane = longest_side_frame(PLANE, 1024, anchor=anchor)
    frame = longest_side_frame(WINDOW.picture, 1024, anchor=anchor)
    inside = into_crop(ramp(plane, (256, 256), axis), plane, WINDOW, frame, (256, 256))
    wanted = np.array(WINDOW.to_plane(np.stack([ramp(frame, (256, 256), axis)] * 2, axis=-1)))[..., axis]
    np.testing.assert_allclose(inside, wanted, atol=0.02)
    back = onto_plane(ramp(frame, (256, 256), axis), frame, WINDOW, plane, (256, 256))
    there = back != NOWHERE
    wanted = WINDOW.to_picture(np.stack([ramp(plane, (256, 256), axis)] * 2, axis=-1))[..., axis]
    # The outermost half cell has no neighbour to interpolate with.
    near = there & (wanted > 4) & (wanted < WINDOW.picture[axis] - 5)
    np.testing.assert_allclose(back[near], wanted[near], atol=0.02)
    assert there.any() and not there.all()


def test_outside_the_window_is_nothing():
    frame = Frame((1024, 1024), (1024, 1024), (1024, 1024))
    plane = Frame(PLANE, (768, 1024), (1024, 1024))
    full = onto_plane(np.full((256, 256), 5, np.float32), frame, Crop((0, 0), (1024, 1024)), plane, (256, 256))
    assert full[:65, :65].min() == 5 and full[67:].max() == NOWHERE and full[:, 67:].max() == NOWHERE
