"""Work that the journal knows is offered when its image is opened again, and restored as it was."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from itertools import count

import numpy as np
import pytest
from napari.components import ViewerModel
from session_scenery import DISCS, SHAPE, accept, discs

from napari_sam.journal.pixels import pixels_digest
from napari_sam.session.recovery import messages
from napari_sam.session.viewing.feature_table import CLASS, REVIEWED, read_column


@pytest.fixture
def reopen(open_session, monkeypatch):
    """Open an image in a viewer of its own, as after a crash: the process of before is gone."""

    processes = count(-1, -1)

    def reopen(data, **layer):
        process = next(processes)
        monkeypatch.setattr(os, "getpid", lambda: process)
        viewer = ViewerModel()
        viewer.add_image(data, **{"contrast_limits": (0, 255), "name": "cells", **layer})
        session = open_session(viewer)
        session.wait(60)
        return viewer, session

    return reopen


def annotate(session):
    """Two objects, one of them undone and done again, and one that was undone for good."""
    accept(session, DISCS[0])
    accept(session, DISCS[1])
    session.undo()
    session.redo()
    accept(session, (2, 2))
    session.undo()
    session.clear()
    return np.array(session.target.data)


def test_objects_come_back_with_their_ids_as_one_step(session, reopen):
    before = annotate(session)
    _viewer, again = reopen(discs())
    assert again.state.recovery.offer.startswith("2 objects of cells, today ")
    again.recovery.restore()
    again.wait(60)
    assert np.array_equal(again.target.data, before)
    assert (again.state.recovery.offer, again.state.next_id) == ("", 3)
    assert "2 objects restored" in again.state.status.text
    again.undo()
    assert not again.target.data.any()
    again.redo()
    assert np.array_equal(again.target.data, before)


def test_classes_and_marks_come_back_and_are_offered_the_next_time(session, reopen):
    annotate(session)
    session.table.classify([1, 2], "mitosis")
    session.table.classify([2], "debris")
    session.table.review("checked", [1])
    session.undo()
    session.redo()
    session.table.classify([1], "wrong")
    session.undo()
    for _ in range(2):
        _viewer, again = reopen(discs())
        again.recovery.restore()
        again.wait(60)
        assert read_column(again.target, CLASS, [1, 2, 3]) == ["mitosis", "debris", ""]
        assert read_column(again.target, REVIEWED, [1, 2]) == ["checked", ""]
        assert [one.name for one in again.state.table.classes][:2] == ["mitosis", "debris"]


def test_a_new_object_has_nothing_of_one_that_was_undone(session, reopen):
    accept(session, DISCS[0])
    session.table.review("checked", [1])
    session.table.classify([1], "mitosis")
    for _ in range(3):
        session.undo()
    session.clear()
    accept(session, DISCS[1])
    assert read_column(session.target, CLASS, [1]) == [""]
    _viewer, again = reopen(discs())
    again.recovery.restore()
    again.wait(60)
    assert again.target.data[DISCS[1]] == 1
    assert read_column(again.target, CLASS, [1]) == read_column(again.target, REVIEWED, [1]) == [""]


def test_what_was_restored_and_what_came_after_is_offered_the_next_time(session, reopen):
    annotate(session)
    _viewer, again = reopen(discs())
    again.recovery.restore()
    again.wait(60)
    accept(again, (2, 2))
    before = np.array(again.target.data)
    _viewer, third = reopen(discs())
    assert third.state.recovery.offer.startswith("3 objects")
    third.recovery.restore()
    third.wait(60)
    assert np.array_equal(third.target.data, before)


def test_a_restore_that_was_undone_is_not_taken_for_work(session, reopen):
    annotate(session)
    _viewer, again = reopen(discs())
    again.recovery.restore()
    again.wait(60)
    again.undo()
    _viewer, third = reopen(discs())
    assert third.state.recovery.offer.startswith("2 objects")


def test_an_empty_target_is_filled_and_another_is_left_alone(session, reopen):
    before = annotate(session)
    viewer, again = reopen(discs())
    again.new_target()
    empty = again.target
    again.recovery.restore()
    again.wait(60)
    assert again.target is empty and np.array_equal(empty.data, before)
    viewer, third = reopen(discs())
    painted = viewer.add_labels(np.full(SHAPE, 7))
    third.target = painted
    third.recovery.restore()
    third.wait(60)
    assert third.target is not painted and (painted.data == 7).all()
    assert np.array_equal(third.target.data, before)


def test_labels_that_carry_the_objects_are_no_reason_for_an_offer(session, reopen):
    before = annotate(session)
    viewer, again = reopen(discs())
    assert again.state.recovery.offer
    saved = viewer.add_labels(before)
    again.settings.only_empty = not again.settings.only_empty  # anything that publishes
    assert again.state.recovery.offer == ""
    viewer.layers.remove(saved)
    assert again.state.recovery.offer
    viewer.add_labels(np.where(before == 1, before, 0))  # saved before the last object
    again.settings.only_empty = not again.settings.only_empty
    assert again.state.recovery.offer


def test_no_offer_for_what_is_open(session, open_session, viewer, reopen):
    annotate(session)
    assert session.state.recovery.offer == ""
    session.close()
    again = open_session()
    again.wait(60)
    assert again.state.recovery.offer == ""


def test_another_image_of_the_name_gets_no_offer(session, reopen):
    annotate(session)
    other = discs()
    other[0, 0] = 1
    assert reopen(other)[1].state.recovery.offer == ""
    assert reopen(discs(dtype=np.uint16))[1].state.recovery.offer == ""
    # The same pixels under another name are the same image.
    assert "renamed" in reopen(discs(), name="renamed")[1].state.recovery.offer


def test_not_now_is_for_this_session(session, reopen):
    annotate(session)
    _viewer, again = reopen(discs())
    again.recovery.dismiss()
    assert again.state.recovery.offer == ""
    again.recovery.restore()
    assert again.state.status.text == messages.NOTHING
    assert reopen(discs())[1].state.recovery.offer


def test_a_journal_that_is_damaged_costs_the_offer_only(session, reopen, home):
    annotate(session)
    session.close()
    (home / "journal" / "journal.sqlite").write_bytes(b"nothing" * 1000)
    _viewer, again = reopen(discs())
    assert again.state.recovery.offer == ""
    accept(again, DISCS[0])
    assert "journal was damaged" in again.state.status.text
    assert len(list((home / "journal").glob("damaged-*"))) == 1


def test_prompts_of_an_object_come_back(session, reopen):
    session.points.add(DISCS[0])
    session.points.add((15, 24))
    session.wait(60)
    session.accept()
    found = session.recovery.prompts_of(session.target, 1, (None, None))
    assert [point.position for point in found.points] == [(15, 20), (15, 24)]
    assert session.recovery.prompts_of(session.target, 2, (None, None)) is None
    _viewer, again = reopen(discs())
    again.recovery.restore()
    again.wait(60)
    assert again.recovery.prompts_of(again.target, 1, (None, None)) == found


def test_a_stack_comes_back_plane_by_plane(viewer, open_session, reopen):
    stack = np.stack([discs(), discs()[::-1], discs()])
    viewer.add_image(stack, contrast_limits=(0, 255), name="cells")
    session = open_session()
    for z, place in ((0, DISCS[0]), (2, DISCS[1])):
        viewer.dims.set_current_step(0, z)
        accept(session, (z, *place))
    before = np.array(session.target.data)
    _viewer, again = reopen(stack)
    again.recovery.restore()
    again.wait(60)
    assert np.array_equal(again.target.data, before)
    assert len(again.recovery.prompts_of(again.target, 2, (2, None, None))) == 1


def test_times_are_said_as_people_do():
    now = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
    said = [
        messages.when(time, now)
        for time in ("2026-11-27T08:05:00+00:00", "2026-11-26T17:04:00+00:00", "2026-11-03T17:04:00+00:00", "")
    ]
    assert said == ["today 08:05", "yesterday 17:04", "3 November 17:04", "some time ago"]
    assert messages.when("2025-01-02T17:04:00+00:00", now) == "2 January 2025 17:04"


def test_an_image_is_known_by_its_pixels_alone():
    image = np.arange(3 * 40 * 50, dtype=np.uint16).reshape(3, 40, 50)
    known = pixels_digest(image, 3)
    assert pixels_digest(image.astype(">u2"), 3) == known
    assert pixels_digest(np.asfortranarray(image), 3) == known
    assert pixels_digest(image.astype(np.int32), 3) != known
    assert pixels_digest(image.reshape(3, 50, 40), 3) != known


def test_of_a_large_image_only_crops_are_read():
    class Huge:
        shape, dtype, read = (10**6, 10**5, 10**5), np.dtype(np.uint8), 0

        def __getitem__(self, index):
            size = [at.stop - at.start for at in index]
            self.read += int(np.prod(size))
            return np.zeros(size, np.uint8)

    huge = Huge()
    pixels_digest(huge, 3)
    assert 0 < huge.read < 10**6
