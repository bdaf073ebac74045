"""The mask under the cursor: what it asks, of what, when it goes, and that it never keeps anybody waiting."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.utils.interactions import mouse_move_callbacks
from session_scenery import DISCS, click, discs
from stepped import SteppedWorker

FIRST, SECOND = DISCS


@pytest.fixture
def worker(monkeypatch):
    """The worker of the session that is opened next, in the hands of the test."""
    made = []

    def make(post=None):
        made.append(SteppedWorker(post))
        return made[-1]

    monkeypatch.setattr("napari_sam.session.session.Worker", make)
    return lambda: made[-1]


@pytest.fixture
def session(worker, image, open_session):
    session = open_session()
    session.wait()
    session.hover = True
    session.use_tool("positive")
    return session


@pytest.fixture
def move(viewer):
    """Move the cursor to a place in the world, as the canvas does."""

    def to(position, *, dragging=False):
        viewer.mouse_over_canvas = True
        viewer.cursor.position = tuple(position)
        event = SimpleNamespace(position=tuple(position), is_dragging=dragging, type="mouse_move")
        mouse_move_callbacks(viewer, event)

    return to


def shown(session):
    """Pixels that are shown, or None where nothing is."""
    layer = session._components.preview.layer
    return None if layer is None or not np.any(layer.data) else np.asarray(layer.data) > 0


def test_it_shows_what_a_click_would_give(session, move, disc):
    move(FIRST)
    session.wait()
    assert np.array_equal(shown(session), disc[0]) and session._components.hover.is_shown
    move(SECOND)
    session.wait()
    assert np.array_equal(shown(session), disc[1])
    assert session.target is None and not len(session.points.data)
    assert (session.state.candidates, session.state.can_accept, session.state.status.kind) == ((), False, "idle")


def test_it_is_off_until_somebody_wants_it(session, viewer, move, engine):
    session.hover = False
    assert session.state.hover is False
    before = len(viewer.mouse_move_callbacks)
    move(FIRST)
    session.wait()
    assert not engine.asked and shown(session) is None
    session.actions["toggle_hover"].run(session)
    assert session.state.hover and len(viewer.mouse_move_callbacks) == before + 1
    session.close()
    assert len(viewer.mouse_move_callbacks) == before


def test_switching_it_off_takes_it_away(session, move):
    move(FIRST)
    session.wait()
    session.hover = False
    assert shown(session) is None


def test_one_request_is_under_way_and_the_newest_place_follows(session, move, worker, engine):
    move(FIRST)
    assert worker().begin()
    for x in range(21, 30):
        move((15, x))
    move(SECOND)
    assert len(worker()._waiting) == 0
    worker().finish()
    worker().deliver()
    session.wait()
    assert [asked.points[0].position for asked in engine.asked] == [FIRST, SECOND]


def test_it_looks_different_from_a_candidate(session, move):
    move(FIRST)
    session.wait()
    hovered = session.preview.colormap.colors[1]
    click(session, FIRST)
    session.wait()
    assert not np.allclose(hovered, session.preview.colormap.colors[1])
    assert not session._components.hover.is_shown and session.state.candidates


def test_it_begins_where_the_cursor_is_when_it_is_switched_on(session, move, disc):
    session.hover = False
    move(FIRST)
    session.hover = True
    session.wait()
    assert np.array_equal(shown(session), disc[0])


# -- when it goes ---------------------------------------------------------------------------------


def test_it_goes_with_the_cursor(session, move, viewer):
    move(FIRST)
    session.wait()
    viewer.mouse_over_canvas = False
    assert shown(session) is None
    move((-20, 5))
    session.wait()
    assert shown(session) is None
    move(FIRST)
    session.wait()
    move((-20, 5))
    assert shown(session) is None


def test_an_answer_that_comes_after_the_cursor_left_is_not_shown(session, move, viewer, worker):
    move(FIRST)
    assert worker().begin()
    viewer.mouse_over_canvas = False
    worker().finish()
    worker().deliver()
    assert shown(session) is None


def test_a_prompt_takes_its_place(session, move, disc):
    move(SECOND)
    session.wait()
    session.points.add(FIRST)
    assert shown(session) is None
    move(SECOND)  # the object that is prompted is looked at
    session.wait()
    assert np.array_equal(shown(session), disc[0])
    session.accept()
    assert shown(session) is None
    move(SECOND)
    session.wait()
    assert np.array_equal(shown(session), disc[1])


def test_background_points_count_as_they_will_for_the_click(session, move, engine):
    click(session, (15, 25), positive=False)
    session.use_tool("positive")
    session.wait()
    move(FIRST)
    session.wait()
    [asked] = engine.asked
    assert [point.positive for point in asked.points] == [False, True]
    assert shown(session)[FIRST] and not shown(session)[15, 25]


@pytest.mark.parametrize("tool", ["negative", "box"])
def test_other_tools_show_nothing(session, move, engine, tool):
    move(FIRST)
    session.wait()
    session.use_tool(tool)
    move(SECOND)
    session.wait()
    assert len(engine.asked) == 1 and shown(session) is None


def test_nothing_is_shown_while_something_is_dragged(session, move, engine):
    move(FIRST, dragging=True)
    session.wait()
    assert not engine.asked


def test_an_empty_mask_is_no_mask(session, move, engine, monkeypatch):
    move(FIRST)
    session.wait()
    predict = engine.predict

    def empty(*given, **more):
        found = predict(*given, **more)
        found.masks[:] = False
        return found

    monkeypatch.setattr(engine, "predict", empty)
    move(SECOND)
    session.wait()
    assert shown(session) is None


def test_another_window_of_grey_values_takes_it_away(session, move, image):
    move(FIRST)
    session.wait()
    image.contrast_limits = (0, 180)
    assert shown(session) is None


# -- never in the way -----------------------------------------------------------------------------


def test_nothing_is_loaded_or_encoded_for_it(worker, viewer, image, open_session, engines, move):
    session = open_session()
    session.hover = True
    session.use_tool("positive")
    move(FIRST)
    # Nothing is loaded yet: that is the plane's own request.
    while worker().step():
        if engines and not engines[0].embedded:
            assert not engines[0].asked
    [engine] = engines
    assert len(engine.embedded) == 1


def test_a_plane_that_is_not_encoded_is_left_alone(viewer, worker, open_session, engines, move):
    viewer.add_image(np.stack([discs()] * 3), contrast_limits=(0, 255))
    session = open_session()
    session.hover = True
    session.use_tool("positive")
    session.wait()
    viewer.dims.set_current_step(0, 2)
    [engine] = engines
    engine.embedded.clear()
    worker()._waiting.clear()  # nobody encodes the plane
    session._components.live._requests._pending.clear()
    move((2, *FIRST))
    session.wait()
    assert not engine.embedded and not engine.asked and shown(session) is None


def test_after_scrolling_it_follows_when_the_plane_is_ready(viewer, worker, open_session, move, disc):
    viewer.add_image(np.stack([discs()] * 3), contrast_limits=(0, 255))
    session = open_session()
    session.hover = True
    session.use_tool("positive")
    session.wait()
    viewer.dims.set_current_step(0, 2)
    move((2, *FIRST))
    session.wait()
    assert np.array_equal(shown(session)[0], disc[0])


def test_a_click_goes_before_it(session, move, worker, engine):
    move(SECOND)
    assert worker()._waiting[0].ahead
    session.points.add(FIRST)
    assert [ticket.lane for ticket in worker()._waiting] == ["prompts of object 0"]
    session.wait()
    assert [asked.points[0].position for asked in engine.asked] == [FIRST]


def test_the_level_comes_first_here_too(session, move):
    session.level = "subpart"
    move(FIRST)
    session.wait()
    assert shown(session).sum() == 49


def test_in_turbo_it_is_back_when_the_cursor_moves_on(session, move, disc):
    session.tempo = "turbo"
    move(FIRST)
    session.wait()
    session.points.add(FIRST)
    session.wait()
    assert shown(session) is None and session.target.data.any()
    move(SECOND)
    session.wait()
    assert np.array_equal(shown(session), disc[1])
