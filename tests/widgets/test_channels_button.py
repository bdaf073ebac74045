"""Channels in a real window: ticked in the dock's list, blended as napari draws them."""

from __future__ import annotations

import numpy as np
from desk import LEFT, LEFT_BUTTON, RADIUS, RIGHT, SHAPE
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication


def disc(centre, value=200):
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return np.where((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= RADIUS**2, value, 0).astype(np.uint8)


def tick(desk, name):
    """Open the list of channels with the mouse, click a line of it, and close it with Escape."""
    button = desk.dock.source.channels
    menu = button.menu()
    desk.qtbot.waitUntil(button.isVisible)
    # A menu that a click opens runs a loop of its own until it is closed.
    menu.popup(button.mapToGlobal(button.rect().bottomLeft()))
    QApplication.processEvents()
    action = next(action for action in menu.actions() if action.text() == name)
    QTest.mouseMove(menu, menu.actionGeometry(action).center())
    QTest.mouseClick(menu, LEFT_BUTTON, pos=menu.actionGeometry(action).center())
    assert menu.isVisible()  # for the next tick
    QTest.keyClick(menu, "\x1b")
    menu.close()
    desk.settle()


def two_channels(open_desk):
    """A window with two channels, each of which shows one of two discs."""
    desk = open_desk()
    viewer = desk.viewer
    viewer.layers[0].data = disc(LEFT)
    viewer.layers[0].name = "nuclei"
    viewer.layers[0].colormap = "green"
    viewer.add_image(disc(RIGHT), name="membrane", colormap="red", blending="additive", contrast_limits=(0, 255))
    desk.session.image = viewer.layers["nuclei"]
    desk.settle()
    return desk


def test_one_image_has_no_row_for_channels(open_desk):
    desk = open_desk()
    assert not desk.dock.source.channels.isVisible()


def test_a_ticked_channel_is_seen_and_clicked(open_desk):
    desk = two_channels(open_desk)
    button = desk.dock.source.channels
    assert button.isVisible() and button.text() == "Image alone"
    tick(desk, "membrane")
    assert desk.session.state.channels == ("nuclei", "membrane")
    assert button.text() == "nuclei + membrane"
    desk.click(RIGHT)
    assert desk.session.state.candidates
    assert "membrane" not in desk.session.state.hint
    desk.press_key(Qt.Key.Key_Return)
    assert desk.session.target.data[RIGHT] == 1
    tick(desk, "membrane")
    assert desk.session.state.channels == () and button.text() == "Image alone"


def test_the_image_itself_cannot_be_unticked(open_desk):
    desk = two_channels(open_desk)
    tick(desk, "nuclei")
    assert desk.session.state.channels == ()


LAID_OVER = (
    ({"blending": "translucent"}, {"blending": "additive", "opacity": 0.6}),
    ({"blending": "additive", "gamma": 0.5}, {"blending": "translucent", "opacity": 0.4}),
    ({"blending": "opaque"}, {"blending": "minimum", "opacity": 1.0}),
    ({"blending": "minimum"}, {"blending": "multiplicative"}),
    ({"blending": "translucent_no_depth"}, {"blending": "opaque"}),
)


def test_the_model_sees_what_napari_draws(open_desk):
    desk = two_channels(open_desk)
    nuclei, membrane = desk.viewer.layers["nuclei"], desk.viewer.layers["membrane"]
    rng = np.random.default_rng(0)
    # Blocks of one value, so that the middle of each is drawn with no other value near.
    for layer in (nuclei, membrane):
        layer.data = np.kron(rng.integers(0, 255, (3, 4)), np.ones((40, 40))).astype(np.uint8)
    nuclei.contrast_limits, membrane.contrast_limits, membrane.colormap = (0, 255), (20, 200), "magenta"
    desk.session.channels.choose([nuclei, membrane])
    for layer in desk.viewer.layers:
        layer.visible = layer in (nuclei, membrane)
    desk.viewer.reset_view()
    places = [(40 * row + 20, 40 * column + 20) for row in range(3) for column in range(4)]
    for below, above in LAID_OVER:
        for layer, changes in ((nuclei, below), (membrane, above)):
            for name, value in changes.items():
                setattr(layer, name, value)
        drawn = desk.viewer.screenshot(canvas_only=True, flash=False)
        seen = desk.session._components.active.plane_source().read().rendered
        ratio = drawn.shape[0] / desk.canvas.native.height()
        for place in places:
            at = desk.pixel(place)
            there = drawn[round(at.y() * ratio), round(at.x() * ratio), :3].astype(int)
            np.testing.assert_allclose(seen[place].astype(int), there, atol=3, err_msg=f"{below} {above} {place}")
