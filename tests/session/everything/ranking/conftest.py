"""Models that tell objects apart by their size alone."""

from __future__ import annotations

import numpy as np
import pytest
from found_objects import proposal, these
from sized_objects import LARGE, OTHER, SMALL


class SizeEncoder:
    """Takes pictures of a side of more than twenty pixels for large things; the word for those is large."""

    name = "sizes"
    logit_scale = 10.0

    def __init__(self) -> None:
        self.pictures = 0

    def encode_text(self, phrases):
        return np.array([["large" in phrase, "small" in phrase, 0.1] for phrase in phrases], np.float32)

    def encode_images(self, images, count=None, progress=None):
        progress(0.5)
        sides = [image.shape[0] for image in images]
        self.pictures += len(sides)
        return np.array([[side > 20, side <= 20, 0.0] for side in sides], np.float32)


@pytest.fixture
def loaded(monkeypatch):
    """Encoders that were loaded, oldest first; a test may put an error in, which is raised instead."""
    encoders = []

    def load(name, device, *, progress):
        progress(0.0)
        if encoders and isinstance(encoders[-1], Exception):
            raise encoders.pop()
        encoders.append(SizeEncoder())
        return encoders[-1]

    monkeypatch.setattr("napari_sam.text.encoder.load_encoder", load)
    return encoders


@pytest.fixture
def sized(session, found):
    """A session that will find the three objects, in this order: large, small, other."""
    found.append(these(proposal(LARGE, 0.9), proposal(SMALL, 0.8), proposal(OTHER, 0.7)))
    return session
