"""Two images in the window: layers come and go in any order, and so does the dock."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from desk import LEFT, RIGHT, Desk, discs
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication

ORDERS = list(permutations(range(5)))
"""Orders in which five layers can be deleted."""


def open_image(desk: Desk, name: str, ndim: int = 2):
    """Open two discs, repeated along the other axes."""
    data = np.zeros((3,) * (ndim - 2) + discs().shape, np.uint8)
    data[...] = discs()
    layer = desk.viewer.add_image(data, name=name)
    QApplication.processEvents()
    desk.settle()
    return layer


def delete(desk: Desk, layer) -> None:
    """Select a layer in the list, and press the button that deletes it."""
    desk.viewer.layers.selection.active = layer
    desk.viewer.window._qt_viewer.layerButtons.deleteButton.click()
    QApplication.processEvents()
    desk.settle()


def reopen(desk: Desk) -> Desk:
    """Close the dock by its button, and open it again."""
    desk.frame.title.close_button.click()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    again = Desk(desk.viewer, desk.qtbot, desk.engine)
    again.settle()
    return again


def test_the_second_image_is_armed(open_desk):
    desk = open_desk()
    desk.click(LEFT)
    desk.press_key(Qt.Key.Key_Return)
    assert "Object 1 written" in desk.session.state.status.text
    other = open_image(desk, "more discs")
    state = desk.session.state
    assert desk.session.image is other and state.tool == "positive"
    assert "Object" not in state.status.text and state.hint == "Click an object. X for background."
    desk.click(RIGHT)
    assert desk.preview()[RIGHT] and not desk.preview()[LEFT]
    desk.press_key(Qt.Key.Key_X)
    assert desk.session.state.tool == "negative"


@pytest.mark.parametrize("ndim", [2, 4])
def test_deleting_layers_in_any_order(open_desk, ndim):
    desk = open_desk(image=False)
    for number, order in enumerate(ORDERS[ndim::24]):
        for name in ("one", "two"):
            open_image(desk, name, ndim)
        desk.click(LEFT)
        desk.press_key(Qt.Key.Key_Return)
        desk.click(RIGHT)
        layers = list(desk.viewer.layers)
        assert len(layers) == 5, layers
        for layer in [layers[place] for place in order]:
            if layer in desk.viewer.layers:
                delete(desk, layer)
            images = desk.session.image_choices()
            assert desk.session.image in (images or [None])
            if images:
                assert desk.session.state.tool == "positive", (order, layer)
                if (number + len(images)) % 2:
                    desk = reopen(desk)
                    assert desk.session.state.tool == "positive"
        while desk.viewer.layers:
            delete(desk, desk.viewer.layers[-1])


def test_a_brush_in_hand_stays_there(open_desk):
    desk = open_desk()
    labels = desk.viewer.add_labels(np.zeros(discs().shape, int))
    labels.mode = "paint"
    other = desk.viewer.add_image(discs(), name="more discs")
    desk.viewer.layers.selection.active = labels
    QApplication.processEvents()
    desk.settle()
    assert desk.session.image is other
    assert desk.viewer.layers.selection.active is labels and labels.mode == "paint"
    assert desk.session.state.tool is None and desk.session.state.hint == "Choose a tool, then click an object."
