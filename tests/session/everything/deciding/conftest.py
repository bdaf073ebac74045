"""A session on a stack of four planes, on each of which there are other proposals."""

from __future__ import annotations

import numpy as np
import pytest
from deciding_scenery import SIDE, scores, squares


@pytest.fixture
def planes():
    """Grey values of the planes: 10, 20, 30, 40, with some noise."""
    chance = np.random.default_rng(0)
    noise = chance.integers(0, 5, (4, SIDE, SIDE))
    return (noise + np.array([10, 20, 30, 40])[:, None, None]).astype(np.uint8)


@pytest.fixture
def stack(viewer, planes, open_session, found, described):
    """A session on it; nothing was looked for yet."""
    viewer.add_image(planes, contrast_limits=(0, 255), name="cells", axis_labels=("z", "y", "x"))
    viewer.dims.axis_labels = ("z", "y", "x")
    viewer.dims.set_current_step(0, 0)
    session = open_session()
    session.wait(60)
    # By the grey values, so that each plane has the same ones whenever it is looked at.
    found.append(lambda plane: squares(scores(int(plane.pixels.min()) // 10)))
    return session
