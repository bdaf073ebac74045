"""What accept does with pixels that carry a label already: never more than the person chose, and no other pixel."""

from __future__ import annotations

import numpy as np
import pytest
from session_scenery import DISCS, SHAPE, accept

from napari_sam.errors import InputError
from napari_sam.session.settings import SessionSettings


@pytest.fixture
def other(viewer, session, disc):
    """Labels that lie on the upper half of the first disc and on its left: ids 3 and 4."""
    labels = np.zeros(SHAPE, np.int32)
    labels[: DISCS[0][0], :] = 3
    labels[DISCS[0][0] :, : DISCS[0][1]] = 4
    layer = viewer.add_labels(labels)
    session.target = layer
    return layer


def test_the_two_names_of_the_choice_agree():
    settings = SessionSettings()
    for policy, only_empty in (("overwrite", False), ("overlap", True), ("protect", False), ("empty", True)):
        settings.write_policy = policy
        assert settings.only_empty is only_empty
    settings.only_empty = False
    assert settings.write_policy == "overwrite"
    settings.only_empty = True
    assert settings.write_policy == "empty"
    with pytest.raises(InputError, match="no write policy"):
        settings.write_policy = "all"
    with pytest.raises(InputError, match="1 and more"):
        settings.protected_ids = (0, 2)
    assert (settings.write_policy, settings.protected_ids) == ("empty", ())


@pytest.mark.parametrize(
    ("policy", "kept"), [("empty", (3, 4)), ("overwrite", ()), ("protect", (4,))], ids=["empty", "overwrite", "protect"]
)
def test_what_is_kept_and_no_pixel_outside_the_mask_changes(session, other, disc, policy, kept):
    before = other.data.copy()
    session.write_policy, session.protected_ids = policy, (4,)
    accept(session, DISCS[0])
    expected = np.where(disc[0] & ~np.isin(before, kept), 5, before)
    np.testing.assert_array_equal(other.data, expected)
    session.undo()
    np.testing.assert_array_equal(other.data, before)


def test_a_layer_that_preserves_its_labels_is_heeded(session, other, disc):
    before = other.data.copy()
    session.write_policy = "overwrite"
    other.preserve_labels = True
    accept(session, DISCS[0])
    np.testing.assert_array_equal(other.data, np.where(disc[0] & (before == 0), 5, before))


def test_an_object_that_meets_others_goes_whole_to_a_second_layer(session, viewer, other, disc):
    before = other.data.copy()
    session.write_policy = "overlap"
    accept(session, DISCS[0])
    np.testing.assert_array_equal(other.data, before)
    [second] = [layer for layer in viewer.layers if layer.name == f"{other.name} overlaps"]
    np.testing.assert_array_equal(second.data, np.where(disc[0], 5, 0))
    assert session.target is other and session.state.next_id == 6  # no id is in both
    session.undo()
    assert not second.data.any() and len(session.points.data) == 1
    session.redo()
    np.testing.assert_array_equal(second.data, np.where(disc[0], 5, 0))
    accept(session, DISCS[0])  # meets something in both: a third one
    [third] = [layer for layer in viewer.layers if layer.name == f"{other.name} overlaps 2"]
    np.testing.assert_array_equal(third.data, np.where(disc[0], 6, 0))


def test_an_object_that_meets_none_stays_in_the_target(session, viewer, disc):
    session.write_policy = "overlap"
    accept(session, DISCS[0])
    accept(session, DISCS[1])
    np.testing.assert_array_equal(session.target.data, disc[0] + 2 * disc[1])


def test_the_choice_comes_back_with_the_next_session(session, other, viewer, open_session):
    session.write_policy, session.protected_ids = "protect", (3, 7)
    session.close()
    again = open_session()
    assert (again.write_policy, again.protected_ids, again.only_empty) == ("protect", (3, 7), False)


@pytest.mark.parametrize(("dtype", "wider"), [(np.uint8, np.uint16), (np.uint16, np.uint32), (np.int8, np.int16)])
def test_labels_in_memory_are_widened_and_stay_undoable(session, viewer, disc, dtype, wider):
    most = np.iinfo(dtype).max
    labels = np.zeros(SHAPE, dtype)
    labels[0, 0] = most - 1
    layer = viewer.add_labels(labels)
    layer.selected_label = 3
    session.target = layer
    accept(session, DISCS[0])
    assert layer.data.dtype == dtype
    accept(session, DISCS[1])
    assert layer.data.dtype == wider and layer.data[DISCS[1]] == most + 1
    assert np.dtype(wider).name in session.state.status.text
    assert layer.selected_label == 3
    layer.undo()  # napari's own, across the change
    assert not (layer.data[disc[1]]).any() and (layer.data[disc[0]] == most).all()
    layer.redo()
    session.undo()
    session.undo()
    session.undo()
    assert np.count_nonzero(layer.data) == 1 and layer.data[0, 0] == most - 1
    assert len(layer._undo_history) == 0  # ours were napari's steps all along
