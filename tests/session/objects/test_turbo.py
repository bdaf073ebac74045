"""Turbo: a click or a box writes its object at once, the next one is the next object, and one undo takes back both."""

from __future__ import annotations

import numpy as np
import pytest
from session_scenery import DISCS, accept, click, discs
from stepped import SteppedWorker

from napari_sam.errors import InputError
from napari_sam.journal import read_journal
from napari_sam.session import messages

FIRST, SECOND = DISCS
BACKGROUND = (5, 70)


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
    session.tempo = "turbo"
    session.wait()
    return session


@pytest.fixture
def fail(engine, worker):
    """Do the next piece of work, which fails."""

    def do(error="no answer"):
        engine.error = InputError(error)
        assert worker().step()
        engine.error = None

    return do


def drawn(session):
    return [tuple(map(int, point)) for point in session.points.data]


def box(session, centre, radius=6):
    y, x = centre
    corners = [(y - radius, x - radius), (y - radius, x + radius), (y + radius, x + radius), (y + radius, x - radius)]
    session.shapes.add([np.array(corners, float)], shape_type="rectangle")


# -- one gesture an object ------------------------------------------------------------------------


def test_a_click_writes_its_object(session, disc):
    click(session, FIRST)
    assert (drawn(session), session.state.waiting) == ([], 1)
    session.wait()
    assert np.array_equal(session.target.data, disc[0])
    click(session, SECOND)
    session.wait()
    assert np.array_equal(session.target.data, disc[0] + 2 * disc[1])
    assert (session.state.waiting, session.state.candidates, session.state.can_accept) == (0, (), False)


def test_a_box_writes_its_object(session):
    session.use_tool("box")
    box(session, FIRST, 6)
    box(session, SECOND, 5)
    assert not len(session.shapes.data)
    session.wait()
    assert [int((session.target.data == label).sum()) for label in (1, 2)] == [13 * 13, 11 * 11]


def test_clicks_faster_than_answers_are_objects_in_their_order(session, engine, disc):
    for position in (SECOND, FIRST):
        click(session, position)
    assert session.state.waiting == 2 and session.target is None
    session.wait()
    assert np.array_equal(session.target.data, disc[1] + 2 * disc[0])
    assert [[point.position for point in asked.points] for asked in engine.asked] == [[SECOND], [FIRST]]


def test_each_object_is_in_the_journal_with_its_click(session):
    click(session, FIRST)
    click(session, SECOND)
    session.wait()
    entries = [one for one in read_journal(session._components.recorder.path) if one["kind"] == "accepted"]
    assert [one["prompts"]["prompts"][0]["position"] for one in entries] == [list(FIRST), list(SECOND)]


def test_in_careful_nothing_is_written_at_once(session):
    session.tempo = "careful"
    click(session, FIRST)
    session.wait()
    assert session.target is None and drawn(session) == [FIRST] and len(session.state.candidates) == 3


def test_points_of_one_change_are_one_object(session, engine):
    session.points.add([(15, 20), (15, 22)])
    session.wait()
    assert len(engine.asked) == 1 and session.target.data.max() == 1


# -- what a background point means ----------------------------------------------------------------


def test_a_background_point_waits_for_the_click_that_it_belongs_to(session, engine, disc):
    click(session, (15, 25), positive=False)
    session.wait()
    assert session.target is None and session.state.waiting == 0 and drawn(session) == [(15, 25)]
    assert "background point alone names no object" in session.state.status.text
    click(session, FIRST)
    session.wait()
    assert drawn(session) == []
    [asked] = engine.asked
    assert [(point.position, point.positive) for point in asked.points] == [((15, 25), False), (FIRST, True)]
    assert session.target.data[FIRST] == 1 and session.target.data[15, 25] == 0
    # The next click is positive again, and the next object's.
    assert session.state.tool == "positive"


def test_undo_leaves_the_background_point_that_was_there_before_the_click(session):
    click(session, (15, 25), positive=False)
    click(session, FIRST)
    session.wait()
    session.undo()
    assert drawn(session) == [(15, 25)] and not session.target.data.any()
    session.undo()
    assert drawn(session) == []


def test_a_point_outside_the_image_writes_nothing(session):
    click(session, (-5, 20))
    session.wait()
    assert session.target is None and session.state.waiting == 0
    assert "outside the image" in session.state.status.text
    click(session, FIRST)
    session.wait()
    assert session.target.data[FIRST] == 1


# -- undo and redo --------------------------------------------------------------------------------


