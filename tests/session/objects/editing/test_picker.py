"""Any object of any labels becomes the current one: clicks correct it, and accept puts it back in its place."""

from __future__ import annotations

import numpy as np
import pytest
from object_scenery import LEFT, RIGHT, at, rough
from session_scenery import DISCS, SHAPE, accept, click, discs

from napari_sam.prompts import PointPrompt


@pytest.fixture
def other(viewer, image):
    """Labels of another tool."""
    return viewer.add_labels(rough(), name="cellpose")


def preview(session):
    return np.asarray(session.preview.data).squeeze() != 0


def test_the_mask_of_a_picked_object_is_what_is_shown_and_accepted(session, other):
    before = other.data.copy()
    session.objects.pick(LEFT, other)
    np.testing.assert_array_equal(preview(session), before == LEFT)  # at once, before the model has looked
    session.wait(60)
    state = session.state
    assert state.objects.label == LEFT and session.target is other
    assert 'Objects go to "cellpose" now' in state.status.text
    [candidate] = state.candidates
    assert candidate.area == (before == LEFT).sum()
    assert state.next_id == LEFT and "Enter writes object 7 again" in state.hint
    session.accept()
    np.testing.assert_array_equal(other.data, before)
    assert session.state.objects.label is None


def test_a_click_corrects_it_from_its_mask_and_accept_replaces_it_in_place(session, other, engine, disc):
    before = other.data.copy()
    session.objects.pick(LEFT, other)
    session.wait(60)
    click(session, DISCS[0])
    session.wait(60)
    given = engine.asked[-1]
    assert given.points == (PointPrompt(DISCS[0]),) and given.mask is not None
    # Only half sure: with a firm mask the model would believe it more than the click.
    assert np.abs(given.mask.logits).max() == 2 and (given.mask.logits > 0).sum() == (before == LEFT).sum()
    assert len(session.state.candidates) == 1
    session.accept()
    np.testing.assert_array_equal(other.data == LEFT, disc[0])
    np.testing.assert_array_equal(other.data == RIGHT, before == RIGHT)
    other.undo()  # napari's own
    np.testing.assert_array_equal(other.data, before)


def test_undo_brings_the_pixels_back_and_the_object_is_picked_again_with_its_prompts(session, other):
    before = other.data.copy()
    session.objects.pick(LEFT, other)
    click(session, DISCS[0])
    session.wait(60)
    session.accept()
    after = other.data.copy()
    assert (after != before).any()
    session.undo()
    session.wait(60)
    np.testing.assert_array_equal(other.data, before)
    assert session.state.objects.label == LEFT and len(session.points.data) == 1
    session.undo()
    session.wait(60)
    np.testing.assert_array_equal(preview(session), before == LEFT)
    session.undo()
    session.wait(60)
    assert session.state.objects.label is None and not preview(session).any()
    for _ in range(3):
        session.redo()
        session.wait(60)
    np.testing.assert_array_equal(other.data, after)


@pytest.mark.parametrize("leave", ["cancel", "clear", "leave"])
def test_leaving_it_leaves_everything_as_it_was(session, other, leave):
    before = other.data.copy()
    session.objects.pick(RIGHT, other)
    click(session, DISCS[1], positive=False)
    session.wait(60)
    (session.objects.leave if leave == "leave" else getattr(session, leave))()
    session.wait(60)
    np.testing.assert_array_equal(other.data, before)
    assert session.state.objects.label is None and not session.state.candidates
    assert len(session.points.data) == 0 and not preview(session).any()
    session.undo()
    session.wait(60)
    assert session.state.objects.label == RIGHT and len(session.points.data) == 1


def test_the_topmost_visible_object_under_a_click_is_picked(session, viewer, other):
    upper = viewer.add_labels(np.where(rough() == LEFT, 3, 0), name="upper")
    hidden = viewer.add_labels(np.full(SHAPE, 5), name="hidden", visible=False)
    session.actions["pick_object"].run(session)
    assert session.state.objects.tool == "pick" and session.state.tool is None
    session._components.editing.clicked.emit(at(upper, *DISCS[0]))
    session.wait(60)
    assert session.target is upper and session.state.objects.label == 3
    assert session.state.tool == "positive"  # the next click corrects it
    session.objects.use_tool("pick")
    session._components.editing.clicked.emit(at(upper, *DISCS[1]))
    session.wait(60)
    assert session.target is other and session.state.objects.label == RIGHT
    session.objects.use_tool("pick")
    session._components.editing.clicked.emit(at(hidden, 2, 2))
    assert "no object here" in session.state.status.text


