from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import embeddings
import numpy as np
import pytest
import torch
from embeddings import key_of, packed, same

from fakes import BrightnessModel, blob
from napari_sam.cache.disk import DiskStore
from napari_sam.cache.memory import EmbeddingCache
from napari_sam.cache.writer import Writer
from napari_sam.embedding import Embedding
from napari_sam.geometry import Frame
from napari_sam.inference.engine import Engine
from napari_sam.planes.plane import Plane
from napari_sam.predictor import Predictor, load_predictor
from napari_sam.prompts import BoxPrompt, PointPrompt, PromptSet

if TYPE_CHECKING:
    from pathlib import Path

CLICK = PromptSet((PointPrompt((12, 40)),))
BOX = PromptSet((BoxPrompt((2, 30), (22, 50)),))
OTHER = Plane(blob(centre=(30, 20)))


def embedding(*features: torch.Tensor) -> Embedding:
    return Embedding(key_of(0), "w", Frame((1, 1), (1, 1), (1, 1)), features)


def round_trip(*features: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return Embedding.unpack(embedding(*features).packed(), torch.device("cpu")).features


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path / "embeddings", 10**9)


def test_the_least_recently_used_goes_first():
    one = packed(0).nbytes
    cache = EmbeddingCache(capacity=3 * one)
    for number in range(3):
        cache.put(packed(number))
    assert cache.get(key_of(0)) is not None
    cache.put(packed(3))
    assert [key_of(number) in cache for number in range(4)] == [True, False, True, True]
    assert cache.nbytes == 3 * one


def test_putting_again_does_not_count_twice():
    cache = EmbeddingCache()
    cache.put(packed(0, 10))
    cache.put(packed(0, 30))
    assert (len(cache), cache.nbytes) == (1, packed(0, 30).nbytes)


def test_one_embedding_larger_than_the_cache_is_still_kept():
    cache = EmbeddingCache(capacity=20)
    cache.put(packed(0, 100))
    assert cache.get(key_of(0)) is not None
    cache.put(packed(1, 2))
    assert cache.get(key_of(0)) is None
    assert cache.nbytes == packed(1, 2).nbytes


def test_clear_and_bad_capacity():
    cache = EmbeddingCache()
    cache.put(packed(0))
    cache.clear()
    assert (len(cache), cache.nbytes) == (0, 0)
    with pytest.raises(ValueError, match="bytes"):
        EmbeddingCache(-1)