def test_one_undo_takes_back_object_and_click_and_redo_brings_both(session, disc):
    click(session, FIRST)
    click(session, SECOND)
    session.wait()
    session.undo()
    session.wait()
    assert np.array_equal(session.target.data, disc[0]) and drawn(session) == []
    session.undo()
    session.wait()
    assert not session.target.data.any() and drawn(session) == []
    assert not session.state.can_undo
    session.redo()
    session.redo()
    session.wait()
    assert np.array_equal(session.target.data, disc[0] + 2 * disc[1]) and drawn(session) == []
    assert not session.state.can_redo


def test_it_is_one_step_of_naparis_own_undo(session, disc):
    click(session, FIRST)
    session.wait()
    session.target.undo()
    assert not session.target.data.any()


def test_an_object_that_waits_is_taken_back_with_its_click(session, worker, disc):
    click(session, FIRST)
    click(session, SECOND)
    session.undo()
    assert (session.state.waiting, drawn(session)) == (1, [])
    session.wait()
    assert np.array_equal(session.target.data, disc[0])
    # Its mask was never known: redo draws the click again, and it waits to be accepted.
    session.redo()
    session.wait()
    assert drawn(session) == [SECOND] and session.state.candidates and session.target.data.max() == 1
    session.accept()
    assert np.array_equal(session.target.data, disc[0] + 2 * disc[1])


@pytest.mark.parametrize("tempo", ["careful", "turbo"])
def test_what_undo_brings_back_is_not_accepted_by_itself(session, tempo):
    session.tempo = "careful"
    accept(session, FIRST)
    session.tempo = tempo
    session.undo()
    session.tempo = "turbo"
    session.wait()
    assert drawn(session) == [FIRST] and not session.target.data.any() and session.state.waiting == 0
    assert session.state.candidates and session.state.can_accept


def test_what_came_back_is_corrected_with_care_until_it_is_accepted(session, disc):
    session.tempo = "careful"
    accept(session, FIRST)
    session.undo()
    session.tempo = "turbo"
    click(session, (15, 22))
    session.wait()
    assert drawn(session) == [FIRST, (15, 22)] and not session.target.data.any()
    assert "Then turbo goes on" in session.state.hint
    session.accept()
    session.wait()
    assert session.target.data[FIRST] == 1 and drawn(session) == []
    click(session, SECOND)
    session.wait()
    assert session.target.data[SECOND] == 2


def test_moving_or_removing_what_is_there_writes_nothing(session):
    session.tempo = "careful"
    session.points.add([FIRST, (15, 22)])
    session.tempo = "turbo"
    session.points.data = np.array([(14.0, 20.0), (15, 22)])
    session.points.selected_data = {1}
    session.points.remove_selected()
    session.wait()
    assert session.target is None and drawn(session) == [(14, 20)]


def test_a_layer_with_prompts_that_is_taken_up_writes_nothing(session, viewer):
    session.points = viewer.add_points([FIRST])
    session.wait()
    assert session.target is None and session.state.candidates


# -- what cannot be written -----------------------------------------------------------------------


def test_an_empty_mask_is_passed_over_and_undo_brings_its_click_back(session, engine, disc, monkeypatch):
    predict, masks = engine.predict, [False, True]

    def answer(*given, **more):
        found = predict(*given, **more)
        found.masks &= masks.pop(0)
        return found

    monkeypatch.setattr(engine, "predict", answer)
    click(session, FIRST)
    click(session, SECOND)
    session.wait()
    assert drawn(session) == [] and session.state.waiting == 0
    assert np.array_equal(session.target.data, disc[1])
    session.undo()
    assert not session.target.data.any() and drawn(session) == []
    session.undo()
    assert drawn(session) == [FIRST]
    session.undo()
    assert drawn(session) == [] and not session.state.can_undo


def test_a_second_click_on_an_object_leaves_no_sliver(session, disc):
    click(session, FIRST)
    click(session, (13, 20))  # its mask reaches beyond the first
    session.wait()
    assert np.array_equal(session.target.data, disc[0])
    assert session.state.status.text.startswith("Object 1 is here already.")
    assert "Undo brings the prompt back" in session.state.status.text
    session.undo()
    session.wait()
    assert drawn(session) == [(13, 20)] and session.state.candidates
    session.undo()
    session.undo()
    assert not session.target.data.any() and drawn(session) == []


def test_who_writes_over_labels_may_click_an_object_again(session):
    session.only_empty = False
    click(session, FIRST)
    click(session, FIRST)
    session.wait()
    assert session.target.data[FIRST] == 2


