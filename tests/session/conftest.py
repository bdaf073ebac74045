"""A viewer without a window, and sessions with a fake engine."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from session_scenery import DISCS, SHAPE, discs

from fake_engine import FakeEngine
from fake_propagation import FakePropagation
from napari_sam.session import Session


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def engines():
    """All engines that were loaded, oldest first."""
    return []


@pytest.fixture
def factory(engines):
    def load(model, device, progress):
        engines.append(FakeEngine(model, device))
        return engines[-1]

    return load


@pytest.fixture
def open_session(viewer, factory):
    """Open sessions that are closed after the test."""
    opened = []

    def open_one(on=viewer, *, prefetch=False, **options):
        opened.append(Session(on, engine_factory=options.pop("engine_factory", factory), **options))
        opened[-1].prefetch = prefetch
        return opened[-1]

    yield open_one
    for session in opened:
        session.close()


@pytest.fixture
def image(viewer):
    return viewer.add_image(discs(), contrast_limits=(0, 255), name="cells")


@pytest.fixture
def session(image, open_session):
    """A session on two discs, ready for prompts."""
    session = open_session()
    session.wait(60)
    return session


@pytest.fixture
def engine(session, engines):
    return engines[0]


@pytest.fixture
def carry(monkeypatch):
    """What carries objects in place of the model, with answers that a test may set."""
    fake = FakePropagation()
    monkeypatch.setattr("napari_sam.session.propagation.runner.propagate", fake)
    return fake


@pytest.fixture
def disc():
    """Pixels of each disc."""
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return [(y - cy) ** 2 + (x - cx) ** 2 <= 36 for cy, cx in DISCS]
