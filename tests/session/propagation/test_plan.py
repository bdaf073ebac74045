"""Prompts on other planes than the one on screen: which of them join a run, what is said of them, and how they go."""

from __future__ import annotations

import numpy as np
import pytest
from session_scenery import click

from fake_propagation import volume
from napari_sam.session.prompts.editor import PromptEditor

DEPTH = (0, 1, 2)
ACROSS = (1, 0, 2)


@pytest.fixture
def image(viewer):
    return viewer.add_image(volume(), contrast_limits=(0, 255), name="cells", axis_labels=("z", "y", "x"))


@pytest.fixture
def ready(image, viewer, open_session, carry):
    session = open_session()
    session.wait(60)
    return session


def prompt(session, viewer, position, axis=0, positive=True):
    """Go to the plane of a position along an axis, and click it."""
    viewer.dims.set_current_step(axis, round(position[axis]))
    click(session, position, positive)
    session.wait(60)


def run(session, **options):
    session.stack.propagate(**options)
    session.wait(60)


def shown(carry):
    """Planes that the last run started from."""
    return sorted(one.index for one in carry.calls[-1]["annotated"])


def positions(session):
    return sorted(map(tuple, np.asarray(session.points.data).tolist()))


# -- which join -----------------------------------------------------------------------------------


def test_what_was_drawn_along_other_axes_does_not_join_a_run(ready, viewer, carry):
    old, new = (6.0, 20.3, 24.1), (4.8, 17.0, 24.4)
    prompt(ready, viewer, old)
    run(ready)
    ready.undo()
    viewer.dims.order = ACROSS
    prompt(ready, viewer, new, axis=1)
    assert ready.state.stack.axis.name == "y"
    run(ready)
    assert shown(carry) == [17]
    assert positions(ready) == [old]  # and is not lost
    ready.undo()
    assert positions(ready) == [new, old]
    viewer.dims.order = DEPTH
    viewer.dims.set_current_step(0, 6)
    ready.wait(60)
    run(ready)
    assert shown(carry) == [6] and positions(ready) == [new]


def test_what_lies_on_the_plane_on_screen_counts_along_any_axes(ready, viewer, carry):
    prompt(ready, viewer, (6.0, 20.0, 24.0))
    viewer.dims.order = ACROSS
    viewer.dims.set_current_step(1, 20)
    ready.wait(60)
    assert ready.state.candidates
    run(ready)
    assert shown(carry) == [20] and positions(ready) == []


def test_a_stop_mark_that_was_drawn_along_other_axes_stops_nothing(ready, viewer, carry):
    prompt(ready, viewer, (8.0, 22.0, 24.0), positive=False)
    viewer.dims.order = ACROSS
    prompt(ready, viewer, (5.8, 17.0, 24.4), axis=1)
    run(ready)
    assert carry.calls[-1]["marks"] == {} and len(ready.points.data) == 1


def test_a_transposed_display_shows_the_same_planes(ready, viewer, carry):
    prompt(ready, viewer, (4.0, 20.3, 24.1))
    viewer.dims.order = (0, 2, 1)
    prompt(ready, viewer, (8.0, 20.3, 24.1))
    run(ready)
    assert shown(carry) == [4, 8]


def test_a_point_belongs_to_where_it_was_dropped(ready, viewer, carry):
    prompt(ready, viewer, (6.0, 20.3, 24.1))
    viewer.dims.order = ACROSS
    viewer.dims.set_current_step(1, 20)
    moved = np.array(ready.points.data)
    moved[0] = (6.4, 20.0, 25.0)
    ready.points.data = moved
    prompt(ready, viewer, (5.8, 17.0, 24.4), axis=1)
    run(ready)
    assert shown(carry) == [17, 20]


def test_what_comes_back_by_undo_is_what_it_was(ready, viewer, carry):
    prompt(ready, viewer, (6.0, 20.3, 24.1))
    ready.clear()
    viewer.dims.order = ACROSS
    ready.undo()
    prompt(ready, viewer, (5.8, 17.0, 24.4), axis=1)
    run(ready)
    assert shown(carry) == [17]


