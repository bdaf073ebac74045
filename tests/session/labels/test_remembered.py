"""A session that ends leaves what was chosen with the layers; the next one goes on from there."""

from __future__ import annotations

from copy import deepcopy
from itertools import permutations

import numpy as np
import pytest
from napari.layers import Layer
from session_scenery import DISCS, discs


def accept(session, position):
    session.points.add(position)
    session.wait(60)
    session.accept()


@pytest.fixture
def reopen(open_session):
    def again(session):
        session.close()
        opened = open_session()
        opened.wait(60)
        return opened

    return again


def test_work_goes_on_in_the_same_labels(session, viewer, reopen, disc):
    accept(session, DISCS[0])
    labels = session.target
    again = reopen(session)
    assert again.target is labels and again.state.next_id == 2
    accept(again, DISCS[1])
    assert np.array_equal(labels.data, disc[0] + 2 * disc[1])
    assert len(again.target_choices()) == 1


def test_each_image_has_its_target_back(session, viewer, image, reopen):
    accept(session, DISCS[0])
    first = session.target
    other = viewer.add_image(discs(), contrast_limits=(0, 255))
    own = viewer.add_labels(np.zeros(discs().shape, int), name="SAM labels")
    session.target = own
    again = reopen(session)
    again.image = other
    assert again.target is own
    again.image = image
    assert again.target is first


def test_a_new_layer_stays_chosen(session, reopen):
    accept(session, DISCS[0])
    session.target = None
    assert reopen(session).target is None


def test_a_target_that_was_deleted_meanwhile_is_none(session, viewer, reopen):
    accept(session, DISCS[0])
    labels = session.target
    session.close()
    viewer.layers.remove(labels)
    assert reopen(session).target is None


def test_our_own_target_still_follows_the_image(session, image, reopen):
    accept(session, DISCS[0])
    again = reopen(session)
    image.scale = (2, 3)
    assert again.target is not None and tuple(again.target.scale) == (2, 3)


@pytest.mark.parametrize("opened_later", [False, True])
def test_the_way_of_writing_comes_back(session, viewer, image, reopen, opened_later):
    session.only_empty = False
    if opened_later:
        session.close()
        viewer.add_image(discs())
    again = reopen(session)
    assert not again.only_empty and not again.state.only_empty
    again.only_empty = True
    assert reopen(again).only_empty


def test_the_way_of_writing_comes_back_for_the_image_that_is_worked_on_only(session, viewer, image, open_session):
    session.only_empty = False
    session.close()
    viewer.layers.remove(image)
    other = viewer.add_image(discs(), contrast_limits=(0, 255))
    again = open_session()
    again.only_empty = True
    again.close()
    viewer.layers.append(image)
    again = open_session(image=other)
    assert again.only_empty
    again.close()
    viewer.layers.remove(other)
    assert not open_session(image=image).only_empty


def test_panels_hear_of_the_way_of_writing_when_the_other_image_is_in_place(session, viewer, image, open_session):
    session.only_empty = False
    session.close()
    viewer.layers.remove(image)
    again, heard = open_session(), []
    again.events.state_changed.connect(lambda _state: heard.append(again._components.mute.active))
    viewer.layers.append(image)
    assert heard and not any(heard) and not again.state.only_empty


def test_what_is_kept_can_be_copied(session, image):
    """As when napari duplicates a layer."""
    accept(session, DISCS[0])
    session.only_empty = False
    for layer in (image, session.target):
        assert deepcopy(layer.metadata) == layer.metadata


def test_a_copy_of_an_image_goes_on_in_no_labels(session, viewer, image, reopen):
    """What was chosen is the original's, and its labels are."""
    accept(session, DISCS[0])
    labels = session.target
    data, state, kind = image.as_layer_data_tuple()
    copy = viewer.add_layer(Layer.create(deepcopy(data), state | {"name": "copy"}, kind))
    session = reopen(session)
    session.image = copy
    assert session.target is None
    session.image = image
    assert session.target is labels


def test_prompt_layers_do_not_pile_up(session, viewer, image, reopen):
    for _ in range(3):
        session.use_tool("positive")
        session.points.add(DISCS[0])
        session.shapes  # noqa: B018  # made when it is asked for
        session = reopen(session)
        session.use_tool("positive")
        session.wait(60)
        assert session.state.candidates  # the point is still there
        session.clear()
    assert [layer.name for layer in viewer.layers if layer is not session.preview] == ["cells", "SAM points"]
    session.close()
    assert list(viewer.layers) == [image]


def test_undo_goes_on_with_napari_s_own_history(session, reopen, disc):
    accept(session, DISCS[0])
    accept(session, DISCS[1])
    again = reopen(session)
    labels = again.target
    assert again.state.can_undo and not again.state.can_redo
    again.undo()
    assert np.array_equal(labels.data > 0, disc[0])
    assert "prompts do not come back" in again.state.status.text
    assert again.state.next_id == 2
    again.redo()
    assert np.array_equal(labels.data > 0, disc[0] | disc[1])
    again.undo()
    again.undo()
    assert not labels.data.any() and not again.state.can_undo


def test_undo_after_reopening_begins_with_what_was_done_since(session, reopen, disc):
    accept(session, DISCS[0])
    again = reopen(session)
    accept(again, DISCS[1])
    labels = again.target
    labels.data_setitem((np.array([0]), np.array([0])), 9)  # the person paints
    again.undo()  # what was done since
    assert np.array_equal(labels.data > 1, np.arange(labels.data.size).reshape(labels.data.shape) == 0)
    # What is newest in napari's history is none of the steps of before: nothing is taken back by mistake.
    again.undo()
    assert labels.data[0, 0] == 9 and labels.data[DISCS[0]] == 1


@pytest.mark.parametrize("place", range(5))
def test_any_order_of_deleting_with_a_reopening_among_it(viewer, open_session, place):
    session = open_session()
    for order in list(permutations(range(5)))[place::29]:
        images = [viewer.add_image(discs(), contrast_limits=(0, 255), name=name) for name in ("one", "two")]
        session.wait(60)
        accept(session, DISCS[0])
        session.points.add(DISCS[1])
        session.wait(60)
        layers = list(viewer.layers)
        assert len(layers) == 5
        for step, layer in enumerate(layers[number] for number in order):
            worked_on, target = session.image, session.target
            if step == place:
                session.close()
                session = open_session()
                left = session.image_choices()
                assert session.image in (left or [None]), order
                if session.image is worked_on:
                    assert session.target is target, order
                worked_on = session.image
            if layer in viewer.layers:
                viewer.layers.remove(layer)
            left = [image for image in images if image in viewer.layers]
            assert session.image is (worked_on if worked_on in left else next(iter(left), None)), order
        viewer.layers.clear()
