"""Memory that is free goes back to the system."""

from __future__ import annotations

from fake_engine import FakeEngine
from napari_sam.inference import allocator
from napari_sam.inference.backend import InferenceBackend
from napari_sam.progress import no_progress


def test_the_memory_of_a_model_is_handed_back_before_the_next_is_loaded(monkeypatch):
    happened = []
    monkeypatch.setattr(allocator, "give_back", lambda: happened.append("handed back"))

    def load(model, _device, _progress):
        happened.append(model)
        return FakeEngine(model)

    backend = InferenceBackend(load)
    backend.engine("one", "cpu", no_progress)
    del happened[:]
    backend.engine("one", "cpu", no_progress)
    assert not happened
    backend.engine("two", "cpu", no_progress)
    assert happened == ["handed back", "two"]