def test_the_next_session_knows_it_too(ready, viewer, carry, open_session):
    prompt(ready, viewer, (6.0, 20.3, 24.1))
    ready.close()
    viewer.dims.order = ACROSS
    again = open_session()
    prompt(again, viewer, (5.8, 17.0, 24.4), axis=1)
    run(again)
    assert shown(carry) == [17] and len(again.points.data) == 1


def test_it_is_known_of_another_image_with_other_pixels(ready, viewer, carry):
    prompt(ready, viewer, (6.0, 20.3, 24.1))
    other = viewer.add_image(volume(), contrast_limits=(0, 255), scale=(1, 2, 1), axis_labels=("z", "y", "x"))
    assert ready.image is other
    viewer.dims.order = ACROSS
    viewer.dims.set_point(1, 36.0)
    click(ready, (5.8, 18.0, 24.4))
    ready.wait(60)
    run(ready)
    assert shown(carry) == [18]


def test_a_layer_of_the_person_s_is_left_as_it_was(ready, viewer):
    own = viewer.add_points([(0.0, 2.0, 2.0)], axis_labels=("z", "y", "x"))
    ready.points = own
    prompt(ready, viewer, (6.0, 20.3, 24.1))
    ready.close()
    assert not own.metadata


def test_copied_prompts_belong_to_the_axes_on_screen(ready, viewer, carry):
    prompt(ready, viewer, (6.0, 20.3, 24.1))
    ready.stack.copy_prompts()
    viewer.dims.order = ACROSS
    prompt(ready, viewer, (5.8, 17.0, 24.4), axis=1)
    ready.stack.same_object = False
    run(ready)
    assert shown(carry) == [17]


# -- what is said ---------------------------------------------------------------------------------


def test_the_planes_that_will_join_are_named_before_the_run(ready, viewer):
    prompt(ready, viewer, (6.0, 20.3, 24.1))
    assert "Shown on" not in ready.state.stack.text
    assert ready.state.stack.shown == (6,)
    prompt(ready, viewer, (9.0, 20.3, 24.1))
    assert ready.state.stack.text.startswith("Shown on z = 6 and 9. ")
    assert ready.state.hint == "Enter: new object 1. Shown on z = 6 and 9. G carries it."
    prompt(ready, viewer, (3.0, 20.3, 24.1))
    assert ready.state.stack.text.startswith("Shown on z = 3, 6 and 9. ")
    for place in (4, 5, 7):
        prompt(ready, viewer, (place, 20.3, 24.1))
    assert ready.state.stack.text.startswith("Shown on 6 planes, z = 3 to 9. ")


def test_prompts_that_were_left_behind_are_named_and_can_be_carried(ready, viewer, carry):
    prompt(ready, viewer, (6.0, 20.3, 24.1))
    viewer.dims.set_current_step(0, 9)
    ready.wait(60)
    assert ready.state.stack.text.startswith("Shown on z = 6. ") and ready.state.stack.can_propagate
    assert ready.state.hint == "Shown on z = 6. Click it here too, or G carries it."
    run(ready)
    assert shown(carry) == [6]


def test_prompts_left_behind_are_carried_before_the_object_in_hand_and_it_says_so(ready, viewer, carry):
    prompt(ready, viewer, (6.0, 20.3, 24.1))
    run(ready)
    ready.undo()
    ready.redo()
    prompt(ready, viewer, (0.0, 2.0, 2.0))
    viewer.dims.set_current_step(0, 9)
    ready.wait(60)
    assert ready.state.stack.label == 1 and ready.state.stack.text.startswith("Shown on z = 0. ")
    run(ready)
    assert shown(carry) == [0]


