"""A session whose engine finds what `found` says, when it is asked for everything."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam.automatic.descriptors import Descriptors


@pytest.fixture
def found():
    """What is found: functions from the picture, (h, w), to proposals; a test may put others in."""
    return []


@pytest.fixture(autouse=True)
def _finds(monkeypatch, found):
    def find(predictor, embedding, settings, progress, *, plane):
        progress(0.5)
        return [proposal for one in found for proposal in one(embedding)]

    monkeypatch.setattr("napari_sam.session.everything.search.find_proposals", find)


@pytest.fixture
def described(monkeypatch):
    """How many objects were described, each time."""
    counts = []

    def describe(_predictor, _embedding, pixels, masks, extra=None):
        counts.append(len(masks))
        assert all(mask.plane == pixels.shape[:2] for mask in masks)
        values = np.array([[np.log(mask.area), 1.0] for mask in masks])
        return Descriptors(values, np.full(2, np.nan), np.zeros(2), np.ones(2))

    monkeypatch.setattr(Descriptors, "of", describe)
    return counts
