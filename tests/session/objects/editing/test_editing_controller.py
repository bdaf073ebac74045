"""Deleting, merging and splitting objects that exist: one step of undo each, and no other pixel changes."""

from __future__ import annotations

import numpy as np
import pytest
from object_scenery import LEFT, RIGHT, at, rough
from session_scenery import DISCS, SHAPE, click, discs

from napari_sam.journal import read_journal
from napari_sam.masks import decode_mask
from napari_sam.session.labels.storage import make_levels


@pytest.fixture
def other(viewer, image):
    return viewer.add_labels(rough(), name="cellpose")


def journal(session):
    path = session._components.recorder.path
    return [] if path is None else read_journal(path)


def stack_session(viewer, open_session, labels):
    viewer.add_image(np.broadcast_to(discs(), labels.shape).copy(), contrast_limits=(0, 255))
    layer = viewer.add_labels(labels.copy())
    session = open_session()
    session.wait(60)
    return session, layer


def test_the_object_under_the_cursor_is_deleted_and_comes_back(session, other, viewer):
    before = other.data.copy()
    viewer.cursor.position = tuple(at(other, *DISCS[1]))
    session.actions["delete_object"].run(session)
    np.testing.assert_array_equal(other.data, np.where(before == RIGHT, 0, before))
    assert session.state.status.text.startswith("Object 12 deleted.")
    session.undo()
    np.testing.assert_array_equal(other.data, before)
    session.redo()
    other.undo()  # one step of napari's
    np.testing.assert_array_equal(other.data, before)
    [erased, withdrawn, restored] = journal(session)
    assert (erased["kind"], erased["label"]) == ("erased", RIGHT) and not decode_mask(erased["mask"]).any()
    assert withdrawn["of"] == restored["of"] == erased["number"]


def test_the_picked_object_goes_rather_than_the_one_under_the_cursor(session, other, viewer):
    session.objects.pick(LEFT, other)
    click(session, DISCS[0])
    session.wait(60)
    viewer.cursor.position = tuple(at(other, *DISCS[1]))
    session.objects.delete()
    session.wait(60)
    assert set(np.unique(other.data)) == {0, RIGHT}
    assert session.state.objects.label is None and len(session.points.data) == 0
    session.undo()
    session.wait(60)
    assert session.state.objects.label == LEFT and len(session.points.data) == 1


def test_nothing_under_the_cursor_is_said(session, other, viewer):
    viewer.cursor.position = (1, 1)
    session.objects.delete()
    assert "Point at an object" in session.state.status.text and not session.state.can_undo


def test_what_is_prompted_stays_when_another_object_is_deleted(session, other):
    click(session, DISCS[0])
    session.wait(60)
    session.objects.delete(RIGHT, other)
    session.wait(60)
    assert len(session.points.data) == 1 and session.state.candidates
    session.undo()
    assert (other.data == RIGHT).any() and len(session.points.data) == 1


@pytest.mark.parametrize("shape", [(3, *SHAPE), (2, 3, *SHAPE), (2, 2, 2, *SHAPE)], ids=["3D", "4D", "5D"])
def test_in_a_stack_all_planes_go_or_the_one_on_screen(viewer, open_session, shape):
    labels = rough(shape)
    session, layer = stack_session(viewer, open_session, labels)
    session.objects.delete(LEFT, layer)
    np.testing.assert_array_equal(layer.data, np.where(labels == LEFT, 0, labels))
    planes = int(np.prod(shape[:-2]))
    assert f"on {planes} planes" in session.state.status.text
    assert [record["kind"] for record in journal(session)] == ["erased"] * planes
    session.undo()
    np.testing.assert_array_equal(layer.data, labels)
    session.objects.delete(LEFT, layer, plane_only=True)
    index = viewer.dims.current_step[:-2]
    expected = labels.copy()
    expected[index][expected[index] == LEFT] = 0
    np.testing.assert_array_equal(layer.data, expected)
    layer.undo()
    np.testing.assert_array_equal(layer.data, labels)


def test_what_was_painted_over_it_since_stays_when_a_deletion_is_undone(session, other):
    session.objects.delete(LEFT, other)
    y, x = DISCS[0]
    other.data_setitem((np.array([y]), np.array([x])), 99)
    session.undo()
    assert other.data[y, x] == 99 and (other.data == LEFT).sum() == 24


# -- merging --------------------------------------------------------------------------------------


