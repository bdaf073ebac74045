"""The whole of it: the plugin as napari opens it, the model that it ships, a nucleus in a real image."""

from __future__ import annotations

import numpy as np
from desk import LEFT_BUTTON, Desk
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from scipy.ndimage import center_of_mass, label

from napari_sam import samples
from napari_sam.widgets import SamDock


def nucleus(pixels: np.ndarray) -> tuple[tuple[int, int], np.ndarray]:
    """Find one that stands alone, by its brightness: its middle, and its mask."""
    regions, count = label(pixels > (pixels.max() + pixels.min()) / 4)
    sizes = np.bincount(regions.ravel())[1:]
    inner = set(range(1, count + 1)) - {*regions[0], *regions[-1], *regions[:, 0], *regions[:, -1]}
    chosen = min(inner, key=lambda i: abs(sizes[i - 1] - np.median(sizes[sizes > 50])))
    y, x = center_of_mass(regions == chosen)
    return (round(y), round(x)), regions == chosen


def test_a_click_on_a_nucleus_becomes_an_object(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    [(pixels, attributes, _)] = samples.fluorescence()
    viewer.add_image(pixels, **attributes)
    frame, dock = viewer.window.add_plugin_dock_widget("napari-sam-live")  # through the manifest, as from the menu
    assert isinstance(dock, SamDock)
    desk = Desk.at(viewer, qtbot, dock, frame)
    desk.settle(120_000)
    assert desk.session.state.model == "bundled" and desk.session.state.status.kind == "idle"
    middle, mask = nucleus(np.asarray(pixels))
    desk.click(middle)
    qtbot.waitUntil(lambda: bool(desk.session.state.candidates), timeout=60_000)
    preview = desk.preview()
    assert (preview & mask).sum() / (preview | mask).sum() > 0.7
    assert dock.candidates.cards[0].isVisible()
    QTest.mouseClick(dock.candidates.buttons[0], LEFT_BUTTON)
    desk.settle()
    np.testing.assert_array_equal(np.asarray(desk.session.target.data) == 1, preview)
    desk.viewer.layers.selection.active = desk.session.target
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not np.asarray(desk.session.target.data).any()
