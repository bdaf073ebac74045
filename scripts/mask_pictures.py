"""Makes the pictures of the clean-up and of brush and eraser on a mask, for the documents.

The script works in a window as a person would: it opens the stained tissue, clicks a nucleus whose mask has a stray
part, and cleans it up in the section *Clean-up*; then it clicks another, paints what is missing of it, and erases where
the brush ran over. It fails if the masks do not change as they are said to.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from demo import ROOT, DemoError, empty
from orthogonal_views import Hands, compose, open_window
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from scipy.ndimage import label

if TYPE_CHECKING:
    from qtpy.QtWidgets import QAbstractSlider

    from napari_sam.widgets.dock import SamDock

SAMPLE = "tissue"
STRAY = (150, 300)
"""A click in a nucleus, data pixels, (y, x), whose mask also covers a part of a neighbour."""
PARTIAL = (200, 200)
"""A click in a nucleus whose mask lacks the right side."""
SIDE = ((175, 209), (184, 213), (192, 216), (198, 217), (190, 224), (200, 223), (207, 219), (210, 214))
"""Where the brush goes to add it, a little over the border in the middle."""
OVER = ((177, 223), (184, 227), (191, 230), (198, 231))
"""Where the eraser goes to take that away."""
CENTRES = {STRAY: (150, 272), PARTIAL: (191, 209)}
"""What is in the middle of the pictures, data pixels, (y, x)."""
VIEW = (330, 400)  # pixels of each view, (width, height)
GROUND, INK = "#262930", "#f0f1f2"
"""Colours of napari's dark theme."""


class MaskHands(Hands):
    """A driver that looks at one mask."""

    def look_at(self, place: tuple[int, int], notches: int) -> None:
        """Bring a place into the middle of the canvas, and zoom in on it."""
        camera = getattr(self.viewer, "scene", self.viewer).camera  # napari 0.9 moved it
        camera.center = (0, *self.image.data_to_world(place))
        QTest.qWait(100)
        self.zoom(*place, notches=notches)

    def view_of(self, place: tuple[int, int]) -> Image.Image:
        """Take a picture of the canvas around a place."""
        middle, view = self._on_canvas(*place), self.view()
        left, top = middle.x() - VIEW[0] // 2, middle.y() - VIEW[1] // 2
        return view.crop((left, top, left + VIEW[0], top + VIEW[1]))

    def stroke(self, tool: str, places: tuple[tuple[int, int], ...]) -> None:
        """Take the brush or the eraser, and draw along places."""
        self.take(tool)
        before, native = self.mask, self.canvas.native
        first, *others = (self._on_canvas(*place) for place in places)
        QTest.mouseMove(native, first)
        QTest.qWait(30)
        QTest.mousePress(native, Qt.MouseButton.LeftButton, pos=first)
        for position in others:
            QTest.mouseMove(native, position)
            QTest.qWait(30)
        QTest.mouseRelease(native, Qt.MouseButton.LeftButton, pos=others[-1])
        self.wait(lambda: not np.array_equal(self.mask, before), "the stroke")

    def set_slider(self, slider: QAbstractSlider, share: float) -> None:
        """Drag the handle of a slider to a share of its length."""
        y, width = slider.height() // 2, slider.width() - 16
        begin = QPoint(round(8 + width * slider.value() / slider.maximum()), y)
        end = QPoint(round(8 + width * share), y)
        QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=begin)
        QTest.mouseMove(slider, end)
        QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=end)

    @property
    def mask(self) -> np.ndarray:
        """Pixels of the candidate on screen, as a mask of the image, (H, W) bool."""
        state, mask = self.session.state, np.zeros(self.image.data.shape[:2], bool)
        if state.selected >= 0:
            candidate = state.candidates[state.selected]
            (top, left), (height, width) = candidate.origin, candidate.mask.shape
            mask[top : top + height, left : left + width] = candidate.mask
        return mask


def clean_up(hands: MaskHands, dock: SamDock) -> Image.Image:
    """Click a nucleus and clean its mask up; return the mask before and after, and the section."""
    panel = dock.cleanup
    panel.expand(animate=False)
    hands.look_at(CENTRES[STRAY], notches=4)
    hands.take("positive")
    hands.click(*STRAY)
    before, parts = hands.view_of(CENTRES[STRAY]), label(hands.mask)[1]
    panel.parts.click()
    hands.set_slider(panel.smooth.slider, 0.15)
    hands.wait(lambda: label(hands.mask)[1] == 1 and hands.session.settings.shaping.smooth > 0, "the clean mask")
    if parts < 2:
        raise DemoError("the mask had no stray part that could be left out")
    after = hands.view_of(CENTRES[STRAY])
    panel.grab().save(str(saved := hands.folder / "panel.png"))
    with Image.open(saved) as section:
        picture = compose(
            [before, after, section.convert("RGB")], ("As the model gives it", "Cleaned up", ""), GROUND, INK
        )
    panel.reset.click()
    hands.key("clear")
    hands.wait(lambda: not hands.session.state.candidates, "the empty plane")
    panel.collapse(animate=False)
    return picture


def paint(hands: MaskHands) -> Image.Image:
    """Click a nucleus, paint and erase on its mask; return the three masks."""
    hands.look_at(CENTRES[PARTIAL], notches=3)
    hands.take("positive")
    hands.click(*PARTIAL)
    views, first = [hands.view_of(CENTRES[PARTIAL])], hands.mask
    hands.stroke("brush", SIDE)
    views.append(hands.view_of(CENTRES[PARTIAL]))
    painted = hands.mask
    hands.stroke("eraser", OVER)
    views.append(hands.view_of(CENTRES[PARTIAL]))
    if (painted < first).any() or (hands.mask > painted).any():
        raise DemoError("the brush took pixels away, or the eraser added some")
    return compose(views, ("One click", "Painted", "Erased where it was too much"), GROUND, INK)


def main() -> int:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description="Clean up a mask, and paint on one.")
    parser.add_argument("--docs", action="store_true", help="renew docs/images/cleanup.png and brush.png instead")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo", help="where the pictures go")
    options = parser.parse_args()
    folder = empty(options.folder)
    viewer, dock = open_window(folder, SAMPLE)
    try:
        hands = MaskHands(viewer, dock, folder)
        hands.wait(lambda: hands.session.state.status.kind == "idle" and bool(hands.session.state.device), "the model")
        pictures = {"cleanup": clean_up(hands, dock), "brush": paint(hands)}
        hands.shoot("window")
    except DemoError as error:
        print(f"masks: {error}", file=sys.stderr)
        return 1
    finally:
        viewer.close()
    for name, picture in pictures.items():
        saved = (ROOT / "docs" / "images" if options.docs else folder) / f"{name}.png"
        # Small as they are; with fewer colours, the green of the point would go.
        picture.save(saved, optimize=True)
        print(f"masks: saved {saved}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
