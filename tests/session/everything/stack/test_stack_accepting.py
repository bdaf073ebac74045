"""Objects of a stack: linked, written as one step, undone, and told to the journal."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
import zarr
from found_objects import disc, proposal
from session_scenery import DISCS, SHAPE

from napari_sam.automatic import ProposalFilter
from napari_sam.errors import InputError
from napari_sam.journal import decode_mask, read_journal
from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.stack import accepting
from napari_sam.session.labels.max_label import MaxLabel

ONE, TWO = (disc(y, x, 6) for y, x in DISCS)
BOTH = np.where(ONE, 1, np.where(TWO, 2, 0))


def section(session):
    return session.state.everything


def accepted(session):
    session.everything.accept()
    session.wait(60)
    return session.target.data


def found_on(session, *planes, link="auto", score=0.9):
    """Let a session look at planes on which these masks are found, each in the order of its plane."""
    left = list(planes)
    session._finds[:] = [lambda plane: [proposal(mask, score) for mask in left.pop(0)]]
    session.everything.find("stack", link=link)
    session.wait(60)


@pytest.fixture
def finds(stack, found):
    stack._finds = found
    return stack


@pytest.fixture
def before_write(monkeypatch):
    """Act when a plane is about to be written: functions of the number of planes that are done."""
    acts = []
    prepare = accepting.StackAccept._on_prepared

    def act(self, writer, numbers):
        for one in acts:
            one(writer.done)
        prepare(self, writer, numbers)

    monkeypatch.setattr(accepting.StackAccept, "_on_prepared", act)
    return acts


def test_objects_are_linked_in_depth_and_written_as_one_step(searched):
    data = accepted(searched)
    np.testing.assert_array_equal(data, [BOTH] * 3)
    assert searched.state.status.text == everything_messages.written_stack(2, 6, 3, searched.target.name, 0)
    assert section(searched).found is None
    assert searched.state.next_id == 3
    searched.undo()
    assert not data.any()
    searched.redo()
    np.testing.assert_array_equal(data, [BOTH] * 3)
    searched.target.undo()  # napari's own
    assert not data.any()


def test_enter_accepts_them(searched):
    assert searched.state.can_accept
    searched.accept()
    searched.wait(60)
    np.testing.assert_array_equal(searched.target.data, [BOTH] * 3)


def test_what_is_dropped_or_left_out_on_any_plane_is_not_written(searched, viewer):
    viewer.dims.set_current_step(0, 1)
    searched.everything.toggle(0)
    viewer.dims.set_current_step(0, 2)
    searched.everything.choose(ProposalFilter(score=0.95))
    searched.everything.keep(1)
    data = accepted(searched)
    np.testing.assert_array_equal(data > 0, [np.zeros(SHAPE, bool), np.zeros(SHAPE, bool), TWO])


def test_a_gap_of_a_plane_is_bridged(searched, viewer, home):
    viewer.dims.set_current_step(0, 1)
    searched.everything.toggle(0)
    data = accepted(searched)
    assert (data[1] == 1).sum() == pytest.approx(ONE.sum(), abs=8)
    np.testing.assert_array_equal(data[[0, 2]], [BOTH] * 2)
    filled = [record for record in journal(home) if record["found"].get("filled")]
    assert [(record["label"], record["plane"]["index"][0], "score" in record) for record in filled] == [(1, 1, False)]


def test_each_plane_on_its_own(finds):
    found_on(finds, [ONE, TWO], [ONE, TWO], [ONE], link="off")
    data = accepted(finds)
    assert [sorted(np.unique(plane)) for plane in data] == [[0, 1, 2], [0, 3, 4], [0, 5]]


def test_along_time_ids_are_kept_and_divisions_told_once(finds, home):
    mother, left, right = disc(20, 42, 9), disc(22, 36, 6), disc(22, 50, 6)
    found_on(finds, [mother], [left, right], [left, right], link="time")
    data = accepted(finds)
    assert [sorted(np.unique(plane)) for plane in data] == [[0, 1], [0, 2, 3], [0, 2, 3]]
    assert "1 divided" in finds.state.status.text
    told = [(record["label"], record["found"].get("parents")) for record in journal(home)]
    assert told == [(1, None), (2, [1]), (3, [1]), (2, None), (3, None)]


def test_of_two_parts_of_one_object_the_better_one_is_told(finds, home, found):
    left, right = (ONE & (np.arange(SHAPE[1]) < 20), ONE & (np.arange(SHAPE[1]) >= 20))
    planes = iter([[(ONE, 0.8)], [(left, 0.6), (right, 0.7)], [(ONE, 0.8)]])
    found[:] = [lambda plane: [proposal(mask, score) for mask, score in next(planes)]]
    finds.everything.find("stack")
    finds.wait(60)
    np.testing.assert_array_equal(accepted(finds), [np.where(ONE, 1, 0)] * 3)
    assert [record["score"] for record in journal(home)] == pytest.approx([0.8, 0.7, 0.8])


def journal(home):
    path = home / "journal" / "journal.sqlite"
    return read_journal(path)


def test_the_journal_has_each_object_on_each_plane(searched, home):
    accepted(searched)
    records = journal(home)
    assert [(record["plane"]["index"][0], record["label"]) for record in records] == [
        (plane, label) for plane in range(3) for label in (1, 2)
    ]
    np.testing.assert_array_equal(decode_mask(records[3]["mask"]), TWO)
    assert records[3]["score"] == pytest.approx(0.7)
    assert records[3]["found"] == {"mode": "auto", "linked": "depth", "stability": 1.0}
    searched.undo()
    assert (journal(home)[-1]["kind"], journal(home)[-1]["of"]) == ("withdrawn", list(range(6)))


def test_each_plane_is_on_the_disk_before_the_next_is_written(searched, before_write, monkeypatch):
    synced, seen = [], []
    monkeypatch.setattr(os, "fsync", lambda _descriptor: synced.append(threading.current_thread()))
    before_write.append(lambda _done: seen.append(len(synced)))
    accepted(searched)
    assert seen[1] < seen[2] < len(synced)
    assert threading.current_thread() not in synced[seen[0] :]


def test_labels_beneath_are_respected(stack, viewer):
    labels = np.zeros((3, *SHAPE), int)
    labels[1][ONE] = 7
    labels[2][:, 62:] = 8  # a part of the second disc
    stack.target = viewer.add_labels(labels.copy())
    stack.everything.find("stack")
    stack.wait(60)
    data = accepted(stack)
    np.testing.assert_array_equal(data[labels > 0], labels[labels > 0])
    assert sorted(np.unique(data[0])) == [0, 9, 10]
    np.testing.assert_array_equal(data[2] == 10, TWO & (labels[2] == 0))
    stack.undo()
    np.testing.assert_array_equal(data, labels)


def test_what_is_mostly_covered_is_left_out(stack, viewer):
    labels = np.zeros((3, *SHAPE), int)
    labels[1, :, 57:] = 8  # most of the second disc
    stack.target = viewer.add_labels(labels.copy())
    stack.everything.find("stack", link="off")
    stack.wait(60)
    data = accepted(stack)
    np.testing.assert_array_equal(data[1], np.where(ONE, 11, labels[1]))


def test_labels_are_covered_if_asked_to(stack, viewer):
    stack.target = viewer.add_labels(np.full((3, *SHAPE), 5))
    stack.only_empty = False
    stack.everything.find("stack")
    stack.wait(60)
    np.testing.assert_array_equal(accepted(stack), np.where(BOTH, BOTH + 5, 5)[None].repeat(3, axis=0))


def test_classes_of_words_go_along(stack, found, viewer, monkeypatch):
    class Encoder:
        name, logit_scale = "halves", 10.0

        def encode_text(self, phrases):
            return np.array([["left" in phrase, "right" in phrase, 0.1] for phrase in phrases], np.float32)

        def encode_images(self, images, count=None, progress=None):
            means = [
                image[:, image.shape[1] // 2 :].mean() > image[:, : image.shape[1] // 2].mean() for image in images
            ]
            return np.array([[not right, right, 0.0] for right in means], np.float32)

    monkeypatch.setattr("napari_sam.text.encoder.load_encoder", lambda name, device, *, progress: Encoder())
    left, right = (np.zeros(SHAPE, bool) for _ in range(2))
    left[10:20, 14:20], right[34:46, 60:66] = True, True
    found[:] = [lambda plane: [proposal(left), proposal(right)]]
    stack.everything.find("stack")
    stack.wait(60)
    stack.everything.find_words("left, right")
    stack.wait(60)
    assert section(stack).shown == 6
    accepted(stack)
    assert sorted(stack.target.features["class"].tolist()) == ["left", "right"]


# -- what happens meanwhile -----------------------------------------------------------------------


def test_nothing_can_be_chosen_while_they_are_linked(searched):
    searched.everything.accept()
    assert section(searched).running
    assert not section(searched).here
    assert not section(searched).can_accept
    assert searched.state.status.text == everything_messages.linking(3, "depth")
    searched.everything.choose(ProposalFilter(score=0.95))
    searched._components.everything.chooser._shown.clicked.emit(*DISCS[0])
    searched.everything.accept()
    assert searched.state.status.text == everything_messages.RUNNING
    searched.wait(60)
    np.testing.assert_array_equal(searched.target.data, [BOTH] * 3)


def test_cancel_while_they_are_linked_lets_the_person_choose_on(searched, viewer):
    searched.everything.accept()
    searched.everything.choose(ProposalFilter(score=0.95))
    searched._components.everything.chooser._shown.clicked.emit(*DISCS[0])
    searched.cancel()
    assert section(searched).shown == 6
    assert section(searched).chosen == section(searched).suggested
    assert searched.state.status.text == everything_messages.LINKING_CANCELLED
    searched.wait(60)
    assert searched.target is None
    assert section(searched).can_accept
    np.testing.assert_array_equal(accepted(searched), [BOTH] * 3)


def test_cancel_while_they_are_written_is_one_step_and_the_rest_can_be_accepted(searched, before_write):
    before_write.append(lambda done: searched.cancel() if done == 1 else None)
    data = accepted(searched)
    np.testing.assert_array_equal(data[0], BOTH)
    assert not data[1:].any()
    assert searched.state.status.text == everything_messages.written_in_part(1, 3)
    assert section(searched).can_accept
    assert section(searched).found == 6
    searched.undo()
    assert not data.any()
    before_write.clear()
    np.testing.assert_array_equal(accepted(searched), [BOTH] * 3)


@pytest.mark.parametrize("undo", ["session", "napari"])
def test_undo_while_they_are_written_ends_it(searched, before_write, undo):
    def take_back(done):
        if done == 2:
            searched.undo() if undo == "session" else searched.target.undo()

    before_write.append(take_back)
    data = accepted(searched)
    assert not data.any()
    assert searched.state.status.text == everything_messages.TAKEN_BACK
    assert section(searched).found == 6


def test_what_the_person_writes_in_between_has_an_id_of_its_own(finds, before_write):
    def paint(done):
        if done == 1:
            finds.target.data_setitem((np.array([0]), np.array([0]), np.array([0])), finds.state.next_id)

    before_write.append(paint)
    found_on(finds, [ONE], [TWO], [ONE], link="off")
    data = accepted(finds)
    assert [sorted(np.unique(plane)) for plane in data] == [[0, 1, 4], [0, 2], [0, 3]]
    assert finds.state.next_id == 5


def test_what_is_painted_in_between_is_respected(searched, before_write):
    def paint(done):
        if done == 1:
            searched.target.data_setitem(tuple(np.nonzero(np.broadcast_to(ONE, (3, *SHAPE)))), 9)

    before_write.append(paint)
    data = accepted(searched)
    assert (data[2][ONE] == 9).all()
    np.testing.assert_array_equal(data[2][TWO], 2)


def test_who_removes_the_outlines_meanwhile_hears_what_is_written(searched, viewer, before_write):
    before_write.append(lambda done: viewer.layers.remove("SAM objects") if done == 2 else None)
    data = accepted(searched)
    assert searched.state.status.text == everything_messages.written_in_part(2, 3)
    assert [bool(plane.any()) for plane in data] == [True, True, False]
    searched.undo()
    assert not data.any()


def test_a_removed_target_ends_it(searched, viewer, before_write):
    before_write.append(lambda done: viewer.layers.remove(searched.target) if done == 1 else None)
    searched.everything.accept()
    searched.wait(60)
    assert searched.state.status.text == everything_messages.TARGET_GONE
    assert section(searched).can_accept


def test_a_removed_image_ends_it(searched, viewer, before_write):
    before_write.append(lambda done: viewer.layers.remove("cells") if done == 1 else None)
    searched.everything.accept()
    searched.wait(60)
    assert section(searched).found is None
    assert not section(searched).running


def test_another_plane_meanwhile_changes_nothing(searched, viewer, before_write):
    before_write.append(lambda done: viewer.dims.set_current_step(0, done))
    np.testing.assert_array_equal(accepted(searched), [BOTH] * 3)


def test_ids_that_do_not_fit_are_refused_and_nothing_is_lost(stack, viewer):
    # Not widened, as arrays in memory are.
    labels = zarr.zeros((3, *SHAPE), dtype=np.uint8, store=zarr.storage.MemoryStore())
    labels[0, 0, 0] = 254
    stack.target = viewer.add_labels(labels)
    stack.everything.find("stack")
    stack.wait(60)
    data = accepted(stack)
    assert stack.state.status.kind == "failed"
    assert np.count_nonzero(data) == 1
    assert section(stack).can_accept


def test_without_a_next_id_nothing_is_begun(stack, viewer, monkeypatch):
    stack.target = viewer.add_labels(np.zeros((3, *SHAPE), int))
    stack.everything.find("stack")
    stack.wait(60)
    monkeypatch.setattr(MaxLabel, "value", None)  # as while the ids of a large layer are counted
    stack.everything.accept()
    assert "still being read" in stack.state.status.text
    assert not section(stack).running
    assert section(stack).here


def test_a_failure_while_writing_keeps_the_objects(searched, before_write):
    def fail(done):
        if done == 1:
            raise_from_write(searched)

    def raise_from_write(session):
        writer = session._components.targets.find_writer(session.image)

        def refuse(*_args, **_more):
            raise InputError("The disk is full. Make room.")

        writer.write_objects = refuse

    before_write.append(fail)
    data = accepted(searched)
    assert searched.state.status.text == "The disk is full. Make room."
    assert section(searched).found == 6
    np.testing.assert_array_equal(data[0], BOTH)
    searched.undo()
    assert not data.any()


def test_nothing_wanted_is_said(searched):
    searched.everything.choose(ProposalFilter(score=1.0))
    assert not section(searched).can_accept
    searched.everything.accept()
    assert searched.state.status.text == everything_messages.NOTHING_TO_WRITE
    assert section(searched).here


def test_nothing_free_is_said(stack, viewer):
    stack.target = viewer.add_labels(np.full((3, *SHAPE), 5))
    stack.everything.find("stack")
    stack.wait(60)
    stack.everything.accept()
    stack.wait(60)
    assert stack.state.status.text == everything_messages.NOTHING_FREE
    assert section(stack).found == 6


def test_discard_ends_it(searched):
    searched.everything.accept()
    searched.everything.discard()
    assert searched.state.status.text == everything_messages.LINKING_CANCELLED
    searched.wait(60)
    assert searched.target is None
    assert section(searched).found is None
    assert not section(searched).running


def test_closing_in_the_middle_ends_it(searched, viewer, before_write):
    before_write.append(lambda done: searched.close() if done == 1 else None)
    searched.everything.accept()
    searched.wait(60)
    [target] = [layer for layer in viewer.layers if layer.name != "cells"]
    np.testing.assert_array_equal(target.data[0], BOTH)
    assert not target.data[1:].any()
