"""Scrolling through stacks, and changing contrast: what is encoded when, and what is not."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from session_scenery import DISCS, discs

from fake_engine import FakeEngine


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("napari_sam.session.candidates.prefetch._IDLE_S", 0.01)


@pytest.fixture
def volume():
    """Every plane looks different."""
    return np.stack([np.maximum(discs(), z).astype(np.uint8) for z in range(20)])


@pytest.fixture
def stack(viewer, volume, open_session):
    viewer.add_image(volume, contrast_limits=(0, 255))
    viewer.dims.set_point(0, 10)
    session = open_session(prefetch=True)
    session.wait(60)
    return session


@pytest.fixture
def held_stack(viewer, volume, open_session, factory):
    """The same, with an engine that is held in its first step of what runs ahead."""

    def load(*asked, **options):
        engine = factory(*asked, **options)
        engine.gate.clear()
        return engine

    viewer.add_image(volume, contrast_limits=(0, 255))
    viewer.dims.set_point(0, 10)
    session = open_session(prefetch=True, engine_factory=load)
    session.wait(60)
    return session


def planes(seen):
    return [int(plane.pixels.min()) for plane in seen]


def settle(session, engine, count, timeout=60):
    """Wait for planes that are encoded ahead."""
    deadline = time.monotonic() + timeout
    while len(engine.prepared) < count and time.monotonic() < deadline:
        session.wait(60)
        time.sleep(0.005)
    return planes(engine.prepared)


def rest(session, timeout=60):
    """Wait until nothing is encoded ahead, either."""
    deadline = time.monotonic() + timeout
    while session._worker.busy("ahead") and time.monotonic() < deadline:
        session.wait(60)
        time.sleep(0.005)


def go_to(session, viewer, plane):
    viewer.dims.set_point(0, plane)
    session.wait(60)


def test_both_neighbours_are_encoded_before_anybody_scrolls(stack, engines):
    assert settle(stack, engines[0], 2) == [11, 9]
    rest(stack)
    assert len(engines[0].prepared) == 2


@pytest.mark.parametrize(("way", "wanted"), [(1, [12, 13, 14, 10]), (-1, [8, 7, 6, 10])])
def test_planes_are_encoded_in_the_direction_of_travel(stack, viewer, engines, way, wanted):
    settle(stack, engines[0], 2)
    engines[0].prepared.clear()
    go_to(stack, viewer, 10 + way)
    assert settle(stack, engines[0], len(wanted)) == wanted


def test_what_was_encoded_ahead_is_not_looked_at_again(stack, viewer, engines):
    settle(stack, engines[0], 2)
    go_to(stack, viewer, 11)
    assert settle(stack, engines[0], 6)[2:] == [12, 13, 14, 10]
    engines[0].prepared.clear()
    go_to(stack, viewer, 12)
    assert settle(stack, engines[0], 1) == [15]  # and not 11, 13 and 14
    rest(stack)
    assert len(engines[0].prepared) == 1


def test_the_ends_of_the_stack_are_kept(stack, viewer, engines):
    settle(stack, engines[0], 2)
    engines[0].prepared.clear()
    go_to(stack, viewer, 18)
    assert settle(stack, engines[0], 2) == [19, 17]


def test_the_axis_that_is_scrolled_along_counts(viewer, open_session, engines):
    movie = np.stack([np.stack([np.maximum(discs(), 20 * t + z) for z in range(8)]) for t in range(6)])
    viewer.add_image(movie.astype(np.uint8), contrast_limits=(0, 255))
    viewer.dims.set_point(0, 2)
    viewer.dims.set_point(1, 4)
    session = open_session(prefetch=True)
    session.wait(60)
    viewer.dims.set_point(0, 3)
    session.wait(60)
    rest(session)
    assert planes(engines[0].prepared)[-3:] == [84, 104, 44]


def test_a_click_stops_what_runs_ahead_at_its_next_step(held_stack, engines):
    stack, engine = held_stack, engines[0]
    settle(stack, engine, 1)  # it is held in its first step now
    started = threading.Event()
    predict = engine.predict
    engine.predict = lambda *args, **options: started.set() or predict(*args, **options)
    stack.points.add((10, *DISCS[0]))
    engine.gate.set()
    stack.wait(60)
    assert started.is_set() and stack.state.candidates
    # Plane 11 was given up, and is begun again after the click.
    assert settle(stack, engine, 3) == [11, 11, 9]


def test_nothing_waits_for_what_runs_ahead(held_stack, engines):
    settle(held_stack, engines[0], 1)
    held_stack.wait(60)  # else this would raise
    assert held_stack._worker.busy("ahead") and not engines[0].gate.is_set()
    engines[0].gate.set()


def test_it_can_be_switched_off(stack, viewer, engines):
    settle(stack, engines[0], 2)
    assert stack.prefetch
    stack.prefetch = False
    go_to(stack, viewer, 5)
    rest(stack)
    assert len(engines[0].prepared) == 2


def test_data_that_are_slow_to_read_are_not_read_ahead(viewer, volume, open_session, engines, monkeypatch):
    monkeypatch.setattr("napari_sam.inference.backend.SLOW_S", -1.0)
    viewer.add_image(volume, contrast_limits=(0, 255))
    session = open_session(prefetch=True)
    session.wait(60)
    rest(session)
    assert engines[0].prepared == []


def test_closing_ends_it(viewer, volume, open_session, engines):
    viewer.add_image(volume, contrast_limits=(0, 255))
    session = open_session(prefetch=True)
    session.wait(60)
    session.close()
    assert not session._worker.busy("ahead")


def test_embeddings_made_ahead_are_used(viewer, volume, open_session):
    from fakes import BrightnessModel
    from napari_sam.cache.memory import EmbeddingCache
    from napari_sam.inference.engine import Engine
    from napari_sam.predictor import Predictor

    model = BrightnessModel()
    engine = Engine(Predictor(model, "weights"), EmbeddingCache())
    viewer.add_image(volume, contrast_limits=(0, 255))
    viewer.dims.set_point(0, 10)
    session = open_session(prefetch=True, engine_factory=lambda *_: engine)
    session.wait(60)
    rest(session)
    assert model.encoded == 3
    session.prefetch = False
    go_to(session, viewer, 11)
    session.points.add((11, *DISCS[0]))
    session.wait(60)
    assert session.state.candidates and model.encoded == 3


# -- contrast -------------------------------------------------------------------------------------


def test_a_drag_of_the_contrast_encodes_once_when_it_ends(viewer, open_session, engines):
    image = viewer.add_image(discs(), contrast_limits=(0, 255))
    down, asked = threading.Event(), []

    def held():
        asked.append(down.is_set())
        return asked[-1]

    session = open_session(held=held)
    session.wait(60)
    down.set()
    for high in (250, 240, 230):
        image.contrast_limits = (0, high)
    for high in (220, None):  # a pause in the drag, longer than any delay
        asked.clear()
        deadline = time.monotonic() + 60
        while len(asked) < 3 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert asked[:3] == [True] * 3
        if high is not None:
            image.contrast_limits = (0, high)
    assert len(engines[0].embedded) == 1
    down.clear()
    session.wait(60)
    assert [plane.contrast_limits for plane in engines[0].embedded] == [(0, 255), (0, 220)]


def test_a_click_while_something_is_held_is_answered(viewer, open_session, engines):
    viewer.add_image(discs(), contrast_limits=(0, 255))
    session = open_session(held=lambda: True)
    session.points.add(DISCS[0])
    session.wait(60)
    assert session.state.candidates


def test_limits_that_are_set_to_what_they_are_change_nothing(session, image, engine):
    session.points.add(DISCS[0])
    session.wait(60)
    image.events.contrast_limits()
    image.events.gamma()
    assert session.state.candidates
    session.wait(60)
    assert len(engine.asked) == 1


def test_contrast_that_follows_the_plane_encodes_each_plane_once(viewer, volume, open_session):
    from fakes import BrightnessModel
    from napari_sam.cache.memory import EmbeddingCache
    from napari_sam.inference.engine import Engine
    from napari_sam.predictor import Predictor

    model = BrightnessModel()
    engine = Engine(Predictor(model, "weights"), EmbeddingCache())
    noise = np.random.default_rng(0).integers(0, 100, volume.shape)
    image = viewer.add_image(noise * np.linspace(0.5, 1, 20)[:, None, None], auto_contrast=True)
    session = open_session(prefetch=True, engine_factory=lambda *_: engine)
    session.wait(60)
    seen = set()
    for plane in (3, 4, 5):
        go_to(session, viewer, plane)
        seen.add(tuple(image.contrast_limits))
    assert len(seen) == 3
    assert model.encoded == 4
    for plane in (4, 3, 4, 5):
        go_to(session, viewer, plane)
    rest(session)
    assert model.encoded == 4  # neither again, nor ahead with limits that will be others


def test_a_fast_scroll_encodes_only_where_it_ends(viewer, volume, open_session, engines, monkeypatch):
    monkeypatch.setattr("napari_sam.session.events._SCROLL_S", 1.0)
    viewer.add_image(volume, contrast_limits=(0, 255))
    session = open_session()
    session.wait(60)
    for plane in range(1, 20):
        viewer.dims.set_point(0, plane)
    session.wait(60)
    assert planes(engines[0].embedded)[-1] == 19
    assert len(engines[0].embedded) == 2


def test_a_model_that_fails_ahead_disturbs_nobody(viewer, volume, open_session):
    engine = FakeEngine()
    engine.prepare = lambda *_args, **_options: 1 / 0
    viewer.add_image(volume, contrast_limits=(0, 255))
    session = open_session(prefetch=True, engine_factory=lambda *_: engine)
    session.wait(60)
    rest(session)
    assert session.state.status.kind == "idle"
