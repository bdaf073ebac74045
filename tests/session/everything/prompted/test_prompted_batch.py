"""Many prompts, one object each: made in batches, shown, and written as one step."""

from __future__ import annotations

import numpy as np
import pytest
from session_scenery import DISCS, SHAPE, click

from napari_sam.journal import read_journal
from napari_sam.journal.database import SUFFIX
from napari_sam.prompts import BoxPrompt, PointPrompt, PromptSet
from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.prompted import messages as prompted_messages
from napari_sam.session.messages import name_keys

BOXES = [[[8, 13], [8, 27], [22, 27], [22, 13]], [[33, 53], [33, 67], [47, 67], [47, 53]]]
"""Corners of a box around each disc."""


@pytest.fixture
def batch(session):
    """A session in the tempo "batch"."""
    session.tempo = "batch"
    return session


def draw_points(session, *positions, positive=True):
    for position in positions:
        click(session, position, positive)
    session.wait(60)


def make(session, layer=None):
    session.everything.make(layer)
    session.wait(60)
    return session.state.everything


def journal(home):
    [path] = (home / "journal").glob(f"*{SUFFIX}")
    return read_journal(path)


def test_points_of_a_batch_are_not_asked_for_one_by_one(batch, engine):
    draw_points(batch, *DISCS)
    assert not engine.asked
    assert not batch.state.candidates
    assert batch.state.everything.drawn == 2
    assert batch.state.hint == name_keys(prompted_messages.ready(2), batch.keys.of)


def test_all_are_made_in_one_call_and_shown(batch, engine, viewer):
    draw_points(batch, *DISCS)
    state = make(batch)
    assert engine.batches == [[PromptSet((PointPrompt(at),)) for at in DISCS]]
    assert (state.found, state.shown, state.picking) == (2, 2, True)
    assert "SAM objects" in viewer.layers
    assert batch.state.status.text == prompted_messages.made(2, 2)
    assert batch.target is None  # nothing is written yet


def test_accept_writes_all_as_one_step_with_their_prompts(batch, disc):
    draw_points(batch, *DISCS)
    make(batch)
    batch.accept()
    expected = np.where(disc[0], 1, np.where(disc[1], 2, 0))
    np.testing.assert_array_equal(batch.target.data, expected)
    assert not len(batch.points.data)
    batch.undo()
    assert not batch.target.data.any()
    np.testing.assert_array_equal(batch.points.data, DISCS)
    batch.redo()
    np.testing.assert_array_equal(batch.target.data, expected)
    assert not len(batch.points.data)


def test_napari_s_own_undo_takes_all_of_them_back(batch):
    draw_points(batch, *DISCS)
    make(batch)
    batch.accept()
    batch.target.undo()
    assert not batch.target.data.any()


def test_the_journal_has_each_object_with_its_prompt(batch, home):
    draw_points(batch, *DISCS)
    make(batch)
    batch.accept()
    batch.wait(60)
    records = journal(home)
    assert [record["label"] for record in records] == [1, 2]
    assert [[one["position"] for one in record["prompts"]["prompts"]] for record in records] == [
        [list(at)] for at in DISCS
    ]
    assert {record["found"]["mode"] for record in records} == {"prompts"}


def test_enter_makes_them_and_enter_again_writes_them(batch):
    draw_points(batch, *DISCS)
    assert batch.state.can_accept
    batch.accept()
    batch.wait(60)
    assert batch.state.everything.found == 2
    batch.accept()
    assert sorted(np.unique(batch.target.data)) == [0, 1, 2]


def test_accept_while_they_are_made_writes_them_as_soon_as_they_are_there(batch, engine):
    draw_points(batch, *DISCS)
    engine.gate.clear()
    batch.everything.make()
    assert engine.started.wait(60)
    batch.accept()
    assert batch.target is None
    engine.gate.set()
    batch.wait(60)
    assert sorted(np.unique(batch.target.data)) == [0, 1, 2]
    assert not len(batch.points.data)
    batch.undo()
    np.testing.assert_array_equal(batch.points.data, DISCS)


def test_a_negative_point_belongs_to_the_nearest_object(batch, engine):
    draw_points(batch, *DISCS)
    draw_points(batch, (38, 58), positive=False)
    assert batch.state.everything.drawn == 2
    make(batch)
    asked = [prompts for lot in engine.batches for prompts in lot]
    assert set(asked) == {
        PromptSet((PointPrompt(DISCS[0]),)),
        PromptSet((PointPrompt(DISCS[1]), PointPrompt((38, 58), positive=False))),
    }
    batch.accept()
    assert batch.target.data[38, 58] == 0
    assert not len(batch.points.data)


def test_boxes_of_a_batch_stay_beside_each_other(batch, engine):
    batch.use_tool("box")
    for corners in BOXES:
        batch.shapes.add(corners, shape_type="rectangle")
    batch.wait(60)
    assert len(batch.shapes.data) == 2
    assert batch.state.status.kind == "idle"
    make(batch)
    batch.accept()
    assert sorted(np.unique(batch.target.data)) == [0, 1, 2]
    assert not len(batch.shapes.data)
    batch.undo()
    assert len(batch.shapes.data) == 2


def test_in_another_tempo_the_newest_box_replaces_the_older_one(session):
    session.use_tool("box")
    for corners in BOXES:
        session.shapes.add(corners, shape_type="rectangle")
    session.wait(60)
    assert len(session.shapes.data) == 1