def test_the_prompts_of_an_object_of_this_session_come_back_with_it(session, other, disc):
    click(session, DISCS[0])
    session.wait(60)
    accept(session, (DISCS[0][0] + 3, DISCS[0][1]))
    label = session.state.next_id - 1
    session.objects.pick(label)
    session.wait(60)
    assert "prompts are back" in session.state.status.text
    assert len(session.points.data) == 2
    written = np.asarray(session.target.data) == label
    np.testing.assert_array_equal(preview(session), written)  # the mask as it is, not as the model answers now
    assert "Enter writes" in session.state.hint


def test_what_was_drawn_for_another_object_is_cleared_and_comes_back_with_undo(session, other):
    click(session, DISCS[1])
    session.wait(60)
    session.objects.pick(LEFT, other)
    assert len(session.points.data) == 0
    session.undo()
    session.wait(60)
    assert session.points.data.tolist() == [list(DISCS[1])]


def test_a_background_click_alone_corrects_a_picked_object(session, other, engine):
    session.objects.pick(RIGHT, other)
    session.wait(60)
    asked = len(engine.asked)
    click(session, (DISCS[1][0], DISCS[1][1] + 9), positive=False)
    session.wait(60)
    assert len(engine.asked) == asked + 1 and session.state.candidates
    assert session.state.status.kind == "idle"


def test_what_does_not_fit_or_cannot_be_written_is_refused_in_words(session, viewer):
    small = viewer.add_labels(np.ones((5, 5), int), name="small")
    session.objects.pick(1, small)
    assert "not those of" in session.state.status.text and session.target is None
    locked = rough()
    locked.flags.writeable = False
    session.objects.pick(LEFT, viewer.add_labels(locked, name="locked"))
    assert "read-only" in session.state.status.text
    session.objects.pick(1)
    assert "Name the layer" in session.state.status.text


def test_an_object_that_is_on_another_plane_brings_that_plane_on_screen(viewer, open_session):
    stack = np.stack([discs()] * 5)
    viewer.add_image(stack, contrast_limits=(0, 255))
    labels = np.zeros(stack.shape, int)
    labels[3] = rough()
    layer = viewer.add_labels(labels)
    session = open_session()
    viewer.dims.set_current_step(0, 0)
    session.wait(60)
    session.objects.pick(LEFT, layer)
    session.wait(60)
    assert viewer.dims.current_step[0] == 3 and session.state.objects.label == LEFT
    session.objects.pick(99, layer)
    session.wait(60)
    assert "nowhere" in session.state.status.text


def test_scrolling_goes_on_with_the_object_as_it_is_there(viewer, open_session):
    stack = np.stack([discs()] * 4)
    viewer.add_image(stack, contrast_limits=(0, 255))
    labels = np.stack([rough()] * 3 + [np.zeros(SHAPE, int)])
    labels[1][labels[1] == LEFT] = 0
    labels[1][10:12, 20:22] = LEFT
    layer = viewer.add_labels(labels)
    before = labels.copy()
    session = open_session()
    viewer.dims.set_current_step(0, 0)
    session.wait(60)
    session.objects.pick(LEFT, layer)
    session.wait(60)
    viewer.dims.set_current_step(0, 1)
    session.wait(60)
    np.testing.assert_array_equal(preview(session), before[1] == LEFT)
    viewer.dims.set_current_step(0, 3)  # the object is not there: a click adds it
    session.wait(60)
    assert not session.state.candidates and session.state.next_id == LEFT
    accept(session, (3, *DISCS[0]))
    assert (layer.data[3] == LEFT).any()
    np.testing.assert_array_equal(layer.data[:3], before[:3])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_whichever_axes_are_on_screen(viewer, open_session, order):
    volume = np.zeros((20, 22, 24), np.uint8)
    volume[5:15, 6:16, 7:17] = 200
    viewer.add_image(volume, contrast_limits=(0, 255))
    labels = np.zeros(volume.shape, int)
    labels[6:12, 7:12, 8:12] = 4
    labels[0:2] = 9
    layer = viewer.add_labels(labels.copy())
    viewer.dims.order = order
    for axis in range(3):
        viewer.dims.set_current_step(axis, 9)
    session = open_session()
    session.wait(60)
    session.objects.pick(4, layer)
    session.wait(60)
    shown = tuple(sorted(order[1:]))
    plane = tuple(slice(None) if axis in shown else 9 for axis in range(3))
    np.testing.assert_array_equal(preview(session), labels[plane] == 4)
    point = [10, 11, 10]
    point[order[0]] = 9
    session.points.add(point)
    session.wait(60)
    session.accept()
    assert (layer.data[plane] == 4).any()
    changed = layer.data != labels
    changed[plane] = False
    assert not changed.any()
