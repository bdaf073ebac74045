"""Click, Enter, click the next before the first answer is there: every accept belongs to its own prompts."""

from __future__ import annotations

import numpy as np
import pytest
from session_scenery import DISCS, SHAPE, click, discs
from stepped import SteppedWorker

from napari_sam.errors import InputError
from napari_sam.journal import read_journal


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
    return session


@pytest.fixture
def step(session, worker):
    """Do the next pieces of work, and deliver their answers."""

    def do(count=1):
        for _ in range(count):
            assert worker().step()

    return do


@pytest.fixture
def fail(engine, step):
    """Do the next piece of work, which fails."""

    def do(error="no answer"):
        engine.error = InputError(error)
        step()
        engine.error = None

    return do


def ahead(session, position):
    session.points.add(position)
    session.accept()


def drawn(session):
    return [tuple(map(int, point)) for point in session.points.data]


FIRST, SECOND = DISCS


# -- one object after the other -------------------------------------------------------------------


def test_objects_that_were_typed_ahead_are_those_that_were_clicked(session, engine, disc):
    ahead(session, FIRST)
    ahead(session, SECOND)
    assert drawn(session) == []
    assert (session.state.waiting, session.state.next_id) == (2, 3)
    assert session.target is None
    session.wait()
    assert np.array_equal(session.target.data, disc[0] + 2 * disc[1])
    assert [[point.position for point in asked.points] for asked in engine.asked] == [[FIRST], [SECOND]]
    assert not any(prompt for asked in engine.asked for prompt in asked if prompt not in asked.points)
    assert (session.state.waiting, session.state.next_id) == (0, 3)


def test_each_is_written_when_its_answer_is_there(session, step, disc):
    ahead(session, FIRST)
    ahead(session, SECOND)
    step()
    assert np.array_equal(session.target.data, disc[0])
    step()
    assert np.array_equal(session.target.data, disc[0] + 2 * disc[1])


def test_the_next_object_is_prompted_while_the_first_is_looked_for(session, step, disc):
    ahead(session, FIRST)
    session.points.add(SECOND)
    session.wait()
    assert np.array_equal(session.target.data > 0, disc[0])
    assert drawn(session) == [SECOND]
    assert np.array_equal(session.preview.data > 0, disc[1])
    session.accept()
    assert np.array_equal(session.target.data, disc[0] + 2 * disc[1])


def test_newer_prompts_replace_only_those_of_the_same_object(session, engine, disc):
    ahead(session, FIRST)
    session.points.add((40, 58))
    session.points.add((40, 62))
    session.points.add((38, 60))
    session.wait()
    assert [len(asked.points) for asked in engine.asked] == [1, 3]
    assert np.array_equal(session.target.data > 0, disc[0])


def test_an_answered_object_waits_for_those_before_it(session, worker, disc):
    session.points.add(FIRST)
    session.accept()
    [held] = session._components.accepts._waiting
    ahead(session, SECOND)
    late = next(ticket for ticket in worker()._waiting if ticket.lane.endswith("0"))
    worker()._waiting.remove(late)
    session.wait()
    assert session.target is None and session.state.waiting == 2 and not held.settled
    session.points.add((15, 24))
    session.wait()
    assert session.state.candidates
    session.accept()
    assert session.target is None and session.state.waiting == 3
    worker()._waiting.append(late)
    session.wait()
    assert session.target.data[FIRST] == 1 and session.target.data[SECOND] == 2
    assert session.state.waiting == 0


def test_a_candidate_is_chosen_ahead(session, disc):
    session.points.add(FIRST)
    assert session.state.asking
    session.next_candidate()
    session.wait()
    assert session.state.selected == 1
    session.clear()
    session.points.add(FIRST)
    session.next_candidate()
    session.next_candidate()
    session.accept()
    ahead(session, SECOND)
    session.wait()
    first = session.target.data == 1
    assert first.sum() == disc[0].sum()  # the third candidate: the disc within a larger circle
    assert np.array_equal(session.target.data == 2, disc[1])


def test_the_choice_ahead_ends_with_the_next_click(session):
    session.points.add(FIRST)
    session.next_candidate()
    session.clear()
    session.points.add(SECOND)
    session.wait()
    assert session.state.selected == 0


def test_only_empty_and_target_are_those_of_the_moment(session, viewer, disc):
    filled = np.full(SHAPE, 7, np.int32)
    first = session.target = viewer.add_labels(filled.copy(), name="first")
    session.only_empty = False
    ahead(session, FIRST)
    session.only_empty = True
    second = session.target = viewer.add_labels(np.zeros(SHAPE, np.int32), name="second")
    ahead(session, SECOND)
    session.wait()
    assert np.array_equal(first.data, np.where(disc[0], 8, filled))
    assert np.array_equal(second.data, disc[1])
    assert session.target is second


