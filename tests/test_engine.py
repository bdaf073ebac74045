from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from fakes import BrightnessModel, blob
from napari_sam.cache import EmbeddingCache
from napari_sam.engine import Engine
from napari_sam.geometry import Frame
from napari_sam.image import Plane
from napari_sam.predictor import Embedding, Predictor
from napari_sam.prompts import PointPrompt, PromptSet

CLICK = PromptSet((PointPrompt((12, 40)),))


def embedding(key: str, nbytes: int = 8) -> Embedding:
    return Embedding(key, "w", Frame((1, 1), (1, 1), (1, 1)), (torch.zeros(nbytes, dtype=torch.uint8),))


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


def test_the_least_recently_used_goes_first():
    cache = EmbeddingCache(capacity=24)
    for key in "abc":
        cache.put(embedding(key))
    assert cache.get("a") is not None
    cache.put(embedding("d"))
    assert [key in cache for key in "abcd"] == [True, False, True, True]
    assert cache.nbytes == 24


def test_putting_again_does_not_count_twice():
    cache = EmbeddingCache(capacity=100)
    cache.put(embedding("a", 10))
    cache.put(embedding("a", 30))
    assert (len(cache), cache.nbytes) == (1, 30)


def test_one_embedding_larger_than_the_cache_is_still_kept():
    cache = EmbeddingCache(capacity=4)
    cache.put(embedding("big", 100))
    assert cache.get("big") is not None
    cache.put(embedding("next", 2))
    assert cache.get("big") is None
    assert cache.nbytes == 2


def test_clear_and_bad_capacity():
    cache = EmbeddingCache()
    cache.put(embedding("a"))
    cache.clear()
    assert (len(cache), cache.nbytes) == (0, 0)
    with pytest.raises(ValueError, match="bytes"):
        EmbeddingCache(-1)


def test_bytes_stay_right_under_threads():
    cache = EmbeddingCache(capacity=800)

    def churn(name):
        for i in range(300):
            cache.put(embedding(f"{name}{i % 40}"))
            cache.get(f"{name}{(i + 7) % 40}")

    threads = [threading.Thread(target=churn, args=(name,)) for name in "wxyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.nbytes == 8 * len(cache) <= 800
