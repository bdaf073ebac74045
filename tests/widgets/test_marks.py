"""The marks of prompts on a real canvas: small, of one size on the screen, and told apart by colour and shape."""

from __future__ import annotations

import numpy as np
import pytest
from desk import LEFT, RIGHT, Desk
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

GREEN, ORANGE = (0, 158, 115), (230, 159, 0)
LARGEST = 12
"""Side of a mark on the screen, pixels: half a nucleus of the sample at fit zoom."""


def drawn(desk: Desk, centre: tuple[float, float]) -> np.ndarray:
    """Picture of the canvas around a data pixel, (61, 61, 3) uint8, black where the prompt layer draws nothing."""
    pictures = []
    for visible in (True, False):
        desk.session.points.visible = visible
        QApplication.processEvents()
        picture = desk.viewer.screenshot(canvas_only=True, flash=False)[..., :3]
        at = desk.pixel(centre)
        ratio = picture.shape[1] / desk.canvas.native.width()
        row, column = round(at.y() * ratio), round(at.x() * ratio)
        pictures.append(picture[row - 30 : row + 31, column - 30 : column + 31].astype(int))
    return np.where((pictures[0] != pictures[1]).any(axis=-1)[..., None], pictures[0], 0).astype(np.uint8)


def sides(mark: np.ndarray) -> tuple[int, int]:
    rows, columns = np.nonzero(mark.any(axis=-1))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def has(mark: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(mark.astype(int) - colour).max(axis=-1) < 24).any())


@pytest.mark.parametrize("placement", [{}, {"scale": (0.2, 0.5)}], ids=["plain", "anisotropic"])
def test_a_mark_is_small_and_of_one_size_at_any_zoom(open_desk, placement):
    desk = open_desk(**placement)
    desk.click(LEFT)
    desk.press_key(Qt.Key.Key_X)
    desk.click(RIGHT)
    camera = desk.viewer.scene.camera
    seen = []
    for zoom in (0.6, 1, 4, 16):
        for place, colour, other in ((LEFT, GREEN, ORANGE), (RIGHT, ORANGE, GREEN)):
            desk.viewer.fit_to_view()
            camera.zoom *= zoom
            camera.center = tuple(desk.session.image.data_to_world(place))
            mark = drawn(desk, place)
            assert has(mark, colour) and not has(mark, other)
            assert max(sides(mark)) <= LARGEST, f"zoom {zoom}"
            seen.append(max(sides(mark)))
    assert np.ptp(seen) <= 2
