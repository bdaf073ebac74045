"""A window with a folder of images, in a process that is killed: ``python killed_series.py IMAGES TOLD``.

Accepts an object in the first image, goes to the second by key, and accepts `SAVED` that are saved and one that is not.
Writes the file TOLD then, and does nothing more. Needs the folders of tests on the path.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import napari
import numpy as np
from desk import Desk, DiscEngine
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_sam.session.series import controller

SAVED = 9
SHAPE = (120, 300)
CENTRES = [(30 + 60 * row, 30 + 60 * column) for row in range(2) for column in range(5)]
RADIUS = 16


def discs(high: int) -> np.ndarray:
    """Ten bright discs on black, uint8: `SAVED` and one more."""
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    image = np.zeros(SHAPE, np.uint8)
    for centre in CENTRES:
        image[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= RADIUS**2] = high
    return image


class Hands(Desk):
    """A desk outside of a test."""

    def settle(self, timeout: int = 60_000) -> None:
        """Wait until nothing is under way, and the window has drawn it."""
        deadline = time.monotonic() + timeout / 1000
        self.session.wait(timeout / 1000)
        QApplication.processEvents()
        while self.session.state.status.kind == "working" and time.monotonic() < deadline:
            QApplication.processEvents()
            self.session.wait(timeout / 1000)

    def annotate(self, centre: tuple[int, int]) -> None:
        """Click an object, and accept it."""
        self.click(centre)
        self.press_key(Qt.Key.Key_Return)


def main() -> None:
    images, told, saved = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    viewer = napari.Viewer()
    viewer.window.resize(1200, 900)
    hands = Hands(viewer, None, DiscEngine())
    hands.session.prefetch = False
    hands.session.series.open(images)
    hands.settle()
    hands.annotate(CENTRES[0])
    hands.press_key(Qt.Key.Key_PageDown)
    controller._AUTOSAVE_S = 0.0
    for centre in CENTRES[:saved]:
        hands.annotate(centre)
    # Labels that do not rest are not saved: so it is with somebody who clicks on and on.
    controller._AUTOSAVE_S = 3600.0
    hands.click(CENTRES[saved])
    before = hands.session.state.next_id
    hands.press_key(Qt.Key.Key_Return, settle=False)
    while hands.session.state.next_id == before or hands.session.state.waiting:
        QApplication.processEvents()
    told.write_text("accepted", encoding="utf-8")
    time.sleep(600)


if __name__ == "__main__":
    main()
