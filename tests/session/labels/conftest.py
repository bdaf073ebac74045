"""Labels that count as too large for memory."""

from __future__ import annotations

import numpy as np
import pytest
from session_scenery import SHAPE, discs

from napari_sam.session.labels import storage


@pytest.fixture
def large(viewer, monkeypatch):
    """A volume that counts as too large for memory."""
    monkeypatch.setattr(storage, "DENSE_BYTES", 1000)
    stack = np.zeros((5, *SHAPE), np.uint8)
    stack[2] = discs()
    image = viewer.add_image(stack, contrast_limits=(0, 255), scale=(4, 1, 1), axis_labels=("z", "y", "x"))
    viewer.dims.set_current_step(0, 2)
    return image
