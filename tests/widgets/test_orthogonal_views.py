"""A volume seen along each of its axes, either way round, by the viewer's own buttons and keys."""

from __future__ import annotations

import numpy as np
from desk import LEFT_BUTTON
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from scipy.ndimage import label

SHAPE, SCALE = (20, 70, 90), (3.0, 1.0, 1.0)
SOLIDS = (((8, 22, 26), (5, 13, 17)), ((13, 48, 62), (4, 11, 20)))
"""Centre and radii of two ellipsoids, data pixels, (z, y, x); no two sides are alike, so that no mix-up goes unseen."""


def volume() -> np.ndarray:
    grid = np.indices(SHAPE)
    inside = np.zeros(SHAPE, bool)
    for centre, radii in SOLIDS:
        inside |= sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, radii, strict=True)) <= 1
    return np.where(inside, 200, 0).astype(np.uint8)


def section(pixels: np.ndarray, axis: int, at: tuple[int, int, int]) -> np.ndarray:
    """The object at a voxel, on the plane through it that lacks an axis, as a mask of the volume."""
    index = tuple(at[axis] if other == axis else slice(None) for other in range(3))
    regions, _ = label(pixels[index] > 0)
    found = np.zeros(pixels.shape, bool)
    found[index] = regions == regions[tuple(np.delete(at, axis))]
    return found


def at_volume(open_desk):
    """Open a window with the volume in it."""
    desk = open_desk(image=False)
    desk.viewer.add_image(volume(), name="volume", scale=SCALE, axis_labels=("z", "y", "x"), contrast_limits=(0, 255))
    desk.settle()
    return desk


def turn(desk, way: str, by: str) -> None:
    """Roll or transpose the axes as a person does."""
    if by == "button":
        buttons = desk.viewer.window._qt_viewer.viewerButtons
        button = buttons.rollDimsButton if way == "roll" else buttons.transposeDimsButton
        QTest.mouseClick(button, LEFT_BUTTON, pos=button.rect().center())
        QApplication.processEvents()
    else:
        desk.press_key(Qt.Key.Key_E if way == "roll" else Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    desk.viewer.reset_view()
    desk.settle()


def test_clicks_hit_what_is_shown_along_every_axis_either_way_round(open_desk):
    desk = at_volume(open_desk)
    session, dims, pixels = desk.session, desk.viewer.dims, volume()
    session.only_empty = False  # the planes cross
    written = np.zeros(SHAPE, int)
    orders = set()
    for _ in range(3):
        for _ in range(2):
            orders.add(tuple(dims.order))
            axis = int(dims.order[0])
            for number, (centre, _) in enumerate(SOLIDS):
                at = tuple(int(c) for c in centre + np.eye(3, dtype=int)[(axis + 1) % 3] * 2)
                dims.set_point(axis, at[axis] * SCALE[axis])
                desk.settle()
                desk.press_button(desk.dock.prompt.tools["positive"])
                desk.click(at)
                [point] = session.points.data
                assert np.abs(point - at).max() < 1, (axis, number)
                wanted = section(pixels, axis, at)
                np.testing.assert_array_equal(desk.preview(), wanted.take([at[axis]], axis))
                assert np.allclose(session.preview.data_to_world((0, 0, 0))[axis], at[axis] * SCALE[axis])
                desk.press_key(Qt.Key.Key_Return)
                written[wanted] = written.max() + 1
                np.testing.assert_array_equal(session.target.data, written)
            turn(desk, "transpose", "key")
        turn(desk, "roll", "button")
    assert len(orders) == 6


def test_what_is_on_screen_switches_with_the_axes_at_once(open_desk):
    desk = at_volume(open_desk)
    session = desk.session
    centre = SOLIDS[0][0]
    desk.viewer.dims.set_point(0, centre[0] * SCALE[0])
    desk.settle()
    desk.press_button(desk.dock.prompt.tools["positive"])
    desk.click(centre)
    assert desk.preview().any() and "z = 8" in session.state.status.text
    turn(desk, "roll", "key")
    assert not desk.preview().any() and not session.state.candidates
    assert "z" not in session.state.status.text.split("plane")[1].split("=")[0]
    for _ in range(2):
        turn(desk, "roll", "key")
    assert desk.preview().any() and session.state.candidates


def test_an_object_drawn_as_a_box_along_another_axis(open_desk):
    desk = at_volume(open_desk)
    turn(desk, "roll", "button")
    axis = int(desk.viewer.dims.order[0])
    (centre, radii), _ = SOLIDS
    desk.viewer.dims.set_point(axis, centre[axis] * SCALE[axis])
    desk.settle()
    desk.press_button(desk.dock.prompt.tools["box"])
    reach = np.where(np.arange(3) == axis, 0, np.add(radii, 2))
    desk.drag(tuple(np.subtract(centre, reach)), tuple(np.add(centre, reach)))
    assert len(desk.session.shapes.data) == 1
    np.testing.assert_array_equal(desk.preview(), section(volume(), axis, centre).take([centre[axis]], axis))