def test_the_plane_and_the_image_are_those_of_the_moment(viewer, worker, open_session, disc):
    stacks = [viewer.add_image(np.stack([discs()] * 3), contrast_limits=(0, 255), name=name) for name in "ab"]
    session = open_session()
    session.image = stacks[0]
    viewer.dims.set_current_step(0, 0)
    session.wait()
    ahead(session, (0, *FIRST))
    viewer.dims.set_current_step(0, 2)
    ahead(session, (2, *SECOND))
    session.image = stacks[1]
    ahead(session, (2, *FIRST))
    session.wait()
    labels = session.target
    assert labels.data[2, FIRST[0], FIRST[1]] == 1
    assert np.array_equal(labels.data != 0, np.stack([disc[0] & False, disc[0] & False, disc[0]]))
    session.image = stacks[0]
    assert session.target is not labels
    assert np.array_equal(session.target.data, np.stack([disc[0] * 1, disc[0] * 0, disc[1] * 2]))
    assert session._components.current.tracked.label == 2  # the object that was accepted last on this image


# -- what is said meanwhile -----------------------------------------------------------------------


def test_the_status_stays_busy_and_counts(session, step):
    ahead(session, FIRST)
    status = session.state.status
    assert (status.kind, status.cancellable) == ("working", True)
    assert "1 accepted object waits" in status.text
    session.accept()  # once too often: nothing is prompted
    assert session.state.status.kind == "working"
    ahead(session, SECOND)
    assert "2 accepted objects wait" in session.state.status.text
    assert not session.state.can_accept
    step(2)
    assert session.state.status.kind == "idle"
    assert "Object 2 written" in session.state.status.text


def test_one_object_in_hand_at_a_time(viewer, worker, open_session):
    viewer.add_image(np.stack([discs()] * 3), contrast_limits=(0, 255))
    session = open_session()
    session.wait()
    z = viewer.dims.current_step[0]
    ahead(session, (z, *FIRST))
    for command in (session.stack.propagate, session.stack.copy_prompts, session.stack.toggle_same_object):
        command()
        assert "not written yet" in session.state.status.text
    assert not session.stack.same_object
    session.wait()
    session.stack.toggle_same_object()
    assert session.stack.same_object


# -- taken back -----------------------------------------------------------------------------------


def test_undo_takes_back_the_newest_accept(session, step, disc):
    ahead(session, FIRST)
    ahead(session, SECOND)
    session.undo()
    assert drawn(session) == [SECOND]
    assert (session.state.waiting, session.state.can_redo) == (1, False)
    session.wait()
    assert np.array_equal(session.target.data, disc[0])
    assert np.array_equal(session.preview.data > 0, disc[1])
    session.accept()
    assert np.array_equal(session.target.data, disc[0] + 2 * disc[1])


def test_undo_after_the_answers_takes_back_one_object_at_a_time(session, disc):
    ahead(session, FIRST)
    ahead(session, SECOND)
    session.wait()
    session.undo()
    assert np.array_equal(session.target.data, disc[0])
    assert drawn(session) == [SECOND]
    session.undo()
    assert drawn(session) == []
    session.undo()
    assert not session.target.data.any()
    assert drawn(session) == [FIRST]
    for _ in range(3):
        session.redo()
    assert np.array_equal(session.target.data, disc[0] + 2 * disc[1])


def test_undo_takes_the_clicks_of_the_next_object_first(session, disc):
    ahead(session, FIRST)
    session.points.add(SECOND)
    session.undo()
    assert drawn(session) == [] and session.state.waiting == 1
    session.undo()
    assert drawn(session) == [FIRST] and session.state.waiting == 0
    session.wait()
    assert session.target is None
    assert np.array_equal(session.preview.data > 0, disc[0])


def test_clear_leaves_what_was_accepted(session, disc):
    ahead(session, FIRST)
    session.points.add(SECOND)
    session.clear()
    session.wait()
    assert np.array_equal(session.target.data, disc[0])


def test_cancel_brings_the_prompts_back(session, worker, disc):
    ahead(session, FIRST)
    session.cancel()
    assert drawn(session) == [FIRST]
    assert session.state.status.text == "Cancelled. The object was not written; its prompts are back."
    session.wait()
    assert session.target is None and not session.state.candidates
    session.accept()  # asks again
    session.wait()
    assert session.target is None and drawn(session) == [FIRST]
    session.accept()
    assert np.array_equal(session.target.data, disc[0])


