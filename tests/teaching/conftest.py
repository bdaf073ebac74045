"""Sessions with labels to learn from, and a program that tells what a test wants to hear."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from fake_engine import FakeEngine
from fake_finetune import behave
from napari_sam.session import Session
from napari_sam.teaching import Teaching


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def squares():
    """A stack of four planes, two of them with objects: nine on one, three of them on the other."""
    labels = np.zeros((4, 60, 80), np.int32)
    for index in range(9):
        y, x = (20 * at + 4 for at in divmod(index, 3))
        labels[1, y : y + 10, x : x + 10] = index + 1
    labels[2] = np.where(labels[1] <= 3, labels[1], 0)
    return labels


@pytest.fixture
def session(viewer, squares):
    """A session with an image and a target."""
    image = viewer.add_image(40 + 100 * (squares > 0).astype(np.uint16), name="cells", contrast_limits=(0, 200))
    viewer.dims.axis_labels = ("z", "y", "x")
    target = viewer.add_labels(squares.copy(), name="mine")
    session = Session(viewer, engine_factory=lambda model, device, _progress: FakeEngine(model, device), image=image)
    session.target = target
    session.wait(60)
    yield session
    session.close()


@pytest.fixture
def teaching(session):
    """Teaching from that session, with a program that reports a better model."""
    teaching = Teaching(session)
    behave(teaching, "better")
    yield teaching
    teaching.close()
