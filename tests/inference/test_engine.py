from __future__ import annotations

import numpy as np
import pytest

from fakes import BrightnessModel, blob
from napari_sam.cache.memory import EmbeddingCache
from napari_sam.inference import allocator
from napari_sam.inference import engine as engine_module
from napari_sam.inference.engine import Engine
from napari_sam.planes.plane import Plane
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


@pytest.fixture
def handed_back(monkeypatch):
    """Numbers of planes that were encoded when free memory was handed back."""
    model, at = BrightnessModel(), []
    monkeypatch.setattr(allocator, "give_back", lambda: at.append(model.encoded))
    return model, at


def planes(count):
    """Planes of which no two look alike."""
    pixels = [blob() for _ in range(count)]
    for number, one in enumerate(pixels):
        one[0, :number] = 255
    return [Plane(one) for one in pixels]


@pytest.mark.parametrize("ask", [Engine.embed, Engine.prepare])
def test_free_memory_is_handed_back_after_a_plane_was_encoded(monkeypatch, handed_back, ask):
    model, at = handed_back
    monkeypatch.setattr(engine_module, "_TIDY", 1)
    engine = Engine(Predictor(model, "digest"), EmbeddingCache(0))  # each drives the one before it out
    for plane in planes(3):
        ask(engine, plane)
    assert at == [1, 2, 3]
    ask(engine, plane)  # is there
    assert at == [1, 2, 3]


def test_small_planes_are_tidied_up_after_together(monkeypatch, handed_back):
    model, at = handed_back
    engine = Engine(Predictor(model, "digest"), EmbeddingCache())
    engine.embed(planes(1)[0])
    assert not at
    monkeypatch.setattr(engine_module, "_TIDY", 3 * engine.cache.nbytes)
    for plane in planes(10):
        engine.embed(plane)
    assert at == [3, 6, 9]