def test_prompts_of_what_failed_come_back_and_wait(session, fail, disc):
    click(session, FIRST)
    click(session, SECOND)
    fail()
    session.wait()
    assert drawn(session) == [FIRST] and np.array_equal(session.target.data, disc[1])
    session.accept()
    session.wait()
    session.accept()
    assert np.array_equal(session.target.data, disc[1] + 2 * disc[0])


def test_cancel_brings_the_clicks_back_one_object_at_a_time(session):
    click(session, FIRST)
    click(session, SECOND)
    session.cancel()
    assert session.state.waiting == 0 and drawn(session) == [FIRST]
    session.wait()
    assert session.target is None
    session.clear()
    assert drawn(session) == [SECOND]
    # Every click is a step of its own again.
    session.clear()
    assert drawn(session) == []


def test_closing_draws_what_was_not_written(session, viewer):
    click(session, FIRST)
    session.close()
    [points] = [layer for layer in viewer.layers if layer.name == "SAM points"]
    assert [tuple(map(int, point)) for point in points.data] == [FIRST]


# -- planes, stacks and everything ----------------------------------------------------------------


@pytest.fixture
def deep(viewer, open_session):
    viewer.add_image(np.stack([discs()] * 4), contrast_limits=(0, 255), name="stack")
    session = open_session()
    session.tempo = "turbo"
    session.wait()
    return session


def test_each_plane_gets_objects_of_its_own(deep, viewer, disc):
    for plane in (0, 1):
        viewer.dims.set_current_step(0, plane)
        deep.points.add((plane, *FIRST))
        deep.points.add((plane, *SECOND))
    deep.wait()
    assert np.array_equal(deep.target.data[0], disc[0] + 2 * disc[1])
    assert np.array_equal(deep.target.data[1], 3 * disc[0] + 4 * disc[1])


def test_clicks_typed_ahead_on_another_plane_are_written_on_their_own(deep, viewer, disc):
    viewer.dims.set_current_step(0, 1)
    deep.points.add((1, *FIRST))
    viewer.dims.set_current_step(0, 2)
    deep.wait()
    assert np.array_equal(deep.target.data[1], disc[0]) and not deep.target.data[2].any()
    deep.undo()
    assert not deep.target.data.any()


def test_a_click_on_an_object_that_was_carried_corrects_it(deep, viewer, carry, disc):
    viewer.dims.set_current_step(0, 1)
    deep.points.add((1, *FIRST))
    deep.wait()
    deep.stack.propagate()
    deep.wait()
    assert (deep.target.data[2] == 1).any()
    viewer.dims.set_current_step(0, 2)
    deep.wait()
    deep.points.add((2, *FIRST))
    deep.wait()
    assert np.array_equal(deep.target.data[2], disc[0])
    deep.points.add((2, *SECOND))
    deep.wait()
    assert np.array_equal(deep.target.data[2], disc[0] + 2 * disc[1])


def test_the_next_click_is_the_same_object_if_the_person_says_so(deep, viewer, disc):
    deep.points.add((0, *FIRST))
    deep.wait()
    viewer.dims.set_current_step(0, 1)
    deep.stack.same_object = True
    deep.points.add((1, *FIRST))
    deep.points.add((1, *SECOND))
    deep.wait()
    assert np.array_equal(deep.target.data[1], disc[0] + 2 * disc[1])


def test_while_objects_are_picked_no_click_is_written(session, monkeypatch):
    monkeypatch.setattr(type(session._components.everything), "is_picking", property(lambda _self: True))
    session.points.add(FIRST)
    session.wait()
    assert session.target is None and drawn(session) == [FIRST]


def test_the_dock_says_what_a_click_does(session):
    session.use_tool("positive")
    assert session.state.hint == messages.name_keys(messages.TURBO, session.keys.of)
    click(session, FIRST)
    session.wait()
    assert session.state.hint == messages.TURBO_NEXT


def test_an_object_that_was_picked_is_corrected_in_place_by_one_click(session, viewer, disc):
    other = viewer.add_labels(np.zeros((60, 80), np.int32), name="of another tool")
    other.data[13:18, 18:23] = 7
    other.refresh()
    before = other.data.copy()
    session.objects.pick(7, other)
    session.wait()
    click(session, FIRST)
    session.wait()
    assert np.array_equal(other.data, 7 * disc[0]) and drawn(session) == []
    # The next click is another object again.
    click(session, SECOND)
    session.wait()
    assert np.array_equal(other.data, 7 * disc[0] + 8 * disc[1])
    session.undo()
    session.undo()
    session.wait()
    assert np.array_equal(other.data, before) and drawn(session) == []
    # It is picked again, as before the click.
    assert session.state.objects.label == 7
