"""Colours by class: they follow the classes, and the layer's own come back."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap
from session_scenery import DISCS, accept, discs

from napari_sam.session.table.classes import NO_CLASS_COLOR, PALETTE


@pytest.fixture
def session(open_session, viewer):
    viewer.add_image(discs(), name="cells")
    labels = np.zeros(discs().shape, np.int32)
    labels[2:6, 2:6], labels[10:20, 10:30], labels[40, 40:47] = 3, 5, 9
    session = open_session()
    session.target = viewer.add_labels(labels, name="objects")
    session.table.classify([3], "mitosis")
    return session


def color(layer, label):
    return "#" + bytes(np.round(255 * np.asarray(layer.get_color(label))[:3]).astype(np.uint8)).hex()


def colored(session):
    session.table.color_by_class()
    session.wait()
    assert session.state.table.by_class
    return session.target


def test_objects_have_the_colours_of_their_classes_and_follow_them(session):
    own = session.target.colormap
    layer = colored(session)
    assert [color(layer, label) for label in (3, 5, 9)] == [PALETTE[0], NO_CLASS_COLOR, NO_CLASS_COLOR]
    assert layer.colormap.map(np.array([0])).tolist() == [[0, 0, 0, 0]]
    session.table.classify([5, 9], "debris")
    assert [color(layer, label) for label in (3, 5, 9)] == [PALETTE[0], PALETTE[1], PALETTE[1]]
    session.table.color_class("debris", "#102030")
    assert color(layer, 5) == "#102030"
    session.undo()
    assert color(layer, 5) == NO_CLASS_COLOR
    session.table.add_class("new")
    accept(session, DISCS[1])
    assert color(layer, 10) == PALETTE[1 if session.state.table.classes[-1].color == PALETTE[1] else 2]
    session.table.rename_class("mitosis", "M")
    assert color(layer, 3) == PALETTE[0]
    session.table.remove_class("M")
    assert color(layer, 3) == NO_CLASS_COLOR
    session.table.color_by_class(False)
    assert layer.colormap is own
    assert not session.state.table.by_class


@pytest.mark.parametrize(
    "own", [CyclicLabelColormap(colors=np.eye(4)), DirectLabelColormap(color_dict={None: "red", 3: "blue"})]
)
def test_the_person_s_colours_come_back_when_the_session_ends(session, own):
    session.target.colormap = own
    before = color(session.target, 3)
    layer = colored(session)
    layer.selected_label = 3
    layer.show_selected_label = True
    assert color(layer, 3) == PALETTE[0]
    session.close()
    assert layer.colormap is own
    layer.show_selected_label = False
    assert color(layer, 3) == before


def test_what_the_person_chooses_meanwhile_stays(session):
    layer = colored(session)
    chosen = CyclicLabelColormap(colors=np.eye(4))
    layer.colormap = chosen
    assert not session.state.table.by_class
    session.table.classify([5], "mitosis")
    session.table.color_by_class(False)
    session.close()
    assert layer.colormap is chosen


def test_the_colours_go_with_the_target(session, viewer):
    own, first = session.target.colormap, colored(session)
    second = viewer.add_labels(np.ones(discs().shape, np.uint8))
    session.target = second
    session.wait()
    assert first.colormap is own
    assert session.state.table.by_class
    assert color(second, 1) == NO_CLASS_COLOR
    assert second.colormap.name == "classes"


def test_switched_off_before_they_are_ready_nothing_changes(session):
    own = session.target.colormap
    session.table.color_by_class()
    session.table.color_by_class(False)
    session.wait()
    assert session.target.colormap is own


def test_more_ids_than_colours_are_told_of(session, viewer):
    labels = np.full(discs().shape, 70_000, np.int32)
    session.target = viewer.add_labels(labels)
    own = session.target.colormap
    session.table.color_by_class()
    session.wait()
    assert "65,534" in session.state.status.text
    assert session.target.colormap is own
    assert not session.state.table.by_class
