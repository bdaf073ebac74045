"""Layers may be deleted in any order, at once or one by one: the session works on with what is there."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from napari.layers import Image, Labels, Points, Shapes
from session_scenery import DISCS, discs

UNITS = {"plain": None, "units": "um"}
ORDERS = list(permutations(range(5)))
"""Orders in which five layers can go."""


def open_image(viewer, ndim, unit=None, **layer):
    """Open two discs, repeated along the other axes."""
    data = np.zeros((3,) * (ndim - 2) + discs().shape, np.uint8)
    data[...] = discs()
    return viewer.add_image(data, contrast_limits=(0, 255), units=unit and (unit,) * ndim, **layer)


def here(session, *positions):
    """Give positions on the plane on screen all their coordinates."""
    [*index, _, _] = session._components.active.view.index
    return np.array([(*index, *position) for position in positions], float)


def work(session):
    """Accept an object, and prompt another one with a point and a box: five layers with the image."""
    session.points.add(here(session, DISCS[0]))
    session.wait(60)
    session.accept()
    session.points.add(here(session, DISCS[1]))
    corners = (30, 50), (30, 70), (50, 70), (50, 50)
    session.shapes.add([here(session, *corners)], shape_type="rectangle")
    session.wait(60)


def answers(session):
    """Tell whether a click on an object is answered with its mask."""
    session.clear()
    session.points.add(here(session, DISCS[0]))
    session.wait(60)
    shown = np.squeeze(session.preview.data)
    return bool(session.state.candidates) and bool(shown[DISCS[0]]) and not shown[DISCS[1]]


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
@pytest.mark.parametrize("ndim", [2, 3, 4, 5])
def test_any_order_of_deleting(viewer, open_session, ndim, unit):
    session = open_session()
    for order in ORDERS[ndim::13]:
        image = open_image(viewer, ndim, unit)
        session.wait(60)
        work(session)
        layers = list(viewer.layers)
        assert {type(layer) for layer in layers} == {Image, Labels, Points, Shapes} and len(layers) == 5, order
        for number in order:
            if layers[number] in viewer.layers:  # the preview goes with its image
                viewer.layers.remove(layers[number])
            assert session.image is (image if image in viewer.layers else None), order
        assert not len(viewer.layers), order
    image = open_image(viewer, ndim, unit)
    session.wait(60)
    assert session.image is image and answers(session)


def cleared(layers):
    layers.clear()


def one_by_one(layers):
    for layer in list(layers):
        if layer in layers:
            layers.remove(layer)


def selected(layers):
    layers.selection = set(layers)
    layers.remove_selected()


def sliced(layers):
    del layers[:]


# With the preview at the bottom, not as a slice: napari counts the places of what it deletes beforehand, and nothing
# else may go meanwhile.
@pytest.mark.parametrize(
    ("delete", "buried"),
    [
        (cleared, False),
        (selected, False),
        (one_by_one, False),
        (sliced, False),
        (cleared, True),
        (selected, True),
        (one_by_one, True),
    ],
)
@pytest.mark.parametrize("dims", [(2, 3), (3, 2), (4, 2), (2, 5), (4, 4)])
def test_deleting_everything_at_once(viewer, open_session, dims, delete, buried):
    for ndim in dims:
        open_image(viewer, ndim)
    session = open_session()
    session.wait(60)
    work(session)
    if buried:
        viewer.layers.move(viewer.layers.index(session.preview), 0)
    delete(viewer.layers)
    assert session.image is None and not len(viewer.layers)
    assert "No image" in session.state.status.text
    image = open_image(viewer, dims[0])
    session.wait(60)
    assert session.image is image and answers(session)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("units", [("um", "nm"), ("um", "s"), ("um", None)])
def test_the_other_image_is_worked_on_when_one_is_deleted(viewer, open_session, units, first):
    images = [open_image(viewer, ndim, unit) for ndim, unit in zip((4, 3), units, strict=True)]
    session = open_session()
    session.wait(60)
    session.image = images[first]
    work(session)
    viewer.layers.remove(images[first])
    other = images[1 - first]
    assert session.image is other
    session.wait(60)
    assert answers(session)
    viewer.layers.remove(other)
    assert session.image is None
    session.image = open_image(viewer, 2)
    session.wait(60)
    assert answers(session)


def test_a_deletion_that_breaks_off_does_not_make_the_session_deaf(viewer, open_session):
    session = open_session()
    image = open_image(viewer, 3)
    spare = viewer.add_points(np.zeros((1, 3)))

    def stumble():
        raise ZeroDivisionError

    viewer.layers.events.removed.connect(stumble)
    with pytest.raises(ZeroDivisionError):
        viewer.layers.remove(spare)
    viewer.layers.events.removed.disconnect(stumble)
    other = open_image(viewer, 4)
    assert session.image is other
    viewer.layers.remove(other)
    assert session.image is image


def test_empty_prompt_layers_go_with_the_last_image(viewer, open_session):
    image = open_image(viewer, 2)
    session = open_session()
    session.use_tool("positive")
    session.shapes  # noqa: B018  # made when it is asked for
    assert len(viewer.layers) == 3
    viewer.layers.remove(image)
    # A viewer with leftovers would not show all of the image that is opened next.
    assert not len(viewer.layers)
