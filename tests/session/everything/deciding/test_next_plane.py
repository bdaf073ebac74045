"""The plane to annotate next: one where there is doubt, and that looks unlike what is annotated."""

from __future__ import annotations

import numpy as np
import pytest
from deciding_scenery import annotate, squares

from napari_sam.automatic.descriptors import Descriptors
from napari_sam.session.everything.deciding import messages as deciding_messages


@pytest.fixture
def described(monkeypatch):
    """Planes look as bright as they are, but for the last two, which look alike."""

    def describe(_predictor, _embedding, pixels, masks, extra=None):
        level = min(int(pixels.min()) // 10, 3)
        values = np.zeros((len(masks), 2))
        return Descriptors(values, np.array([float(level), np.nan]), np.zeros(2), np.ones(2))

    monkeypatch.setattr(Descriptors, "of", describe)


@pytest.fixture
def looked(stack, viewer, found):
    """A session that has looked at all planes, and then annotated the first two; there is doubt on the last one."""
    chance = np.random.default_rng(5)

    def scores_of(level):
        # Every plane has 60 proposals; of the last one all are bad.
        good = np.arange(60) < (0 if level == 4 else 50)
        return np.where(good, chance.uniform(0.8, 0.98, 60), chance.uniform(0.56, 0.66, 60)).tolist()

    known = {level: scores_of(level) for level in (1, 2, 3, 4)}
    found[:] = [lambda plane: squares(known[int(plane.pixels.min()) // 10])]
    stack.everything.find("stack")
    stack.wait(60)
    for plane in (0, 1):
        annotate(stack, viewer, plane)
    return stack


def next_plane(session, viewer):
    session.everything.next_to_annotate()
    session.wait(60)
    return viewer.dims.current_step[0]


def test_the_doubtful_plane_is_gone_to(looked, viewer):
    assert next_plane(looked, viewer) == 3
    text = looked.state.status.text
    assert text.startswith("Plane z = 3: ")
    assert "of 60 proposals are doubtful" in text
    assert "looks unlike" in text


def test_a_plane_that_is_annotated_is_not_gone_to_again(looked, viewer):
    annotate(looked, viewer, 3)
    # All proposals were dropped there: nothing was written, but the plane was decided on.
    assert next_plane(looked, viewer) == 2


def test_where_all_planes_are_annotated_it_is_said(looked, viewer):
    for plane in (2, 3):
        annotate(looked, viewer, plane)
    viewer.dims.set_current_step(0, 0)
    assert next_plane(looked, viewer) == 0
    assert looked.state.status.text == deciding_messages.ALL_ANNOTATED


@pytest.fixture
def seen(stack, found):
    """Grey levels of the planes that were looked at, of a stack that nobody has searched as a whole."""
    levels = []
    find = found.pop()

    def note(plane):
        levels.append(int(plane.pixels.min()) // 10)
        return find(plane)

    found.append(note)
    return levels


def test_planes_are_looked_at_where_the_stack_was_not_searched(stack, viewer, seen):
    for plane in (0, 1):
        annotate(stack, viewer, plane)
    assert sorted(seen) == [1, 2]
    assert next_plane(stack, viewer) in (2, 3)
    # Those to choose from, and those that they are compared with.
    assert sorted(seen[2:]) == [1, 2, 3, 4]
    assert "of 60 proposals are doubtful" in stack.state.status.text
    assert "compared" not in stack.state.status.text
    next_plane(stack, viewer)
    assert len(seen) == 6


def test_of_a_long_stack_planes_are_looked_at_that_are_spread_over_it(stack, viewer, seen, monkeypatch):
    monkeypatch.setattr("napari_sam.session.everything.deciding.plane_survey.MOST_OPEN", 2)
    assert next_plane(stack, viewer) in (0, 3)
    assert sorted(seen) == [1, 4]
    assert stack.state.status.text.endswith("2 of 4 planes were compared.")
    assert "doubtful" not in stack.state.status.text  # nothing was decided yet
    next_plane(stack, viewer)
    assert len(seen) == 2  # both are still there to choose from


def test_a_comparison_is_cancelled(stack, viewer, seen):
    viewer.dims.set_current_step(0, 1)
    stack.everything.next_to_annotate()
    assert stack.state.status.cancellable and stack.state.status.text == deciding_messages.COMPARING
    stack.cancel()
    stack.wait(60)
    assert viewer.dims.current_step[0] == 1
    assert len(seen) < 4


def test_who_scrolls_meanwhile_is_not_taken_away(stack, viewer, seen):
    annotate(stack, viewer, 0)
    stack.everything.next_to_annotate()
    viewer.dims.set_current_step(0, 1)
    stack.wait(60)
    assert viewer.dims.current_step[0] == 1
    assert stack.state.status.text.startswith("Plane z = ")


def test_another_model_looks_anew(stack, seen):
    stack.everything.next_to_annotate()
    stack.wait(60)
    assert len(seen) == 4
    stack.model = "another"
    stack.wait(60)
    stack.everything.next_to_annotate()
    stack.wait(60)
    assert len(seen) == 8


def test_an_image_of_one_plane_has_no_next_one(viewer, open_session, planes):
    viewer.add_image(planes[0])
    session = open_session()
    session.wait(60)
    session.everything.next_to_annotate()
    assert session.state.status.text == deciding_messages.NO_STACK


def test_a_plane_that_looks_new_is_gone_to_before_there_are_decisions(stack, viewer):
    stack.everything.find("stack")
    stack.wait(60)
    annotate(stack, viewer, 3)
    stack.undo()  # nothing is decided, nothing is annotated
    viewer.dims.set_current_step(0, 3)
    assert next_plane(stack, viewer) == 0


def test_before_anything_is_annotated_the_plane_with_most_objects_is_gone_to(stack, viewer, found):
    # The third one has most; its last 20 are the ones that the others lack.
    found[:] = [lambda plane: squares([0.9] * (60 if int(plane.pixels.min()) // 10 == 3 else 40))]
    assert next_plane(stack, viewer) == 2
    text = stack.state.status.text
    assert text == "Plane z = 2: nothing is annotated yet, and no other has more proposals than its 60."
