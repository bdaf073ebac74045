from __future__ import annotations

import numpy as np
import pytest

from fakes import BrightnessModel, blob
from napari_sam.cache import EmbeddingCache
from napari_sam.engine import Engine
from napari_sam.image import Plane
from napari_sam.predictor import Predictor
from napari_sam.prompts import PointPrompt, PromptSet

CLICK = PromptSet((PointPrompt((12, 40)),))


def test_a_plane_is_encoded_once():
    model = BrightnessModel()
    engine = Engine(Predictor(model, "digest"))
    plane = Plane(blob())
    assert not engine.is_cached(plane)
    first = engine.predict(plane, CLICK)
    assert engine.is_cached(Plane(blob()))
    again = engine.predict(Plane(blob()), CLICK)
    assert model.encoded == 1
    np.testing.assert_array_equal(first.masks, again.masks)


def test_the_pixels_of_a_plane_are_hashed_once(monkeypatch):
    engine = Engine(Predictor(BrightnessModel(), "digest"))
    plane = Plane(blob())
    engine.predict(plane, CLICK)
    monkeypatch.setattr(Plane, "rendered", property(lambda _: pytest.fail("the plane was rendered again")))
    engine.predict(plane, CLICK)


def test_another_window_is_another_plane():
    model = BrightnessModel()
    engine = Engine(Predictor(model, "digest"))
    engine.embed(Plane(blob()))
    engine.embed(Plane(blob(), (0, 100)))
    assert model.encoded == 2


def test_a_shared_cache_keeps_models_apart():
    cache = EmbeddingCache()
    one, two = BrightnessModel(), BrightnessModel()
    Engine(Predictor(one, "one"), cache).predict(Plane(blob()), CLICK)
    Engine(Predictor(two, "two"), cache).predict(Plane(blob()), CLICK)
    assert (one.encoded, two.encoded) == (1, 1)


def test_engine_speaks_for_its_predictor():
    engine = Engine(Predictor(BrightnessModel(), "digest"))
    assert engine.device_text.startswith("CPU (")
    assert engine.notice == ""
