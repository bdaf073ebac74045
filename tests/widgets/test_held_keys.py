"""A key that is held acts once, whatever napari makes of the repeats that the system sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from desk import LEFT, RIGHT, Desk
from napari.utils.key_bindings import KeymapHandler, _vispy2appmodel
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Callable

PRESS, RELEASE = QEvent.Type.KeyPress, QEvent.Type.KeyRelease
REPEATS = 4


def on_key_press(handler: KeymapHandler, event) -> None:
    """Hand repeats to each binding, those of a key aside whose release one waits for: napari 0.10.

    vispy finds it by its name.
    """
    key = _vispy2appmodel(event)
    if not (event.native.isAutoRepeat() and str(key.parts[-1].key) in handler._key_release_generators):
        event.handled = handler.press_key(key)


@pytest.fixture(params=["as napari has it", "with repeats, as in napari 0.10"])
def open_held(request, monkeypatch, open_desk) -> Callable[..., Desk]:
    if "0.10" in request.param:
        monkeypatch.setattr(KeymapHandler, "on_key_press", on_key_press)
    return open_desk


def hold(desk: Desk, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    """Hold a key over the canvas: a press, and then releases and presses as X11 repeats them, and the last release."""
    native = desk.canvas.native
    send = QApplication.sendEvent
    send(native, QKeyEvent(PRESS, key, modifier))
    for _ in range(REPEATS):
        send(native, QKeyEvent(RELEASE, key, modifier, "", True))
        send(native, QKeyEvent(PRESS, key, modifier, "", True))
        QApplication.processEvents()
    send(native, QKeyEvent(RELEASE, key, modifier))
    desk.settle()


def test_next_candidate(open_held):
    desk = open_held()
    desk.click(LEFT)
    hold(desk, Qt.Key.Key_N)
    assert desk.session.state.selected == 1
    hold(desk, Qt.Key.Key_N)
    assert desk.session.state.selected == 2


def test_undo_takes_back_one_step(open_held):
    desk = open_held()
    desk.click(LEFT)
    desk.press_key(Qt.Key.Key_Return)
    desk.click(RIGHT)
    desk.press_key(Qt.Key.Key_Return)
    hold(desk, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert desk.session.target.data.max() == 1


def test_enter_that_comes_too_early_accepts_nothing_later(open_held):
    """Held until there is something to accept, it would accept what nobody has seen."""
    desk = open_held()
    native, none = desk.canvas.native, Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(native, QKeyEvent(PRESS, Qt.Key.Key_Return, none))
    desk.session.points.add(LEFT)
    desk.settle()
    QApplication.sendEvent(native, QKeyEvent(PRESS, Qt.Key.Key_Return, none, "", True))
    desk.settle()
    assert desk.session.target is None
    QApplication.sendEvent(native, QKeyEvent(RELEASE, Qt.Key.Key_Return, none))
    desk.press_key(Qt.Key.Key_Return)
    assert desk.session.target.data.max() == 1


def test_enter_that_ends_a_polygon_does_not_accept_it(open_held):
    desk = open_held()
    desk.session.shapes.mode = "add_polygon"
    desk.viewer.layers.selection.active = desk.session.shapes
    for corner in ((35, 20), (35, 70), (85, 70), (85, 20)):
        desk.click(corner, settle=False)
    hold(desk, Qt.Key.Key_Return)
    assert len(desk.session.shapes.data) == 1
    assert desk.session.state.candidates
    assert desk.session.target is None


def test_a_release_that_was_never_seen_does_not_spoil_the_key(open_held):
    """The window loses the focus while the key is down."""
    desk = open_held()
    desk.click(LEFT)
    QApplication.sendEvent(desk.canvas.native, QKeyEvent(PRESS, Qt.Key.Key_N, Qt.KeyboardModifier.NoModifier))
    hold(desk, Qt.Key.Key_N)
    assert desk.session.state.selected == 2
