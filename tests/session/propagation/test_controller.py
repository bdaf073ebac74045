"""An object is carried through a stack: written plane by plane, undone at once, looked over and corrected."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from session_scenery import click

from fake_propagation import CENTRE, RADII, SHAPE, ball, volume
from napari_sam.journal import decode_mask, read_journal
from napari_sam.session import Session
from napari_sam.session.propagation import messages as propagation_messages


@pytest.fixture
def image(viewer):
    return viewer.add_image(volume(), contrast_limits=(0, 255), name="cells", axis_labels=("z", "y", "x"))


def show(viewer, place, axis=0):
    viewer.dims.set_current_step(axis, place)


def prompt(session, viewer, place, at=CENTRE[1:], positive=True):
    show(viewer, place)
    click(session, (place, *at), positive)
    session.wait(60)


@pytest.fixture
def ready(image, viewer, open_session, carry):
    """A session in which the object is prompted on its middle plane."""
    session = open_session()
    prompt(session, viewer, CENTRE[0])
    return session


def planes(session, label=1):
    return sorted(set(np.nonzero(session.target.data == label)[0]))


def run(session, **options):
    session.stack.propagate(**options)
    session.wait(60)


def journal(home):
    path = home / "journal" / "journal.sqlite"
    return read_journal(path)


WHOLE = list(range(2, 11))


# -- a run ----------------------------------------------------------------------------------------


def test_an_object_is_carried_both_ways(ready, carry):
    run(ready)
    assert planes(ready) == WHOLE
    assert not (ready.target.data[~ball()]).any()
    for place in WHOLE:
        if place != CENTRE[0]:
            assert np.array_equal(ready.target.data[place] == 1, ball()[place])
    assert not len(ready.points.data)
    assert not ready.state.candidates
    [call] = carry.calls
    assert call["span"] == range(SHAPE[0]) and call["marks"] == {}
    assert [one.index for one in call["annotated"]] == [CENTRE[0]]
    assert ready.state.status.kind == "idle"
    assert "8 planes, z = 2 to 10" in ready.state.status.text
    assert "Stopped at z = 11: the object is not there any more." in ready.state.stack.text


def test_planes_appear_one_by_one(ready, carry):
    seen = []
    ready.events.state_changed.connect(
        lambda state: seen.append((state.stack.running, len(state.stack.planes), state.status.text))
    )
    run(ready)
    growing = [count for running, count, _ in seen if running]
    assert growing == sorted(growing) and set(range(1, 10)) <= set(growing)
    assert "Carrying object 1: plane 4 of 11." in [text for *_, text in seen]
    assert not ready.state.stack.running


def test_a_run_is_in_the_journal_plane_by_plane(ready, home):
    run(ready)
    records = journal(home)
    assert len(records) == len(WHOLE)
    assert {record["kind"] for record in records} == {"accepted"} and {record["label"] for record in records} == {1}
    for record in records:
        place = record["plane"]["index"][0]
        assert np.array_equal(decode_mask(record["mask"]), ready.target.data[place] == 1)
    assert records[0]["prompts"]["prompts"] and not records[1]["prompts"]["prompts"]
    assert records[1]["carried"] in (1, -1) and 0 <= records[1]["score"] <= 1


def test_a_run_is_on_the_disk_when_it_ends_and_the_owners_thread_did_not_wait_for_it(ready, home, monkeypatch):
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append((os.fstat(descriptor).st_size, threading.current_thread()))
    )
    run(ready)
    path = home / "journal" / "journal.sqlite-wal"
    assert synced[-1][0] == path.stat().st_size
    assert threading.current_thread() not in [thread for _, thread in synced[1:]]  # the first one is the accepted plane


def test_what_is_shown_is_in_the_journal_already(ready, home, carry):
    behind = []

    def compare(_index):
        if ready.target is not None:
            behind.append(len(planes(ready)) - len(journal(home)))

    carry.before = compare
    run(ready)
    assert behind and set(behind) == {0}


def test_one_undo_takes_the_run_back_and_redo_brings_it(ready, home):
    before = ready.points.data.copy()
    run(ready)
    written = ready.target.data.copy()
    ready.undo()
    assert not ready.target.data.any()
    assert np.array_equal(ready.points.data, before)
    assert ready.state.stack.label is None
    ready.redo()
    assert np.array_equal(ready.target.data, written)
    assert not len(ready.points.data)
    assert len(ready.state.stack.planes) == len(WHOLE)
    withdrawn, restored = journal(home)[-2:]
    assert withdrawn["of"] == restored["of"] == list(range(len(WHOLE)))
    ready.wait(60)


def test_napari_s_own_undo_takes_all_of_it_at_once(ready):
    run(ready)
    written = ready.target.data.copy()
    ready.target.undo()
    assert not ready.target.data.any()
    ready.target.redo()
    assert np.array_equal(ready.target.data, written)


def test_the_strip_follows_napari_s_own_undo(ready):
    ready.accept()
    run(ready)
    ready.target.undo()
    assert ready.stack.scores == {6: 1.0}
    ready.target.redo()
    assert len(ready.stack.scores) == len(WHOLE)
    ready.target.undo()
    run(ready)
    assert planes(ready) == WHOLE


def test_an_object_is_taken_in_hand_by_its_label(ready, viewer):
    run(ready)
    show(viewer, 0)
    click(ready, (0, 2, 2))
    ready.wait(60)
    ready.accept()
    assert ready.state.stack.label == 2 and ready.stack.scores == {0: 1.0}
    ready.target.selected_label = 5
    assert ready.state.stack.label == 2
    ready.target.selected_label = 1  # as napari's picker does
    assert ready.state.stack.label == 1 and len(ready.stack.scores) == len(WHOLE)
    ready.target.selected_label = 99
    assert ready.state.stack.label == 1


def test_a_target_of_another_shape_has_no_object(ready):
    run(ready)
    ready.target.data = np.zeros((4, 4), np.int32)
    assert ready.state.stack.label is None
    ready.stack.propagate()
    assert ready.state.status.text == propagation_messages.NO_OBJECT


def test_labels_of_others_stay(ready, viewer, image):
    labels = np.zeros(SHAPE, np.int32)
    labels[:, 18:22, 20:24] = 7
    ready.target = viewer.add_labels(labels.copy())
    run(ready)
    assert (ready.target.data[:, 18:22, 20:24] == 7).all()
    assert planes(ready, 8) == WHOLE
    ready.undo()
    assert np.array_equal(ready.target.data, labels)


def test_labels_of_others_are_covered_if_asked_to(ready, viewer):
    labels = np.zeros(SHAPE, np.int32)
    labels[5] = 7
    ready.target = viewer.add_labels(labels.copy())
    ready.only_empty = False
    run(ready)
    assert np.array_equal(ready.target.data[5] == 8, ball()[5])
    ready.undo()
    assert np.array_equal(ready.target.data, labels)


def test_the_object_accepted_last_is_carried(ready, carry):
    ready.accept()
    assert ready.state.stack.label == 1 and ready.state.stack.can_propagate
    run(ready)
    assert planes(ready) == WHOLE
    ready.undo()  # the run
    assert planes(ready) == [CENTRE[0]]
    ready.undo()  # the accept
    assert not ready.target.data.any() and len(ready.points.data) == 1


def test_prompts_on_several_planes_are_one_object(ready, viewer, carry):
    prompt(ready, viewer, 9)
    run(ready)
    assert planes(ready) == WHOLE
    assert sorted(one.index for one in carry.calls[0]["annotated"]) == [6, 9]
    assert not len(ready.points.data)
    assert [plane.place for plane in ready.state.stack.planes if plane.annotated] == [6, 9]
    ready.undo()
    assert not ready.target.data.any() and len(ready.points.data) == 2


def test_a_run_without_waiting_for_the_first_answer(image, viewer, open_session, carry):
    session = open_session()
    show(viewer, CENTRE[0])
    click(session, CENTRE)
    run(session)
    assert planes(session) == WHOLE


def test_a_range_and_a_strategy(ready, carry):
    run(ready, start=4, stop=9, strategy="previous")
    assert planes(ready) == [4, 5, 6, 7, 8]
    assert carry.calls[0]["span"] == range(4, 9) and carry.calls[0]["strategy"] == "previous"
    assert (ready.state.stack.start, ready.state.stack.stop) == (4, 9)
    assert "Stopped" not in ready.state.stack.text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": 9, "stop": 4}, "not a range"),
        ({"stop": 13}, "within 0 to 11"),
        ({"axis": 1}, "cannot be carried along axis 1"),
        ({"strategy": "guess"}, "no strategy"),
    ],
)
def test_nonsense_is_refused_with_words(ready, options, words):
    ready.stack.propagate(**options)
    assert words in ready.state.status.text
    assert ready.target is None and len(ready.points.data) == 1 and not ready.state.stack.running


# -- stop marks -----------------------------------------------------------------------------------


def test_a_background_point_on_another_plane_stops_the_run(ready, viewer, carry):
    prompt(ready, viewer, 9, positive=False)
    run(ready)
    assert planes(ready) == [2, 3, 4, 5, 6, 7, 8]
    assert carry.calls[0]["marks"] == {9: ((20.0, 24.0),)}
    assert not len(ready.points.data)
    assert ready.state.stack.marks == (9,)
    assert "Stopped at z = 9: a stop mark lies there." in ready.state.stack.text
    ready.undo()
    assert len(ready.points.data) == 2


def test_a_mark_set_later_takes_off_what_lies_beyond(ready, viewer, home):
    run(ready)
    prompt(ready, viewer, 9, positive=False)
    run(ready)
    assert planes(ready) == [2, 3, 4, 5, 6, 7, 8]
    assert {plane.place for plane in ready.state.stack.planes} == {2, 3, 4, 5, 6, 7, 8}
    assert [r["plane"]["index"][0] for r in journal(home) if r["kind"] == "erased"] == [9, 10]
    ready.undo()
    assert planes(ready) == WHOLE
    ready.redo()
    assert planes(ready) == [2, 3, 4, 5, 6, 7, 8]


# -- scores, and correcting -----------------------------------------------------------------------


@pytest.fixture
def weak(ready, carry):
    """A run with weak planes 8 to 10, which hold a wrong mask."""
    wrong = np.zeros(SHAPE[1:], bool)
    wrong[2:6, 2:6] = True
    carry.scores = {8: 0.3, 9: 0.2, 10: 0.2}
    carry.masks = {8: wrong, 9: wrong, 10: wrong, 11: np.zeros_like(wrong)}
    run(ready)
    carry.scores, carry.masks = {}, {}
    return ready


def test_scores_are_kept(weak):
    assert weak.stack.scores == {**dict.fromkeys(range(2, 8), 0.9), 6: 1.0, 8: 0.3, 9: 0.2, 10: 0.2}
    assert [plane.place for plane in weak.state.stack.planes if plane.weak] == [8, 9, 10]
    assert "3 weak" in weak.state.status.text


def test_next_weak_plane_goes_round(weak, viewer):
    assert weak.state.stack.can_jump
    seen = []
    for _ in range(4):
        weak.stack.next_weak_plane()
        seen.append(viewer.dims.current_step[0])
    assert seen == [8, 9, 10, 8]
    assert weak.stack.same_object and weak.state.next_id == 1
    assert "Object 1 goes on" in weak.state.hint


def test_a_corrected_plane_is_carried_to_the_next_good_ones(weak, viewer, carry):
    weak.stack.next_weak_plane()
    prompt(weak, viewer, 8)
    weak.accept()
    assert (weak.target.data[8] == 1).sum() > 100 and not weak.target.data[8, 2:6, 2:6].any()
    assert not weak.stack.same_object
    assert weak.target.data.max() == 1
    assert "corrected" in weak.state.stack.text
    good = weak.target.data[:8].copy()
    carry.calls.clear()
    run(weak)
    # Downwards the first plane is good, and the same again; upwards there was no good one.
    assert [call["span"] for call in carry.calls] == [range(7, 9), range(8, 12)]
    assert np.array_equal(weak.target.data[:8], good)
    for place in (9, 10):
        assert np.array_equal(weak.target.data[place] == 1, ball()[place])
    assert not weak.state.stack.can_jump
    weak.undo()
    assert weak.target.data[9, 2:6, 2:6].all()
    weak.undo()
    assert weak.target.data[8, 2:6, 2:6].all() and len(weak.points.data) == 1


def test_a_correction_can_be_accepted_and_carried_in_one(weak, viewer):
    weak.stack.next_weak_plane()
    prompt(weak, viewer, 8)
    run(weak)
    assert weak.target.data.max() == 1
    assert all(np.array_equal(weak.target.data[place] == 1, ball()[place]) for place in (9, 10))
    weak.undo()
    assert weak.target.data[8, 2:6, 2:6].all() and weak.target.data[9, 2:6, 2:6].all()


def test_a_correction_ends_at_a_good_plane_that_agrees(ready, viewer, carry):
    carry.scores = {4: 0.2}
    run(ready)
    carry.scores = {}
    ready.stack.next_weak_plane()
    prompt(ready, viewer, 4)
    ready.accept()
    carry.calls.clear()
    asked = []
    carry.before = asked.append
    run(ready)
    # Up to the annotated plane 6, and down only to plane 3, which is good.
    assert [call["span"] for call in carry.calls] == [range(0, 5), range(4, 6)]
    assert asked == [3, 5]


def test_what_the_person_painted_is_kept(weak, viewer):
    weak.target.data_setitem((np.array([9, 9]), np.array([30, 30]), np.array([40, 41])), 1)
    painted = weak.target.data[9].copy()
    weak.stack.next_weak_plane()
    prompt(weak, viewer, 8)
    weak.accept()
    run(weak)
    assert np.array_equal(weak.target.data[9], painted)


def test_without_same_object_accept_makes_a_new_one(weak, viewer):
    weak.stack.next_weak_plane()
    weak.stack.toggle_same_object()
    prompt(weak, viewer, 8)
    weak.accept()
    assert weak.target.data.max() == 2 and weak.target.data[8, 2:6, 2:6].all()


def test_what_is_clicked_on_a_carried_object_is_that_object_again(ready, viewer, carry):
    part = ball()[9] & (np.arange(SHAPE[2]) < 24)  # the run missed half of it
    carry.masks = {9: part, 10: np.zeros_like(part)}
    run(ready)
    prompt(ready, viewer, 9, at=(20, 22))
    assert ready.stack.same_object and ready.state.next_id == 1
    assert ready.state.hint.startswith("Enter writes object 1 again (U: a new one).")
    ready.accept()
    assert ready.target.data.max() == 1 and not ready.stack.same_object
    assert (ready.target.data[9] == 1).sum() > part.sum()


def test_a_mask_that_is_accepted_before_it_is_there_is_the_object_again_too(ready, viewer, carry):
    part = ball()[9] & (np.arange(SHAPE[2]) < 24)
    carry.masks = {9: part, 10: np.zeros_like(part)}
    run(ready)
    show(viewer, 9)
    ready.shapes.add_rectangles([[[9, 14, 15], [9, 14, 31], [9, 26, 31], [9, 26, 15]]])
    ready.accept()
    ready.wait(60)
    assert ready.target.data.max() == 1
    assert (ready.target.data[9] == 1).sum() > part.sum()


def test_a_mask_that_is_the_object_for_the_most_part_is_that_object_again(ready, viewer, carry):
    part = ball()[9] & (np.arange(SHAPE[2]) < 24)
    carry.masks = {9: part, 10: np.zeros_like(part)}
    run(ready)
    show(viewer, 9)
    ready.shapes.add_rectangles([[[9, 14, 15], [9, 14, 31], [9, 26, 31], [9, 26, 15]]])
    ready.wait(60)
    assert ready.stack.same_object
    ready.accept()
    assert ready.target.data.max() == 1


def test_what_lies_beside_the_object_in_hand_is_a_new_one(ready, viewer):
    run(ready)
    prompt(ready, viewer, 9, at=(35, 45))
    assert not ready.stack.same_object and ready.state.hint.startswith("Enter: new object 2.")
    ready.accept()
    assert ready.target.data.max() == 2


def test_the_person_can_say_that_it_is_another_object_all_the_same(ready, viewer, carry):
    part = ball()[9] & (np.arange(SHAPE[2]) < 24)
    carry.masks = {9: part, 10: np.zeros_like(part)}
    run(ready)
    prompt(ready, viewer, 9, at=(20, 22))
    ready.stack.toggle_same_object()
    assert ready.state.hint.startswith("Enter: new object 2.") and ready.state.next_id == 2
    ready.accept()
    assert (ready.target.data[9] == 1).sum() == part.sum() and ready.target.data.max() == 2


def test_what_lies_inside_an_object_where_the_person_said_it_is_a_new_one(ready, viewer):
    ready.accept()
    ready.only_empty = False
    show(viewer, CENTRE[0])
    ready.shapes.add_rectangles([[[6, 18, 22], [6, 18, 26], [6, 22, 26], [6, 22, 22]]])
    ready.wait(60)
    assert not ready.stack.same_object
    ready.accept()
    assert (ready.target.data[6, 18:23, 22:27] == 2).all() and (ready.target.data[6] == 1).any()


def test_a_carried_object_is_corrected_and_carried_on_in_one(weak, viewer):
    prompt(weak, viewer, 8, at=(4, 4))
    assert weak.stack.same_object
    run(weak)
    assert weak.target.data.max() == 1


# -- prompts for the neighbour --------------------------------------------------------------------


def test_prompts_are_copied_and_the_id_is_kept(ready, viewer):
    ready.stack.copy_prompts()
    ready.wait(60)
    assert viewer.dims.current_step[0] == 7
    assert [list(p) for p in ready.points.data] == [[7, 20, 24]]
    assert ready.state.candidates and ready.state.next_id == 1
    assert planes(ready) == [6]
    ready.stack.copy_prompts()
    ready.wait(60)
    ready.accept()
    assert planes(ready) == [6, 7, 8] and ready.target.data.max() == 1


def test_prompts_of_an_accepted_plane_are_copied_back(ready, viewer):
    ready.accept()
    assert ready.state.stack.can_copy
    ready.stack.copy_prompts(-1)
    ready.wait(60)
    assert viewer.dims.current_step[0] == 5 and ready.state.candidates
    ready.undo()
    assert not len(ready.points.data) and planes(ready) == [6]


def test_boxes_and_polarities_are_copied(image, viewer, open_session, carry):
    session = open_session()
    show(viewer, 6)
    session.shapes.add_rectangles([[[6, 10, 12], [6, 10, 36], [6, 30, 36], [6, 30, 12]]])
    click(session, (6, 20, 24))
    click(session, (6, 12, 14), positive=False)
    session.wait(60)
    session.stack.copy_prompts()
    session.wait(60)
    [box] = session.shapes.data
    assert np.ptp(box[:, 0]) == 0 and box[0, 0] == 7
    assert (box[:, 1:].min(axis=0) == (10, 12)).all() and (box[:, 1:].max(axis=0) == (30, 36)).all()
    assert list(session.points.features["polarity"]) == ["positive", "negative"]
    assert (session.points.data[:, 0] == 7).all()


def test_there_is_an_end_to_copying(ready, viewer, image):
    prompt(ready, viewer, 11)
    ready.stack.copy_prompts()
    assert "no plane z = 12" in ready.state.status.text and ready.target is None
    show(viewer, 3)
    ready.stack.copy_prompts()
    assert ready.state.status.text == propagation_messages.NOTHING_TO_COPY


# -- every orientation ----------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "axis"), [((0, 1, 2), 0), ((1, 0, 2), 1), ((2, 0, 1), 2), ((2, 1, 0), 2)])
def test_all_orientations(image, viewer, open_session, carry, order, axis):
    viewer.dims.order = order
    session = open_session()
    viewer.dims.set_point(axis, CENTRE[axis])
    click(session, CENTRE)
    session.wait(60)
    assert session.state.stack.axis.name == "zyx"[axis]
    run(session)
    assert session.stack.scores.keys() == set(np.nonzero(ball().any(axis=tuple({0, 1, 2} - {axis})))[0])
    inside = np.moveaxis(ball(), axis, 0)
    written = np.moveaxis(session.target.data == 1, axis, 0)
    for place in session.stack.scores:
        if place != CENTRE[axis]:
            assert np.array_equal(written[place], inside[place])
    session.undo()
    assert not session.target.data.any()


def film(viewer, name="film"):
    frames = np.stack([volume(centre=(6, 20, 24 + t)) for t in range(4)])
    return viewer.add_image(frames, contrast_limits=(0, 255), name=name, axis_labels=("t", "z", "y", "x"))


def test_depth_is_the_axis_of_a_film_at_first_and_time_can_be_chosen(viewer, open_session, carry):
    film(viewer)
    session = open_session()
    viewer.dims.set_point((0, 1), (1, 6))
    click(session, (1, 6, 20, 25))
    session.wait(60)
    assert [(axis.axis, axis.name, axis.size) for axis in session.state.stack.axes] == [(0, "t", 4), (1, "z", 12)]
    assert session.state.stack.axis.name == "z"
    run(session)
    assert sorted(set(np.nonzero(session.target.data)[0])) == [1]
    assert sorted(set(np.nonzero(session.target.data[1])[0])) == WHOLE
    session.undo()
    session.wait(60)
    run(session, axis=0)
    written = session.target.data
    assert sorted(set(np.nonzero(written)[0])) == [0, 1, 2, 3] and sorted(set(np.nonzero(written)[1])) == [6]
    for t in (0, 2, 3):
        assert np.array_equal(written[t, 6] == 1, ball(centre=(6, 20, 24 + t))[6])  # the id is kept
    assert "t = 0 to 3" in session.state.status.text


def test_the_axis_is_that_of_the_slider_moved_last(viewer, open_session, carry):
    film(viewer)
    session = open_session()
    assert session.state.stack.axis.name == "z"
    viewer.dims.set_current_step(0, 2)
    assert session.state.stack.axis.name == "t" and session.state.stack.place == 2
    viewer.dims.set_current_step(1, 3)
    assert session.state.stack.axis.name == "z" and session.state.stack.place == 3
    session.stack.choose(axis=0)
    viewer.dims.set_current_step(1, 4)
    assert session.state.stack.axis.name == "t"


def test_copying_goes_along_time(viewer, open_session, carry):
    film(viewer)
    session = open_session()
    viewer.dims.set_point((0, 1), (1, 6))
    session.stack.choose(axis=0)
    click(session, (1, 6, 20, 25))
    session.wait(60)
    session.stack.copy_prompts()
    session.wait(60)
    session.accept()
    assert viewer.dims.current_step[:2] == (2, 6)
    assert sorted(set(np.nonzero(session.target.data == 1)[0])) == [1, 2]


def test_a_scaled_and_moved_stack(viewer, open_session, carry):
    viewer.add_image(
        volume(), contrast_limits=(0, 255), scale=(3, 0.5, 0.5), translate=(10, -4, 7), axis_labels=("z", "y", "x")
    )
    session = open_session()
    session.stack.go_to_plane(CENTRE[0])
    assert viewer.dims.point[0] == 10 + 3 * CENTRE[0]
    click(session, CENTRE)
    session.wait(60)
    run(session)
    assert planes(session) == WHOLE
    session.stack.go_to_plane(99)
    assert session.state.stack.place == 11


# -- words ----------------------------------------------------------------------------------------


def test_there_is_nothing_to_carry_at_first(image, viewer, open_session, carry):
    session = open_session()
    assert session.state.stack.text == propagation_messages.NO_OBJECT and not session.state.stack.can_propagate
    session.stack.propagate()
    assert session.state.status.text == propagation_messages.NO_OBJECT
    session.stack.next_weak_plane()
    assert session.state.status.text == propagation_messages.NO_WEAK
    assert session.target is None


def test_a_plane_without_a_stack(viewer, open_session, carry):
    viewer.add_image(volume()[6], contrast_limits=(0, 255))
    session = open_session()
    assert session.state.stack.text == propagation_messages.NO_STACK and session.state.stack.axes == ()
    click(session, CENTRE[1:])
    session.wait(60)
    session.stack.propagate()
    assert session.state.status.text == propagation_messages.NO_STACK
    assert session.target is None and not session.state.stack.can_propagate


def test_the_volume_view_has_words(ready, viewer):
    ready.accept()
    viewer.dims.ndisplay = 3
    assert "3D view" in ready.state.stack.text
    ready.stack.propagate()
    assert "3D view" in ready.state.status.text and not ready.state.stack.running


def test_an_object_that_is_elsewhere(ready, viewer):
    ready.accept()
    viewer.dims.order = (1, 0, 2)
    show(viewer, 2, axis=1)
    ready.stack.propagate()
    assert "Object 1 is on no plane along y here" in ready.state.status.text


# -- breaking it off ------------------------------------------------------------------------------


class Gate:
    """Holds a run back before a plane."""

    def __init__(self, carry, at):
        self.at = at
        self.reached, self.go = threading.Event(), threading.Event()
        carry.before = self

    def __call__(self, index):
        if index == self.at:
            self.reached.set()
            assert self.go.wait(60)


def deliver_until(session, gate):
    while not gate.reached.is_set():
        session._worker.deliver()
        gate.reached.wait(0.005)


@pytest.fixture
def held(ready, carry):
    """A run that is held back before plane 9; planes 3 to 8 are written, or about to be."""
    gate = Gate(carry, 9)
    ready.stack.propagate()
    deliver_until(ready, gate)
    yield ready, gate
    gate.go.set()


def test_cancel_keeps_what_was_done(held):
    session, gate = held
    assert session.state.status.cancellable
    before = planes(session)
    session.cancel()
    assert not session.state.stack.running
    assert "planes are written; one undo takes all back" in session.state.status.text
    gate.go.set()
    session.wait(60)
    assert planes(session) == before and 8 in before and 9 not in before
    assert session.stack.scores.keys() == set(before)
    session.undo()
    assert not session.target.data.any() and len(session.points.data) == 1


def test_a_run_goes_on_with_its_own_object_while_another_image_is_worked_on(held, viewer):
    session, gate = held
    first = session.image
    viewer.add_image(volume(), contrast_limits=(0, 255), name="other")
    assert session.image.name == "other" and session.state.stack.label is None
    gate.go.set()
    session.wait(60)
    session.image = first
    assert session.stack.scores.keys() == set(planes(session)) == set(WHOLE)


@pytest.fixture
def cancelled(held, carry):
    """A run that was cancelled before plane 9, and the planes that the next one asks the model for."""
    session, gate = held
    session.cancel()
    gate.go.set()
    session.wait(60)
    assert 8 in planes(session) and 9 not in planes(session)
    carry.calls.clear()
    asked = []
    carry.before = asked.append
    return session, asked


def test_a_cancelled_run_goes_on_from_where_it_was(cancelled):
    session, asked = cancelled
    assert "Propagate goes on from there" in session.state.stack.text
    done, said = set(planes(session)), []
    session.events.state_changed.connect(lambda state: said.append(state.status.text))
    run(session)
    assert planes(session) == WHOLE and not done & set(asked) and 9 in asked
    assert any(text.startswith("Going on with object 1: plane") for text in said)
    assert "carried to 8 planes, z = 2 to 10" in session.state.status.text
    session.undo()
    assert set(planes(session)) == done
    run(session)
    assert planes(session) == WHOLE
    session.undo()
    session.undo()
    assert not session.target.data.any() and len(session.points.data) == 1


def test_a_run_can_be_cancelled_twice(cancelled, carry):
    session, _ = cancelled
    gate = Gate(carry, 10)
    session.stack.propagate()
    deliver_until(session, gate)
    session.cancel()
    gate.go.set()
    session.wait(60)
    assert 9 in planes(session) and 10 not in planes(session)
    run(session)
    assert planes(session) == WHOLE


@pytest.mark.parametrize("change", ["strategy", "range", "painted", "model"])
def test_a_cancelled_run_starts_again_after_a_change(cancelled, change):
    session, asked = cancelled
    said = []
    session.events.state_changed.connect(lambda state: said.append(state.status.text))
    match change:
        case "strategy":
            session.stack.choose(strategy="previous")
        case "range":
            session.stack.choose(stop=11)
        case "painted":
            session.target.data_setitem((np.array([6]), np.array([30]), np.array([40])), 1)
        case "model":
            session.model = "another"
    run(session)
    assert planes(session) == WHOLE and {3, 8, 9} <= set(asked)
    assert any(text.startswith("Starting again with object 1: plane") for text in said)


def test_a_cancelled_run_is_carried_on_after_a_correction(cancelled, viewer):
    session, asked = cancelled
    session.stack.toggle_same_object()
    prompt(session, viewer, 8)
    session.accept()
    assert "carried in part" in session.state.stack.text
    run(session)
    assert planes(session) == WHOLE and session.target.data.max() == 1 and {2, 9, 10} <= set(asked)


def test_a_cancelled_correction_goes_on(weak, viewer, carry):
    weak.stack.next_weak_plane()
    prompt(weak, viewer, 8)
    gate = Gate(carry, 10)
    weak.stack.propagate()
    deliver_until(weak, gate)
    weak.cancel()
    gate.go.set()
    weak.wait(60)
    assert np.array_equal(weak.target.data[9] == 1, ball()[9]) and weak.target.data[10, 2:6, 2:6].all()
    run(weak)
    assert np.array_equal(weak.target.data[10] == 1, ball()[10])


def test_planes_that_were_said_but_not_answered_are_not_lost_by_cancelling(ready, viewer, engines):
    prompt(ready, viewer, 9)
    show(viewer, CENTRE[0])
    ready.wait(60)
    engines[0].gate.clear()
    engines[0].started.clear()
    ready.stack.propagate()
    assert engines[0].started.wait(60)
    ready.cancel()
    engines[0].gate.set()
    ready.wait(60)
    assert planes(ready) == [CENTRE[0]]
    run(ready)
    assert planes(ready) == WHOLE
    assert [plane.place for plane in ready.state.stack.planes if plane.annotated] == [6, 9]


def test_a_run_that_failed_goes_on(ready, carry):
    def fail(index):
        if index == 9:
            raise RuntimeError("out of luck")

    carry.before = fail
    run(ready)
    carry.before = lambda _index: None
    run(ready)
    assert planes(ready) == WHOLE


def test_undo_stops_the_run_and_takes_it_back(held):
    session, gate = held
    session.undo()
    gate.go.set()
    session.wait(60)
    assert not session.target.data.any() and not session.state.stack.running
    assert len(session.points.data) == 1


def test_a_click_while_it_runs_is_answered_first(held, viewer, engines):
    session, gate = held
    asked = len(engines[0].asked)
    show(viewer, 2)
    click(session, (2, 20, 24))
    gate.go.set()
    while len(engines[0].asked) == asked:
        session._worker.deliver()
    assert session._worker.busy() or session.state.stack.running or session.state.candidates
    session.wait(60)
    assert session.state.candidates
    assert planes(session) == WHOLE


def test_another_object_can_be_accepted_while_it_runs(held, viewer):
    session, gate = held
    show(viewer, 0)
    click(session, (0, 2, 2))
    gate.go.set()
    while not session.state.candidates:
        session._worker.deliver()
    session.accept()
    session.wait(60)
    assert planes(session, 1) == WHOLE and planes(session, 2) == [0]
    session.undo()
    assert planes(session, 1) == WHOLE and planes(session, 2) == []
    session.undo()  # the click
    session.undo()
    assert not session.target.data.any()


def test_the_target_is_removed_under_it(held, viewer):
    session, gate = held
    viewer.layers.remove(session.target)
    gate.go.set()
    session.wait(60)
    assert propagation_messages.TARGET_GONE in session.state.stack.text
    assert not session.state.stack.running and session.target is None


def test_the_image_is_replaced_under_it(held, image):
    session, gate = held
    image.data = volume()[:, ::-1]
    gate.go.set()
    session.wait(60)
    assert propagation_messages.IMAGE_GONE in session.state.stack.text
    assert not session.state.stack.running and 8 in planes(session)


def test_the_image_is_removed_under_it(held, viewer, image):
    session, gate = held
    viewer.layers.remove(image)
    gate.go.set()
    session.wait(60)
    assert not session.state.stack.running


def test_another_model_stops_it(held):
    session, gate = held
    session.model = "another"
    gate.go.set()
    session.wait(60)
    assert propagation_messages.MODEL_CHANGED in session.state.stack.text and not session.state.stack.running


def test_napari_s_undo_of_the_run_stops_it(held):
    session, gate = held
    session.target.undo()
    gate.go.set()
    session.wait(60)
    assert not session.target.data.any() and not session.state.stack.running
    assert session.state.stack.text == propagation_messages.TAKEN_BACK
    assert session.stack.scores == {}


def test_a_second_run_has_to_wait(held):
    session, gate = held
    session.stack.propagate()
    assert session.state.status.text == propagation_messages.RUNNING
    gate.go.set()
    session.wait(60)
    assert planes(session) == WHOLE


def test_the_session_is_closed_under_it(held):
    session, gate = held
    target, before = session.target, planes(session)
    threading.Timer(0.05, gate.go.set).start()
    session.close()
    assert sorted(set(np.nonzero(target.data)[0])) == before


def test_scrolling_and_the_volume_view_leave_it_alone(held, viewer):
    session, gate = held
    show(viewer, 3)
    viewer.dims.ndisplay = 3
    gate.go.set()
    session.wait(60)
    viewer.dims.ndisplay = 2
    assert planes(session) == WHOLE


def test_a_failure_keeps_what_was_done_and_says_so(ready, carry):
    def fail(index):
        if index == 9:
            raise RuntimeError("out of luck")

    carry.before = fail
    run(ready)
    assert ready.state.status.kind == "failed" and "out of luck" in ready.state.status.text
    assert 8 in planes(ready) and not ready.state.stack.running
    ready.undo()
    assert not ready.target.data.any()


def test_a_run_that_wrote_nothing_leaves_the_prompts(ready, viewer, carry, engines):
    show(viewer, 3)
    ready.wait(60)
    engines[0].error = RuntimeError("out of luck")
    run(ready)  # the only prompts are on another plane, and are asked anew
    assert ready.state.status.kind == "failed"
    assert len(ready.points.data) == 1 and not ready.state.can_redo
    assert RADII  # the object is still there to be found
    engines[0].error = None
    run(ready)
    assert planes(ready) == WHOLE


def test_other_images_have_their_own_object_in_hand(ready, viewer, image):
    run(ready)
    other = viewer.add_image(volume(), contrast_limits=(0, 255), name="other")
    ready.image = other
    assert ready.state.stack.label is None and ready.stack.scores == {}
    ready.image = image
    assert ready.state.stack.label == 1 and len(ready.stack.scores) == len(WHOLE)


# -- lifetime, and the real model -----------------------------------------------------------------


def test_a_session_that_is_closed_under_a_run_is_collected(image, viewer, factory, carry):
    session = Session(viewer, engine_factory=factory)
    prompt(session, viewer, CENTRE[0])
    gate = Gate(carry, 9)
    session.stack.propagate()
    deliver_until(session, gate)
    threading.Timer(0.05, gate.go.set).start()
    session.close()
    session._worker.close(timeout=60)  # who closes waits for nobody; what is computed then holds the session
    stack = session._components.propagation
    gone = [weakref.ref(thing) for thing in (session, stack, stack._runner, stack.options)]
    carry.before = None
    del session, gate, stack
    gc.collect()
    assert [ref() for ref in gone if ref() is not None] == []


def test_the_bundled_model_carries_a_body_through_a_small_volume(viewer):
    shape, centre, radii = (7, 64, 72), (3, 30, 36), (4.6, 15.0, 18.0)
    bright = np.where(ball(shape, centre, radii), 180.0, 40.0)
    noisy = gaussian_filter(bright, (0, 1, 1)) + np.random.default_rng(1).normal(0, 8, shape)
    viewer.add_image(noisy.astype(np.float32), contrast_limits=(0, 255), axis_labels=("z", "y", "x"))
    session = Session(viewer)
    try:
        show(viewer, centre[0])
        click(session, centre)
        session.wait(120)
        session.stack.propagate()
        session.wait(240)
        found, body = session.target.data == 1, ball(shape, centre, radii)
        assert (found & body).sum() / (found | body).sum() > 0.8
        assert len(session.stack.scores) >= 5 and min(session.stack.scores.values()) >= 0
        session.undo()
        assert not session.target.data.any()
    finally:
        session.close()


KILLED = """
    import os, signal, sys
    import numpy as np
    from fake_propagation import CENTRE, FakePropagation, volume
    from napari.components import ViewerModel
    from session_scenery import click
    from fake_engine import FakeEngine
    from napari_sam.session import Session
    from napari_sam.session.propagation import runner

    runner.propagate = carry = FakePropagation()
    viewer = ViewerModel()
    viewer.add_image(volume(), contrast_limits=(0, 255))
    session = Session(viewer, engine_factory=lambda model, device, progress: FakeEngine(model, device))
    viewer.dims.set_current_step(0, CENTRE[0])
    click(session, CENTRE)
    session.wait(60)

    def die(index):
        if index == 9:
            print(*sorted(set(np.nonzero(session.target.data)[0])), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    carry.before = die
    session.stack.propagate()
    session.wait(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
def test_a_killed_run_loses_nothing_that_was_shown(home):
    tests = Path(__file__).parents[2]
    paths = os.pathsep.join([str(tests), str(tests / "session"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    shown = [int(place) for place in done.stdout.split()]
    assert len(shown) >= 5
    assert sorted(record["plane"]["index"][0] for record in journal(home)) == shown


def test_the_first_object_of_a_stack_is_written_at_once_however_large(viewer, open_session):
    viewer.add_image(np.zeros((70, 512, 512), np.uint8), contrast_limits=(0, 255))
    session = open_session()
    show(viewer, 3)
    click(session, (3, 9, 9))
    session.wait(60)
    session.accept()
    assert session.target.data.max() == 1