def test_bytes_stay_right_under_threads():
    one = packed(0, 8).nbytes
    cache = EmbeddingCache(capacity=100 * one)
    ready = [packed(number, 8) for number in range(160)]

    def churn(first):
        for i in range(300):
            cache.put(ready[first + i % 40])
            cache.get(key_of(first + (i + 7) % 40))

    threads = [threading.Thread(target=churn, args=(first,)) for first in (0, 40, 80, 120)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.nbytes == one * len(cache) <= 100 * one


def test_what_left_the_memory_is_found_on_disk_and_kept_again(store):
    cache = EmbeddingCache(capacity=0, disk=store)
    cache.put(packed(1))
    cache.put(packed(2))
    cache.flush()
    assert len(cache) == 1
    assert key_of(1) in cache
    assert same(cache.get(key_of(1)), packed(1))
    (store.folder / f"{key_of(1)}.embedding").unlink()
    assert same(cache.get(key_of(1)), packed(1))


def test_only_what_took_long_goes_to_disk(store):
    cache = EmbeddingCache(disk=store, worth=0.2)
    cache.put(packed(1), seconds=0.1)
    cache.put(packed(2), seconds=0.3)
    cache.put(packed(3))
    cache.flush()
    assert [key_of(number) in store for number in (1, 2, 3)] == [False, True, True]
    assert key_of(1) in cache


def test_putting_does_not_wait_for_the_disk_and_little_waits():
    gate, written = threading.Event(), []

    def slow(one):
        assert gate.wait(60)
        written.append(one.key)

    writer = Writer(slow, most=3 * packed(0).nbytes)
    try:
        taken = [writer.submit(packed(number)) for number in range(6)]
        assert not written
    finally:
        gate.set()
        writer.flush()
    assert taken[:3] == [True, True, True]
    assert not taken[-1]
    assert written == [key_of(number) for number in range(6) if taken[number]]


def test_what_waits_is_written_before_the_interpreter_exits(store):
    script = (
        f"import sys; sys.path.insert(0, {os.path.dirname(embeddings.__file__)!r})\n"
        "from embeddings import *\n"
        "from napari_sam.cache import EmbeddingCache\n"
        "cache = EmbeddingCache(disk=DiskStore(Path(sys.argv[1])))\n"
        "for number in range(5):\n"
        "    cache.put(packed(number, 1_000_000))\n"
    )
    subprocess.run([sys.executable, "-c", script, str(store.folder)], check=True, timeout=60)
    assert all(same(store.get(key_of(number)), packed(number, 1_000_000)) for number in range(5))


def test_a_write_that_fails_does_not_stop_the_next_ones(caplog):
    written = []

    def fail_once(one):
        if not written:
            written.append("failed")
            raise RuntimeError("no")
        written.append(one.key)

    writer = Writer(fail_once)
    for number in range(3):
        writer.submit(packed(number))
    writer.flush()
    assert written == ["failed", key_of(1), key_of(2)]
    assert "could not be written" in caplog.text
    assert writer.submit(packed(4))
    writer.flush()
    assert written[-1] == key_of(4)


def test_packing_halves_what_fits_and_keeps_the_rest():
    wide = torch.tensor([[1e6, 1.0]])
    broken = torch.tensor([float("nan"), 1.0])
    counts = torch.arange(4)
    plain = torch.randn(1, 3, 8, 8)
    packing = embedding(wide, broken, counts, plain, plain.half(), torch.zeros(0, 2)).packed()
    assert [array.values.dtype.name for array in packing.arrays] == [
        "float32",
        "float32",
        "int64",
        "float16",
        "float16",
        "float32",
    ]
    back = Embedding.unpack(packing, torch.device("cpu")).features
    assert [f.dtype for f in back] == [
        torch.float32,
        torch.float32,
        torch.int64,
        torch.float32,
        torch.float16,
        torch.float32,
    ]
    assert torch.equal(back[0], wide)
    assert torch.equal(back[3], plain.half().float())


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_packing_keeps_the_order_in_memory(memory_format):
    [back] = round_trip(torch.randn(1, 5, 4, 3).to(memory_format=memory_format))
    assert back.is_contiguous(memory_format=memory_format)
    assert back.shape == (1, 5, 4, 3)
    turned = torch.randn(2, 3, 4, 5).permute(2, 0, 3, 1)
    [again] = round_trip(turned)
    assert again.stride() == turned.stride()
    assert torch.equal(again, turned.half().float())


def test_the_predictor_alone_is_not_rounded():
    predictor = Predictor(BrightnessModel(), "digest")
    assert predictor.embed(Plane(blob())).features[0].dtype == torch.float32


def test_answers_are_the_same_wherever_an_embedding_comes_from(store):
    plane = Plane((blob() // 2 + np.random.default_rng(0).integers(0, 40, (40, 60))).astype(np.uint8))
    predictor = load_predictor("bundled", "cpu")
    engine = Engine(predictor, EmbeddingCache(disk=store, worth=0.0))
    fresh = [engine.predict(plane, prompts) for prompts in (CLICK, BOX)]
    engine.cache.flush()
    memory = Engine(predictor, engine.cache)
    disk = Engine(predictor, EmbeddingCache(disk=DiskStore(store.folder)))
    for other in (engine, memory, disk):
        assert not other.prepare(plane)
        for prompts, wanted in zip((CLICK, BOX), fresh, strict=True):
            found = other.predict(plane, prompts)
            for name in ("masks", "scores", "logits"):
                np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    exact = predictor.embed(plane)
    for prompts, wanted in zip((CLICK, BOX), fresh, strict=True):
        answer = predictor.predict(exact, prompts)
        np.testing.assert_allclose(wanted.scores, answer.scores, atol=0.01)
        assert (wanted.masks == answer.masks).mean() > 0.99


def test_a_damaged_entry_is_computed_again(store):
    model = BrightnessModel()
    Engine(Predictor(model, "digest"), cache := EmbeddingCache(disk=store, worth=0.0)).embed(Plane(blob()))
    cache.flush()
    [path] = store.folder.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    Engine(Predictor(model, "digest"), again := EmbeddingCache(disk=store, worth=0.0)).embed(Plane(blob()))
    again.flush()
    assert model.encoded == 2
    assert store.get(path.stem) is not None


def test_preparing_leaves_the_plane_in_use_at_hand():
    model = BrightnessModel()
    engine = Engine(Predictor(model, "digest"), EmbeddingCache(0))
    engine.embed(Plane(blob()))
    assert engine.prepare(OTHER)
    assert not engine.prepare(OTHER)
    engine.embed(Plane(blob()))
    assert model.encoded == 2


def test_an_engine_keeps_what_is_costly_on_disk_by_default(home, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    engine = Engine(Predictor(BrightnessModel(), "digest"))
    engine.embed(Plane(blob()))
    engine.cache.flush()
    assert len(list((home / "embeddings").iterdir())) == 1


def test_other_code_makes_other_keys(monkeypatch):
    key = Predictor(BrightnessModel(), "digest").key
    before = key(Plane(blob()))
    assert key(Plane(blob())) == before
    monkeypatch.setattr("napari_sam.embedding.code_digest", lambda: "other")
    assert key(Plane(blob())) != before
