"""Planes through the segmenter: what it reads, and what it gives back to the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fakes import SmallCanvas
from napari_sam.cache.memory import EmbeddingCache
from napari_sam.inference.engine import Engine
from napari_sam.inference.segmenter import PlainReader, segment_plane
from napari_sam.planes.plane import Plane
from napari_sam.planes.source import PlaneSource
from napari_sam.predictor import Predictor
from napari_sam.prompts import PointPrompt, PromptSet


class NotingReader:
    """Notes the crops that are read to be asked about, and those that are read to compare them."""

    def __init__(self, source):
        self._reader = PlainReader(source)
        self.seen, self.compared = [], []

    def see(self, crop, /):
        self.seen.append(crop)
        return self._reader.see(crop)

    def read(self, crop, /):
        self.compared.append(crop)
        return self._reader.read(crop)


def test_the_pixels_of_an_earlier_answer_are_compared_once():
    engine = Engine(Predictor(SmallCanvas(), "digest"), EmbeddingCache())
    y, x = np.ogrid[:900, :1100]
    large, small = (y - 450) ** 2 + (x - 500) ** 2 <= 300**2, (y - 60) ** 2 + (x - 1040) ** 2 <= 10**2
    source = PlaneSource.of(Plane(np.where(large | small, 200, 0).astype(np.uint8)))
    # Without its box, so that the search begins at the click, and goes through several crops.
    previous = replace(engine.segment(source, PromptSet((PointPrompt((60, 1040)),))).previous(), box=None)
    reader = NotingReader(source)
    segment_plane(engine, source, PromptSet((PointPrompt((450, 500)),)), previous=previous, reader=reader)
    assert len(set(reader.seen) - {previous.crop}) > 1
    assert reader.compared == [previous.crop]