def test_cancelled_objects_come_back_one_by_one(session, disc):
    ahead(session, FIRST)
    ahead(session, SECOND)
    session.cancel()
    assert drawn(session) == [FIRST]
    assert "2 objects were not written" in session.state.status.text
    session.accept()
    session.wait()
    assert "1 accepted object come back" in session.state.status.text or session.state.candidates
    session.accept()
    assert np.array_equal(session.target.data, disc[0])
    assert drawn(session) == [SECOND]
    session.wait()
    session.accept()
    assert np.array_equal(session.target.data, disc[0] + 2 * disc[1])


# -- failures -------------------------------------------------------------------------------------


def test_a_failure_brings_the_prompts_back(session, fail, disc):
    ahead(session, FIRST)
    fail("The disk is gone.")
    assert drawn(session) == [FIRST]
    status = session.state.status
    assert (status.kind, status.text) == (
        "failed",
        "The disk is gone. The object was not written; its prompts are back.",
    )
    assert session.target is None and not session.state.candidates
    session.accept()
    session.wait()
    session.accept()
    assert np.array_equal(session.target.data, disc[0])


def test_prompts_that_come_back_do_not_mix_with_others(session, fail, step, disc):
    ahead(session, FIRST)
    session.points.add(SECOND)
    fail()
    assert drawn(session) == [SECOND]
    assert "come back when this one is done" in session.state.status.text
    session.wait()
    session.toggle_polarity()
    session.use_tool("positive")
    assert "come back when this one is done" in session.state.status.text
    session.accept()
    assert np.array_equal(session.target.data, disc[1])
    assert drawn(session) == [FIRST]
    session.wait()
    session.accept()
    assert np.array_equal(session.target.data, disc[1] + 2 * disc[0])


def test_prompts_come_back_when_the_others_are_deleted_by_hand(session, fail):
    ahead(session, FIRST)
    session.points.add(SECOND)
    fail()
    session.points.selected_data = {0}
    session.points.remove_selected()
    session.wait()
    assert drawn(session) == [FIRST]


def test_undo_reaches_an_accept_that_failed(session, fail):
    ahead(session, FIRST)
    session.points.add(SECOND)
    fail()
    session.undo()
    session.undo()
    assert drawn(session) == [FIRST]
    session.wait()
    assert drawn(session) == [FIRST] and session.state.candidates
    assert "come back" not in session.state.status.text


def test_a_failure_stops_no_other_object(session, fail, step, disc):
    ahead(session, FIRST)
    ahead(session, SECOND)
    fail()
    session.wait()
    assert np.array_equal(session.target.data, disc[1])
    assert drawn(session) == [FIRST]


def test_a_full_plane_brings_the_prompts_back_with_their_mask(session, viewer):
    session.target = viewer.add_labels(np.full(SHAPE, 3, np.int32))
    ahead(session, FIRST)
    session.wait()
    assert drawn(session) == [FIRST]
    assert "Empty pixels only" in session.state.status.text
    assert session.state.candidates
    assert (session.target.data == 3).all()


def test_a_target_that_is_removed_meanwhile_takes_no_object_along(session, viewer, disc):
    session.new_target()
    ahead(session, FIRST)
    viewer.layers.remove(session.target)
    session.wait()
    assert drawn(session) == [FIRST]
    assert "removed" in session.state.status.text
    session.accept()
    assert np.array_equal(session.target.data, disc[0])


def test_an_image_that_is_removed_meanwhile_costs_no_object(session, viewer, image, disc):
    session.new_target()
    labels = session.target
    ahead(session, FIRST)
    viewer.layers.remove(image)
    session.wait()
    assert np.array_equal(labels.data, disc[0])


def test_an_image_that_is_removed_without_a_target_is_no_error(session, viewer, image):
    ahead(session, FIRST)
    viewer.layers.remove(image)
    session.wait()
    assert (session.state.waiting, session._components.accepts.unwritten) == (0, 0)
    viewer.add_image(discs(), contrast_limits=(0, 255))
    session.wait()
    assert session.state.status.kind == "idle"


def test_prompt_layers_that_are_removed_meanwhile_come_back(session, viewer, fail):
    ahead(session, FIRST)
    viewer.layers.remove(session.points)
    fail()
    assert drawn(session) == [FIRST]