def test_objects_become_one_with_the_id_of_the_first(session, other):
    before = other.data.copy()
    session.objects.merge([RIGHT, LEFT], other)
    np.testing.assert_array_equal(other.data, np.where(before > 0, RIGHT, 0))
    assert "all of it is object 12" in session.state.status.text
    entries = journal(session)
    assert [(one["kind"], one["label"]) for one in entries] == [("erased", LEFT), ("accepted", RIGHT)]
    np.testing.assert_array_equal(decode_mask(entries[1]["mask"]), before > 0)
    other.undo()
    np.testing.assert_array_equal(other.data, before)
    session.undo()  # is undone already: nothing more
    np.testing.assert_array_equal(other.data, before)
    session.redo()
    np.testing.assert_array_equal(other.data, np.where(before > 0, RIGHT, 0))


def test_merging_by_clicks(session, other, viewer):
    before = other.data.copy()
    session.actions["merge_objects"].run(session)
    editing = session._components.editing
    editing.clicked.emit(at(other, *DISCS[0]))
    assert session.state.objects.clicks == 1 and not session.state.can_accept
    editing.clicked.emit(at(other, *DISCS[1]))
    assert session.state.hint.startswith("Enter merges objects 7, 12 into 7") and session.state.can_accept
    session.undo()  # takes the click back
    assert session.state.objects.clicks == 1 and len(editing.layer.data) == 1
    editing.clicked.emit(at(other, *DISCS[1]))
    session.accept()
    np.testing.assert_array_equal(other.data, np.where(before > 0, LEFT, 0))
    assert session.state.objects.tool is None and editing.layer is None
    assert not any(layer.name == "SAM marks" for layer in viewer.layers)


def test_a_picked_object_is_the_first_of_those_that_are_merged(session, other):
    session.objects.pick(RIGHT, other)
    session.objects.use_tool("merge")
    session._components.editing.clicked.emit(at(other, *DISCS[0]))
    session.accept()
    assert set(np.unique(other.data)) == {0, RIGHT}


def test_merging_in_a_stack_takes_all_planes_along(viewer, open_session):
    labels = rough((4, *SHAPE))
    labels[2][labels[2] == LEFT] = 0
    labels[3] = 0
    session, layer = stack_session(viewer, open_session, labels)
    session.objects.merge([LEFT, RIGHT], layer)
    np.testing.assert_array_equal(layer.data, np.where(labels > 0, LEFT, 0))
    session.undo()
    np.testing.assert_array_equal(layer.data, labels)


# -- splitting ------------------------------------------------------------------------------------


def dumbbell(shape=SHAPE):
    """Two discs with a bridge: one object."""
    labels = (discs() > 0).astype(np.int32) * 5
    for step in np.linspace(0, 1, 200):
        y, x = np.rint(np.array(DISCS[0]) * (1 - step) + np.array(DISCS[1]) * step).astype(int)
        labels[y, x : x + 2] = 5
    return np.broadcast_to(labels, shape).copy()


def test_an_object_is_split_into_parts_that_cover_just_what_it_covered(session, viewer):
    before = dumbbell()
    before[0, :4] = 3
    layer = viewer.add_labels(before.copy())
    session.objects.split([DISCS[0], DISCS[1]], layer)
    session.wait(60)
    np.testing.assert_array_equal(np.isin(layer.data, [5, 6]), before == 5)
    np.testing.assert_array_equal(layer.data == 3, before == 3)
    assert layer.data[DISCS[0]] != layer.data[DISCS[1]]
    areas = [(layer.data == label).sum() for label in (5, 6)]
    assert areas[0] >= areas[1] > 100  # the largest part keeps the id
    assert "now objects 5, 6" in session.state.status.text
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    assert session.state.next_id == 6


def test_splitting_by_clicks(session, viewer):
    before = dumbbell()
    layer = viewer.add_labels(before.copy())
    session.objects.use_tool("split")
    editing = session._components.editing
    editing.clicked.emit(at(layer, *DISCS[0]))
    editing.clicked.emit(at(layer, 1, 1))
    assert "no object here" in session.state.status.text and session.state.objects.clicks == 1
    editing.clicked.emit(at(layer, *DISCS[1]))
    assert session.state.hint.startswith("Enter splits object 5 into 2")
    session.accept()
    session.wait(60)
    assert layer.data[DISCS[0]] != layer.data[DISCS[1]]
    np.testing.assert_array_equal(layer.data > 0, before > 0)
    session.undo()
    np.testing.assert_array_equal(layer.data, before)


