"""What undo and redo change is seen: the viewer goes to its plane, or the status names it."""

from __future__ import annotations

import numpy as np
import pytest
from session_scenery import click

from fake_propagation import CENTRE, SHAPE, volume

ACROSS = (1, 0, 2)


@pytest.fixture
def ready(viewer, open_session, carry):
    viewer.add_image(volume(), contrast_limits=(0, 255), name="cells", axis_labels=("z", "y", "x"))
    session = open_session()
    session.wait(60)
    return session


def show(session, viewer, place, axis=0):
    viewer.dims.set_current_step(axis, place)
    session.wait(60)


def prompt(session, viewer, place, at=CENTRE[1:], positive=True):
    show(session, viewer, place)
    click(session, (place, *at), positive)
    session.wait(60)


def place(viewer, axis=0):
    return viewer.dims.current_step[axis]


def test_after_a_jump_to_a_weak_plane_undo_goes_back_to_the_prompts(ready, viewer, carry):
    wrong = np.zeros(SHAPE[1:], bool)
    wrong[2:6, 2:6] = True
    carry.scores, carry.masks = {9: 0.2}, {9: wrong, 10: np.zeros_like(wrong)}
    prompt(ready, viewer, 6)
    ready.stack.propagate()
    ready.wait(60)
    ready.stack.next_weak_plane()
    assert place(viewer) == 9
    ready.undo()
    assert place(viewer) == 6 and len(ready.points.data) == 1
    ready.wait(60)
    assert ready.state.candidates
    show(ready, viewer, 9)
    ready.redo()
    assert place(viewer) == 9  # the run wrote something here


def test_undo_and_redo_of_an_accept_go_to_its_plane(ready, viewer):
    prompt(ready, viewer, 6)
    ready.accept()
    show(ready, viewer, 2)
    ready.undo()
    assert place(viewer) == 6
    show(ready, viewer, 2)
    ready.redo()
    assert place(viewer) == 6 and ready.target.data[6].any()


def test_undo_of_a_prompt_goes_to_where_it_was(ready, viewer):
    prompt(ready, viewer, 6)
    show(ready, viewer, 2)
    ready.undo()
    assert place(viewer) == 6 and not len(ready.points.data)
    show(ready, viewer, 2)
    ready.redo()
    assert place(viewer) == 6


def test_undo_of_a_box_goes_to_where_it_was(ready, viewer):
    show(ready, viewer, 6)
    ready.use_tool("box")
    ready.shapes.add_rectangles([[[6, 10, 12], [6, 10, 36], [6, 30, 36], [6, 30, 12]]])
    ready.wait(60)
    show(ready, viewer, 2)
    ready.undo()
    assert place(viewer) == 6


def test_what_is_on_screen_moves_nothing(ready, viewer):
    for at in (3, 6, 9):
        prompt(ready, viewer, at)
    ready.stack.propagate()
    ready.wait(60)
    show(ready, viewer, 3)
    ready.undo()
    assert place(viewer) == 3
    show(ready, viewer, 6)
    ready.clear_all()
    ready.undo()
    assert place(viewer) == 6


def test_of_several_planes_it_goes_to_the_one_that_was_shown_last(ready, viewer):
    for at in (3, 9):
        prompt(ready, viewer, at)
    ready.clear_all()
    show(ready, viewer, 5)
    ready.undo()
    assert place(viewer) == 9


def test_an_accept_that_was_taken_back_before_its_answer_goes_there_too(ready, viewer, engines):
    engines[0].gate.clear()
    show(ready, viewer, 6)
    click(ready, CENTRE)
    ready.accept()
    viewer.dims.set_current_step(0, 2)
    ready.undo()
    assert place(viewer) == 6 and len(ready.points.data) == 1
    engines[0].gate.set()


def test_along_other_axes_the_status_says_where_it_is(ready, viewer):
    prompt(ready, viewer, 6)
    ready.accept()
    viewer.dims.order = ACROSS
    show(ready, viewer, 2, axis=1)
    ready.undo()
    assert place(viewer, 1) == 2
    assert ready.state.status.text == (
        "What changed is on plane z = 6, along other axes. Roll the axes (Ctrl-E) to see it."
    )
    ready.redo()
    assert "plane z = 6" in ready.state.status.text
    show(ready, viewer, 20, axis=1)
    ready.undo()  # the point, and a row of the mask, are seen here
    assert "plane z = 6" not in ready.state.status.text and place(viewer, 1) == 20


def test_a_box_that_is_cut_by_the_plane_on_screen_is_not_seen_there(ready, viewer):
    show(ready, viewer, 6)
    ready.use_tool("box")
    ready.shapes.add_rectangles([[[6, 10, 12], [6, 10, 36], [6, 30, 36], [6, 30, 12]]])
    ready.clear()
    viewer.dims.order = ACROSS
    show(ready, viewer, 20, axis=1)
    ready.undo()
    assert "plane z = 6, along other axes" in ready.state.status.text


def test_films_of_volumes_go_to_time_and_depth(viewer, open_session, carry):
    viewer.add_image(np.stack([volume()] * 3), contrast_limits=(0, 255), scale=(1, 2, 1, 1))
    viewer.add_labels(np.zeros((2, 3, *SHAPE), int))  # a layer with more axes
    session = open_session()
    session.image = viewer.layers[0]
    viewer.dims.set_point((1, 2), (1, 12.0))
    session.wait(60)
    click(session, (1, *CENTRE))
    session.wait(60)
    session.accept()
    viewer.dims.set_point((1, 2), (0, 4.0))
    session.wait(60)
    session.undo()
    assert viewer.dims.point[1:3] == (1.0, 12.0)


def test_the_volume_view_stays(ready, viewer):
    prompt(ready, viewer, 6)
    show(ready, viewer, 0)
    viewer.dims.ndisplay = 3
    ready.undo()
    assert viewer.dims.ndisplay == 3 and not len(ready.points.data)
