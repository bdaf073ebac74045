"""Every id of a labels layer made exact: each keeps its id, and what is not sure stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
from session_scenery import DISCS, SHAPE

from napari_sam.journal import read_journal
from napari_sam.journal.database import SUFFIX
from napari_sam.session.everything.prompted import messages as prompted_messages
from napari_sam.session.messages import name_keys

IDS = (7, 300)


def square(centre, half):
    mask = np.zeros(SHAPE, bool)
    mask[centre[0] - half : centre[0] + half + 1, centre[1] - half : centre[1] + half + 1] = True
    return mask


@pytest.fixture
def rough(viewer, image):
    """Labels of another tool: a square on each disc, and an object that is none of the image's."""
    labels = np.zeros(SHAPE, np.uint16)
    for label, centre in zip(IDS, DISCS, strict=True):
        labels[square(centre, 3)] = label
    labels[50:55, 5:9] = 12
    return viewer.add_labels(labels, name="rough")


def refine(session, layer):
    session.everything.make(layer)
    session.wait(60)
    return session.state.everything


def journal(home):
    [path] = (home / "journal").glob(f"*{SUFFIX}")
    return read_journal(path)


@pytest.fixture
def scores(engine, monkeypatch):
    """What the model thinks of its masks, by the deepest pixel of the rough one."""
    known = {}
    answer = engine.predict

    def predict(plane, prompts, **options):
        found = answer(plane, prompts, **options)
        found.scores[:] = known.get(prompts.points[0].position, 0.9)
        return found

    monkeypatch.setattr(engine, "predict", predict)
    return known


def test_each_object_is_replaced_and_keeps_its_id(session, rough, disc, scores):
    scores[(52.0, 6.0)] = scores[(52.0, 7.0)] = 0.1
    before = rough.data.copy()
    state = refine(session, rough)
    assert state.refines
    assert state.shown == 2
    assert session.target is rough
    np.testing.assert_array_equal(rough.data, before)  # nothing is written yet
    session.accept()
    expected = np.where(disc[0], IDS[0], np.where(disc[1], IDS[1], 0))
    expected[50:55, 5:9] = 12  # the model is not sure of it
    np.testing.assert_array_equal(rough.data, expected)
    session.undo()
    np.testing.assert_array_equal(rough.data, before)
    session.redo()
    np.testing.assert_array_equal(rough.data, expected)


def test_napari_s_own_undo_brings_all_of_them_back(session, rough):
    before = rough.data.copy()
    refine(session, rough)
    session.accept()
    assert not np.array_equal(rough.data, before)
    rough.undo()
    np.testing.assert_array_equal(rough.data, before)


def test_what_is_dropped_stays_as_it_was(session, rough, disc):
    refine(session, rough)
    found = session._components.everything.chooser.selection
    place = found.result.labels.tolist().index(IDS[0])
    session.everything.toggle(place)
    session.accept()
    np.testing.assert_array_equal(rough.data == IDS[0], square(DISCS[0], 3))
    np.testing.assert_array_equal(rough.data == IDS[1], disc[1])


def test_a_mask_that_is_another_object_is_not_taken(session, rough, engine, scores):
    """IoU with the rough mask below the bound: what the model is sure of is something else."""
    rough.data[square(DISCS[0], 3)] = 0
    rough.data[DISCS[0]] = IDS[0]
    rough.refresh()
    before = rough.data == IDS[0]
    refine(session, rough)
    session.accept()
    np.testing.assert_array_equal(rough.data == IDS[0], before)


def test_other_objects_keep_their_pixels(session, rough, disc):
    """An object that is not replaced is in the way of one that is."""
    rough.data[15, 25] = 99  # of the disc, and too small for the model to be sure of
    rough.refresh()
    session.only_empty = False
    refine(session, rough)
    found = session._components.everything.chooser.selection
    kept = found.result.labels.tolist()
    if 99 in kept and found.result.table.wanted(found.chosen)[kept.index(99)]:
        session.everything.toggle(kept.index(99))
    session.accept()
    assert rough.data[15, 25] == 99
    assert (rough.data == IDS[0]).sum() == disc[0].sum() - 1


def test_the_journal_has_each_object_under_its_id(session, rough, home, scores):
    scores[(52.0, 6.0)] = scores[(52.0, 7.0)] = 0.1
    refine(session, rough)
    session.accept()
    session.wait(60)
    records = journal(home)
    assert {record["label"] for record in records} == set(IDS)
    assert all(0.2 <= record["found"]["agreement"] < 1 for record in records)


def test_objects_go_back_into_their_own_layer_alone(session, rough, viewer):
    refine(session, rough)
    session.new_target()
    session.everything.accept()
    assert session.state.status.text == prompted_messages.OTHER_TARGET
    assert not session.target.data.any()


def test_labels_of_another_place_are_refused_with_words(session, viewer):
    moved = viewer.add_labels(np.ones(SHAPE, int), translate=(100, 0), name="moved")
    refine(session, moved)
    assert session.state.status.text == prompted_messages.lies_elsewhere("moved", "cells")
    assert moved not in session.everything.layers()


def test_the_words_tell_how_many_stay(session, rough, scores):
    scores[(52.0, 6.0)] = scores[(52.0, 7.0)] = 0.1
    refine(session, rough)
    assert session.state.status.text == prompted_messages.refined(3, 2)
    assert session.state.hint == name_keys(prompted_messages.REFINED_HINT, session.keys.of)