def test_points_on_two_objects_split_nothing(session, other):
    before = other.data.copy()
    session.objects.split([DISCS[0], DISCS[1]], other)
    session.wait(60)
    assert "two or more of its pixels" in session.state.status.text
    np.testing.assert_array_equal(other.data, before)
    session.objects.use_tool("split")
    editing = session._components.editing
    editing.clicked.emit(at(other, *DISCS[0]))
    editing.clicked.emit(at(other, *DISCS[1]))
    assert "another object" in session.state.status.text and session.state.objects.clicks == 1
    session.cancel()
    assert session.state.objects.tool is None


@pytest.mark.parametrize("plane_only", [False, True])
def test_in_a_stack_the_whole_object_is_split_or_the_plane_on_screen(viewer, open_session, plane_only):
    before = dumbbell((3, *SHAPE))
    session, layer = stack_session(viewer, open_session, before)
    z = viewer.dims.current_step[0]
    session.objects.split([(z, *DISCS[0]), (z, *DISCS[1])], layer, plane_only=plane_only)
    session.wait(60)
    np.testing.assert_array_equal(layer.data > 0, before > 0)
    divided = [layer.data[(at, *DISCS[0])] != layer.data[(at, *DISCS[1])] for at in range(3)]
    assert divided == [at == z or not plane_only for at in range(3)]
    session.undo()
    np.testing.assert_array_equal(layer.data, before)


def test_what_is_painted_while_an_object_is_being_divided_stays(session, viewer, engine):
    layer = viewer.add_labels(dumbbell())
    engine.gate.clear()
    session.objects.split([DISCS[0], DISCS[1]], layer)
    assert engine.started.wait(60)
    layer.data_setitem((np.array([DISCS[0][0] + 2]), np.array([DISCS[0][1]])), 88)
    engine.gate.set()
    session.wait(60)
    assert layer.data[DISCS[0][0] + 2, DISCS[0][1]] == 88
    assert layer.data[DISCS[0]] != layer.data[DISCS[1]]


# -- labels of other kinds ------------------------------------------------------------------------


def test_labels_on_disk_at_several_resolutions(viewer, open_session):
    image = viewer.add_image(discs(), contrast_limits=(0, 255))
    levels = make_levels(image, [SHAPE, tuple(side // 2 for side in SHAPE)])
    for step, level in enumerate(levels, 1):
        level[:] = rough()[::step, ::step]
    layer = viewer.add_labels(levels, multiscale=True)
    session = open_session()
    session.wait(60)
    session.objects.merge([RIGHT, LEFT], layer)
    session.wait(60)
    np.testing.assert_array_equal(np.asarray(levels[0]), np.where(rough() > 0, RIGHT, 0))
    assert set(np.unique(np.asarray(levels[1]))) == {0, RIGHT}
    session.undo()
    np.testing.assert_array_equal(np.asarray(levels[0]), rough())
    session.objects.delete(LEFT, layer)
    np.testing.assert_array_equal(np.asarray(levels[0]), np.where(rough() == LEFT, 0, rough()))


def test_large_labels_are_searched_beside_the_window(viewer, open_session, monkeypatch):
    from napari_sam.session.objects.editing import search

    monkeypatch.setattr(search, "AT_ONCE", 100)
    labels = rough((3, *SHAPE))
    session, layer = stack_session(viewer, open_session, labels)
    session.objects.delete(LEFT, layer)
    assert session.state.status.kind == "working" and "object 7" in session.state.status.text
    np.testing.assert_array_equal(layer.data, labels)
    session.wait(60)
    np.testing.assert_array_equal(layer.data, np.where(labels == LEFT, 0, labels))
    session.undo()
    np.testing.assert_array_equal(layer.data, labels)
    session.objects.delete(LEFT, layer)
    layer.data = np.zeros_like(labels)  # other labels meanwhile
    session.wait(60)
    assert "replaced meanwhile" in session.state.status.text
    session.objects.delete(LEFT, layer)
    session.cancel()
    session.wait(60)
    assert "Cancelled" in session.state.status.text


def test_the_viewer_is_left_as_it_was(viewer, image, open_session):
    other = viewer.add_labels(rough(), name="cellpose")
    other.mode, other.selected_label = "paint", 3
    viewer.layers.selection = {other}
    names = [layer.name for layer in viewer.layers]
    session = open_session()
    session.wait(60)
    session.objects.use_tool("pick")
    session._components.editing.clicked.emit(at(other, *DISCS[0]))
    session.wait(60)
    session.objects.use_tool("split")
    session.close()
    assert [layer.name for layer in viewer.layers] == names
    assert viewer.layers.selection.active is other
    assert (str(other.mode), other.selected_label) == ("paint", 3)
