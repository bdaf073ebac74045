"""A session on a small volume: three planes with two discs each, the second disc a little smaller on each plane."""

from __future__ import annotations

import numpy as np
import pytest
from found_objects import two_discs
from session_scenery import discs


@pytest.fixture
def volume():
    return np.stack([discs(), discs(), discs()])


@pytest.fixture
def stack(viewer, volume, open_session, found, described):
    """A session on a stack along z; nothing was looked for yet."""
    viewer.add_image(volume, contrast_limits=(0, 255), name="cells", axis_labels=("z", "y", "x"))
    viewer.dims.axis_labels = ("z", "y", "x")
    viewer.dims.set_current_step(0, 0)
    session = open_session()
    session.wait(60)
    found.append(two_discs)
    return session


@pytest.fixture
def searched(stack):
    """One that has looked at all planes."""
    stack.everything.find("stack")
    stack.wait(60)
    return stack