def test_closing_draws_the_prompts_again(session, viewer):
    ahead(session, FIRST)
    ahead(session, SECOND)
    points = session.points
    session.close()
    assert points in viewer.layers
    assert sorted(map(tuple, points.data.astype(int).tolist())) == sorted(DISCS)


def test_the_model_of_the_moment_answers(session, engines, disc):
    ahead(session, FIRST)
    session.model = "other"
    ahead(session, SECOND)
    session.wait()
    assert [engine.model for engine in engines] == ["bundled", "other"]
    assert [len(engine.asked) for engine in engines] == [1, 1]
    assert np.array_equal(session.target.data, disc[0] + 2 * disc[1])


def test_the_picture_of_the_moment_is_looked_at(session, image, disc):
    ahead(session, FIRST)
    image.contrast_limits = (0, 20)
    image.data = np.zeros_like(image.data)
    session.wait()
    assert np.array_equal(session.target.data, disc[0])


def test_the_journal_knows_what_was_typed_ahead(session, home):
    ahead(session, FIRST)
    ahead(session, SECOND)
    session.wait()
    session.undo()
    path = home / "journal" / "journal.sqlite"
    records = read_journal(path)
    assert [(r["kind"], r.get("label"), r.get("of")) for r in records] == [
        ("accepted", 1, None),
        ("accepted", 2, None),
        ("withdrawn", None, 1),
    ]
    assert [tuple(r["prompts"]["prompts"][0]["position"]) for r in records[:2]] == [FIRST, SECOND]


# -- what is on the screen is what is accepted ----------------------------------------------------


def test_an_object_whose_click_was_moved_is_not_accepted(session, worker, disc):
    """Move the click to another object, Escape before the answer, Enter."""
    session.points.add(FIRST)
    session.wait()
    session.points.data = np.array([SECOND], float)
    session.cancel()
    assert not session.state.candidates and not session.preview.data.any()
    session.accept()
    assert session.target is None
    assert drawn(session) == [SECOND]
    session.wait()
    assert np.array_equal(session.preview.data > 0, disc[1])


def test_a_correction_that_fails_leaves_no_older_mask(session, fail):
    session.points.add(FIRST)
    session.wait()
    click(session, (15, 24), positive=False)
    fail()
    assert session.state.status.kind == "failed"
    assert not session.state.candidates and not session.preview.data.any()
    session.accept()
    session.wait()
    assert session.target is None and session.state.candidates


def test_a_preview_that_was_deleted_comes_back(session, viewer, disc):
    session.points.add(FIRST)
    session.wait()
    viewer.layers.remove(session.preview)
    assert not session.state.candidates
    session.wait()
    assert np.array_equal(session.preview.data > 0, disc[0])
    session.accept()
    assert np.array_equal(session.target.data, disc[0])


def test_a_preview_that_changes_its_shape_is_not_taken_for_a_deleted_one(viewer, worker, open_session, engines):
    """The next box is drawn with other axes on screen."""
    viewer.add_image(np.stack([discs()] * 10), contrast_limits=(0, 255))
    session = open_session()
    session.wait()
    session.points.add((viewer.dims.current_step[0], *FIRST))
    session.wait()
    viewer.dims.order = (2, 0, 1)
    session.wait()
    x = viewer.dims.current_step[2]
    session.shapes.add([[(1, 5, x), (1, 25, x), (8, 25, x), (8, 5, x)]], shape_type="rectangle")
    asked = len(engines[0].asked)
    worker().step()
    assert session.state.candidates and not session.state.asking
    assert np.count_nonzero(session.preview.data) == session.state.candidates[0].area
    assert len(engines[0].asked) == asked + 1


def test_a_click_that_is_undone_before_its_answer_leaves_the_mask_on_the_screen(session, worker, engine, disc):
    session.points.add(FIRST)
    session.wait()
    session.next_candidate()
    shown = session.preview.data > 0
    click(session, (15, 24), positive=False)
    session.undo()
    assert session.state.candidates and not session.state.asking
    session.accept()
    assert session.state.waiting == 0
    assert np.array_equal(session.target.data > 0, shown)
    session.wait()
    assert len(engine.asked) == 1


def test_a_candidate_of_older_prompts_cannot_be_chosen(session, step):
    session.points.add(FIRST)
    session.wait()
    click(session, (15, 24), positive=False)
    session.select_candidate(2)
    assert session.state.selected == 0
    session.wait()
    assert session.state.selected == 0 and len(session.state.candidates) == 1


def test_the_state_tells_what_is_under_way(session):
    assert not session.state.asking
    session.points.add(FIRST)
    assert session.state.asking and session.state.can_accept
    session.wait()
    assert not session.state.asking
