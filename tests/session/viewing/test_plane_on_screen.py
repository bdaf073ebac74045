"""Axes are called in words what napari's sliders call them."""

from __future__ import annotations

import numpy as np
import pytest
from session_scenery import click

from fake_propagation import CENTRE, volume

pytestmark = pytest.mark.usefixtures("carry")


def open_film(viewer, open_session, **options):
    viewer.add_image(np.stack([volume()] * 3), contrast_limits=(0, 255), name="film", **options)
    session = open_session()
    viewer.dims.set_current_step((0, 1), (0, CENTRE[0]))
    session.wait(60)
    return session


def axes(session):
    return [axis.name for axis in session.state.stack.axes]


def test_an_axis_without_a_name_has_the_number_of_its_slider(viewer, open_session):
    session = open_film(viewer, open_session)
    assert viewer.dims.axis_labels[:2] == ("-4", "-3")
    assert axes(session) == ["axis -4", "axis -3"]
    assert "plane axis -4 = 0, axis -3 = 6 encoded" in session.state.status.text


def test_an_axis_that_the_image_names_has_that_name(viewer, open_session):
    session = open_film(viewer, open_session, axis_labels=("t", "z", "y", "x"))
    assert axes(session) == ["t", "z"]
    assert "plane t = 0, z = 6 encoded" in session.state.status.text


def test_what_the_person_writes_on_a_slider_counts_at_once(viewer, open_session):
    session = open_film(viewer, open_session, axis_labels=("t", "z", "y", "x"))
    viewer.dims.axis_labels = ("hours", "7", "y", "x")
    assert axes(session) == ["hours", "axis 7"]
    assert "plane hours = 0, axis 7 = 6 encoded" in session.state.status.text
    viewer.dims.axis_labels = ("hours", "", "y", "x")
    assert axes(session) == ["hours", "axis -3"]


def test_a_layer_with_more_axes_changes_no_name(viewer, open_session):
    session = open_film(viewer, open_session)
    viewer.add_labels(np.zeros((2, 3, *volume().shape), int))
    assert viewer.dims.axis_labels[:3] == ("-5", "-4", "-3")
    assert axes(session) == ["axis -4", "axis -3"]
    assert "plane axis -4 = " in session.state.status.text


def test_a_run_and_a_refusal_speak_of_the_same_axis(viewer, open_session):
    session = open_film(viewer, open_session)
    click(session, (0, *CENTRE))
    session.wait(60)
    session.stack.propagate(axis=1)
    session.wait(60)
    assert "carried to 8 planes, axis -3 = 2 to 10" in session.state.stack.text
    session.stack.propagate(axis=3)
    assert "Choose one of: 0 (axis -4), 1 (axis -3)" in session.state.status.text