def test_what_is_dropped_is_not_written_and_its_prompt_goes(batch, disc):
    draw_points(batch, *DISCS)
    make(batch)
    batch.everything.toggle(0)
    batch.accept()
    assert len(np.unique(batch.target.data)) == 2
    assert not len(batch.points.data)
    batch.undo()
    assert len(batch.points.data) == 2


def test_two_points_on_one_object_give_one(batch, disc):
    draw_points(batch, (15, 19), (15, 21))
    state = make(batch)
    assert (state.found, state.shown) == (2, 1)
    batch.accept()
    assert sorted(np.unique(batch.target.data)) == [0, 1]


def test_a_small_object_within_a_large_one_does_not_vanish(batch):
    batch.use_tool("box")
    for low, high in (((5, 5), (50, 70)), ((20, 20), (30, 30))):
        corners = [[low[0], low[1]], [low[0], high[1]], [high[0], high[1]], [high[0], low[1]]]
        batch.shapes.add(corners, shape_type="rectangle")
    make(batch)
    batch.accept()
    large, small = batch.target.data[6, 6], batch.target.data[25, 25]
    assert large
    assert small
    assert large != small


def test_a_prompt_drawn_after_making_stays(batch):
    draw_points(batch, DISCS[0])
    make(batch)
    draw_points(batch, DISCS[1])
    batch.everything.accept()
    np.testing.assert_array_equal(batch.points.data, [DISCS[1]])


def test_nothing_drawn_is_said(batch):
    make(batch)
    assert batch.state.status.text == prompted_messages.NOTHING_DRAWN
    assert not batch.state.everything.can_make


def test_a_batch_can_be_cancelled(batch, engine):
    draw_points(batch, *DISCS)
    engine.gate.clear()
    batch.everything.make()
    assert engine.started.wait(60)
    assert batch.state.status.cancellable
    batch.cancel()
    engine.gate.set()
    batch.wait(60)
    assert batch.state.status.text == everything_messages.CANCELLED
    assert batch.state.everything.found is None
    assert len(batch.points.data) == 2


def test_labels_that_are_there_are_not_written_over(batch, disc):
    draw_points(batch, DISCS[0])
    make(batch)
    batch.accept()
    draw_points(batch, *DISCS)
    assert make(batch).shown == 1
    batch.accept()
    np.testing.assert_array_equal(batch.target.data, np.where(disc[0], 1, np.where(disc[1], 2, 0)))


def test_a_change_of_tempo_asks_for_what_is_drawn(batch, engine):
    draw_points(batch, DISCS[0])
    assert not engine.asked
    batch.tempo = "careful"
    batch.wait(60)
    assert engine.asked == [PromptSet((PointPrompt(DISCS[0]),))]
    assert batch.state.candidates
    batch.tempo = "batch"
    assert not batch.state.candidates


def test_a_grid_of_points_is_one_step(batch):
    batch.everything.add_grid(20)
    batch.wait(60)
    assert len(batch.points.data) == 3 * 4
    assert batch.state.everything.drawn == 12
    assert set(np.diff(np.unique(batch.points.data[:, 0]))) == {20}
    batch.undo()
    assert not len(batch.points.data)


def test_points_of_a_layer_of_the_person_s_become_objects_and_stay(session, viewer, disc):
    spots = viewer.add_points(np.array(DISCS), name="spots")
    assert spots in session.everything.layers()
    state = make(session, spots)
    assert state.shown == 2
    session.everything.accept()
    np.testing.assert_array_equal(session.target.data, np.where(disc[0], 1, np.where(disc[1], 2, 0)))
    np.testing.assert_array_equal(spots.data, DISCS)
    session.undo()
    assert not session.target.data.any()


def test_shapes_of_a_layer_of_the_person_s_become_objects(session, viewer, engine):
    rough = viewer.add_shapes(BOXES, name="rough")
    assert make(session, rough).shown == 2
    asked = [prompts.box for lot in engine.batches for prompts in lot]
    assert asked == [BoxPrompt(corners[0], corners[2]) for corners in BOXES]
    session.everything.accept()
    assert sorted(np.unique(session.target.data)) == [0, 1, 2]
    assert len(rough.data) == 2


def test_a_scaled_layer_lies_where_it_is_seen(session, viewer, engine):
    spots = viewer.add_points(np.array(DISCS) / 2, scale=(2, 2), name="spots")
    make(session, spots)
    assert [prompts.points[0].position for lot in engine.batches for prompts in lot] == list(DISCS)


def test_only_points_of_the_plane_on_screen_count(viewer, open_session, factory):
    stack = viewer.add_image(np.zeros((3, *SHAPE), np.uint8), contrast_limits=(0, 255))
    session = open_session(image=stack)
    spots = viewer.add_points([[0, 5, 5], [1, 20, 20], [1, 30, 30], [2, 8, 8]])
    viewer.dims.set_point(0, 1)
    session.wait(60)
    assert make(session, spots).found == 2


def test_a_layer_of_another_kind_is_refused_with_words(session, viewer, image):
    make(session, image)
    assert session.state.status.text == prompted_messages.no_prompts_in(image.name)


def test_an_empty_layer_is_refused_with_words(session, viewer):
    make(session, viewer.add_points(np.zeros((0, 2)), name="none"))
    assert session.state.status.text == prompted_messages.nothing_in("none")


def test_layers_of_the_session_are_not_offered(session, viewer):
    draw_points(session, DISCS[0])
    spots = viewer.add_points(np.array(DISCS))
    session.accept()
    assert session.everything.layers() == [session.target, spots]
