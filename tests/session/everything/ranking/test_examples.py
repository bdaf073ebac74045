"""Objects that were found are ranked by examples: those that were kept, or the labels of the plane."""

from __future__ import annotations

import numpy as np
import pytest
from sized_objects import LARGE, OTHER, SMALL

from napari_sam.session.everything import messages as everything_messages

pytestmark = pytest.mark.usefixtures("described")


@pytest.fixture
def searched(sized):
    sized.everything.find()
    sized.wait(60)
    return sized


def section(session):
    return session.state.everything


def test_objects_like_one_that_was_kept(searched):
    searched.everything.keep(1)
    assert "1 kept by hand" in section(searched).text
    searched.everything.find_like()
    searched.wait(60)
    assert section(searched).ranked_by == "1 example"
    assert section(searched).shown == 2
    assert section(searched).chosen.match == 0.5
    searched.everything.accept()
    np.testing.assert_array_equal(searched.target.data > 0, SMALL | OTHER)
    assert "class" not in searched.target.features


def test_an_object_that_is_kept_no_longer_is_no_example(searched):
    searched.everything.keep(0)
    searched.everything.keep(0)
    searched.everything.keep(1)
    searched.everything.find_like()
    searched.wait(60)
    assert section(searched).ranked_by == "1 example"


def test_those_that_were_dropped_are_counter_examples(searched):
    searched.everything.keep(1)
    searched.everything.toggle(0)
    searched.everything.find_like()
    searched.wait(60)
    assert section(searched).ranked_by == "1 example, not like 1"


def test_a_click_with_shift_keeps(searched):
    shown = searched._components.everything.chooser._shown
    shown.picked.emit(20, 20)
    assert "1 kept by hand" in section(searched).text
    assert section(searched).shown == 3
    shown.picked.emit(20, 20)
    assert "kept" not in section(searched).text


def test_labels_of_the_plane_are_examples_where_none_was_kept(sized, viewer):
    sized.target = viewer.add_labels(np.where(LARGE, 9, 0))
    sized.everything.find_like()  # nothing was found yet
    sized.wait(60)
    assert section(sized).ranked_by == "1 example"
    assert section(sized).shown == 0  # the large one is written already
    sized.only_empty = False
    sized.everything.choose(section(sized).chosen)
    assert section(sized).shown == 1


def test_each_label_is_an_example(sized, viewer):
    full = np.where(LARGE, 9, 1)  # no pixel is empty
    sized.target = viewer.add_labels(np.where(SMALL, 4, full))
    sized.everything.find_like()
    sized.wait(60)
    assert section(sized).ranked_by == "3 examples"


def test_without_examples_they_are_asked_for(sized):
    sized.everything.find_like()
    sized.wait(60)
    assert section(sized).found == 3
    assert everything_messages.PICK_FIRST in sized.state.status.text
    sized.everything.find_like()
    assert sized.state.status.text == everything_messages.PICK_FIRST


def test_objects_are_described_once(searched, described):
    for place in (0, 1):
        searched.everything.keep(place)
        searched.everything.find_like()
        searched.wait(60)
    assert described == [3]