def test_planes_that_join_the_object_in_hand_are_named_too(ready, viewer):
    prompt(ready, viewer, (6.0, 20.3, 24.1))
    run(ready)
    prompt(ready, viewer, (3.0, 20.3, 24.1))
    prompt(ready, viewer, (9.0, 20.3, 24.1))
    assert ready.state.stack.same_object
    assert ready.state.stack.text == "Object 1 goes on: Enter writes it anew on this plane. Shown on z = 3 and 9."


def test_what_does_not_join_is_not_named(ready, viewer):
    prompt(ready, viewer, (6.0, 20.3, 24.1))
    prompt(ready, viewer, (8.0, 2.0, 2.0), positive=False)
    assert ready.state.stack.shown == (6,)
    viewer.dims.order = ACROSS
    prompt(ready, viewer, (5.8, 17.0, 24.4), axis=1)
    assert ready.state.stack.shown == (17,) and "Shown on" not in ready.state.stack.text


def test_it_is_read_once_for_a_change_however_often_a_state_is_made(ready, viewer, monkeypatch):
    prompt(ready, viewer, (6.0, 20.3, 24.1))
    read = []
    reads = PromptEditor.read_along
    monkeypatch.setattr(PromptEditor, "read_along", lambda *given: read.append(given) or reads(*given))
    ready.next_candidate()
    read.clear()
    for _ in range(3):
        ready._publisher.publish()
    assert not read
    prompt(ready, viewer, (9.0, 20.3, 24.1))
    assert read


# -- clear all ------------------------------------------------------------------------------------


def test_clear_says_what_stays_on_other_planes(ready, viewer):
    for place in (3, 6, 9):
        prompt(ready, viewer, (place, 20.3, 24.1))
    ready.clear()
    assert len(ready.points.data) == 2
    assert ready.state.status.text == "Prompts on 2 other planes stay. Clear all (Shift-Delete) deletes them too."
    viewer.dims.set_current_step(0, 3)
    ready.clear()
    assert ready.state.status.text == "Prompts on 1 other plane stay. Clear all (Shift-Delete) deletes them too."
    viewer.dims.set_current_step(0, 6)
    ready.wait(60)
    ready.clear()
    assert "stay" not in ready.state.status.text


def test_planes_are_counted_along_the_axes_in_which_they_were_drawn(ready, viewer):
    prompt(ready, viewer, (6.0, 20.3, 24.1))
    prompt(ready, viewer, (6.0, 12.3, 24.1))
    ready.use_tool("box")
    ready.shapes.add_rectangles([[[4, 10, 20], [4, 10, 30], [4, 20, 30], [4, 20, 20]]])
    viewer.dims.order = ACROSS
    prompt(ready, viewer, (5.8, 17.0, 24.4), axis=1)
    ready.clear()
    assert ready.state.status.text.startswith("Prompts on 2 other planes stay.")


def test_clear_all_takes_the_prompts_of_all_planes_and_undo_brings_them_back(ready, viewer):
    for place in (3, 6, 9):
        prompt(ready, viewer, (place, 20.3, 24.1))
    ready.use_tool("box")
    ready.shapes.add_rectangles([[[4, 10, 20], [4, 10, 30], [4, 20, 30], [4, 20, 20]]])
    ready.wait(60)
    before = positions(ready)
    viewer.dims.set_current_step(0, 0)
    ready.wait(60)
    assert not ready.state.can_clear and ready.state.can_clear_all
    ready.clear_all()
    assert not len(ready.points.data) and not len(ready.shapes.data)
    assert not ready.state.can_clear_all and not ready.state.stack.shown
    ready.undo()
    assert positions(ready) == before and len(ready.shapes.data) == 1
    ready.redo()
    assert not len(ready.points.data) and not len(ready.shapes.data)


def test_clear_all_without_prompts_is_no_step(ready):
    ready.clear_all()
    assert not ready.state.can_undo


def test_clear_all_works_in_the_volume_view(ready, viewer):
    prompt(ready, viewer, (6.0, 20.3, 24.1))
    viewer.dims.set_current_step(0, 0)
    ready.wait(60)
    viewer.dims.ndisplay = 3
    ready.clear_all()
    assert not len(ready.points.data)
