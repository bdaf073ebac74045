"""A session whose engine finds what `found` says, when it is asked for everything."""

from __future__ import annotations

import pytest


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
