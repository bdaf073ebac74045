"""Opens napari on a real microscopy image with the dock.

Run as it is, the window is the person's. With ``--drive`` the script works in the same window itself, with mouse and
key events sent to Qt as a person's would be: it takes the tools, clicks nuclei, draws a box, says what does not belong,
accepts, undoes and redoes. It saves a screenshot of each step and the labels, and fails if the masks are not the
nuclei. ``--docs`` also renews the picture of the documents.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
import tifffile
from PIL import Image
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QKeySequence, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.widgets import SamDock

ROOT = Path(__file__).parents[1]
PLUGIN = "napari-sam-live"
WINDOW = (1320, 880)  # logical pixels; fits the virtual screen
PATIENCE = 120.0  # seconds for the slowest step: loading the model on a busy machine


@dataclass(frozen=True)
class Nucleus:
    """A nucleus of the sample as its annotators drew it: centre (y, x), box (y0, x0, y1, x1) and area, in pixels."""

    centre: tuple[int, int]
    box: tuple[int, int, int, int]
    area: int

    def fault(self, mask: np.ndarray) -> str:
        """Say in words why a mask of the whole image is not this nucleus; "" if it is."""
        if not mask[self.centre]:
            return "does not cover its centre"
        y, x = np.nonzero(mask)
        box = (y.min(), x.min(), y.max() + 1, x.max() + 1)
        overlap = _box_iou(box, self.box)
        if not (0.6 < mask.sum() / self.area < 1.6 and overlap > 0.6):
            return f"has {mask.sum()} pixels (annotated: {self.area}) and a box that overlaps by {overlap:.2f}"
        return ""


BRIGHT = Nucleus((160, 260), (139, 240, 181, 283), 1313)
OVAL = Nucleus((455, 295), (436, 283, 473, 309), 785)
UPPER = Nucleus((414, 172), (402, 162, 426, 184), 414)  # touches LOWER
LOWER = Nucleus((436, 173), (423, 160, 449, 187), 521)
LONG = Nucleus((309, 327), (300, 306, 319, 350), 669)


def _box_iou(one: tuple[int, ...], two: tuple[int, ...]) -> float:
    height = max(0, min(one[2], two[2]) - max(one[0], two[0]))
    width = max(0, min(one[3], two[3]) - max(one[1], two[1]))
    area = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, two))
    return height * width / (area - height * width)


class DemoError(Exception):
    """The window did not do what a person would expect."""


class Driver:
    """A pair of hands for the window.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer, with the sample image in it.
    dock : SamDock
        The dock.
    folder : Path
        Where screenshots go.
    """

    def __init__(self, viewer: napari.Viewer, dock: SamDock, folder: Path) -> None:
        self.viewer, self.dock, self.session, self.folder = viewer, dock, dock.session, folder
        self.canvas = viewer.window._qt_viewer.canvas  # noqa: SLF001 - events have no public way to the canvas
        self.image = viewer.layers[0]
        self._shots = 0

    def wait(self, until: Callable[[], bool], what: str) -> None:
        """Let the window live until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not until():
            if self.session.state.status.kind == "failed":
                raise DemoError(f"waited for {what}; the dock says: {self.session.state.status.text}")
            if time.monotonic() > deadline:
                raise DemoError(
                    f"waited {PATIENCE:.0f} s in vain for {what}; the dock says: {self.session.state.status.text}"
                )
            QTest.qWait(20)

    def take(self, tool: str) -> None:
        """Press a tool's button in the dock."""
        QTest.mouseClick(self.dock.prompt.tools[tool], Qt.MouseButton.LeftButton)
        self.wait(lambda: self.session.state.tool == tool, f"the {tool} tool")

    def key(self, action: str) -> None:
        """Press the key of an action, on the canvas."""
        sequence = QKeySequence(self.session.actions[action].keys[0].replace("Control", "Ctrl").replace("-", "+"))
        combination = sequence[0]
        QTest.keyClick(self.canvas.native, combination.key(), combination.keyboardModifiers())

    def click(self, y: float, x: float) -> None:
        """Click on the image, and wait for the answer."""
        before = self.session.state.candidates
        position = self._on_canvas(y, x)
        QTest.mouseMove(self.canvas.native, position)
        QTest.qWait(30)
        QTest.mouseClick(self.canvas.native, Qt.MouseButton.LeftButton, pos=position)
        self._wait_for_answer(before)

    def box(self, nucleus: Nucleus) -> None:
        """Take the box tool, and draw a box with a little room around a nucleus."""
        self.take("box")
        y0, x0, y1, x1 = nucleus.box
        self.drag((y0 - 2, x0 - 2), (y1 + 1, x1 + 1))

    def drag(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        """Draw from one corner of a box to the other, and wait for the answer."""
        before = self.session.state.candidates
        path = [self._on_canvas(*(np.array(start) + t * np.subtract(stop, start))) for t in np.linspace(0, 1, 6)]
        QTest.mouseMove(self.canvas.native, path[0])
        QTest.qWait(30)
        QTest.mousePress(self.canvas.native, Qt.MouseButton.LeftButton, pos=path[0])
        for position in path[1:]:
            QTest.mouseMove(self.canvas.native, position)
            QTest.qWait(30)
        QTest.mouseRelease(self.canvas.native, Qt.MouseButton.LeftButton, pos=path[-1])
        self._wait_for_answer(before)

    def zoom(self, y: float, x: float, notches: int) -> None:
        """Turn the mouse wheel over a position, which stays where it is."""
        position = QPointF(self._on_canvas(y, x))
        everywhere = QPointF(self.canvas.native.mapToGlobal(position.toPoint()))
        for _ in range(notches):
            wheel = QWheelEvent(
                position,
                everywhere,
                QPoint(),
                QPoint(0, 120),
                Qt.MouseButton.NoButton,
                Qt.KeyboardModifier.NoModifier,
                Qt.ScrollPhase.NoScrollPhase,
                False,
            )
            QApplication.sendEvent(self.canvas.native, wheel)
            QTest.qWait(20)

    def accept(self, nucleus: Nucleus) -> None:
        """Press the key that accepts, and look whether the labels now hold this nucleus."""
        label = self.session.state.next_id
        self.key("accept")
        self.wait(lambda: self.session.target is not None and bool((self.labels == label).any()), "the accepted object")
        if fault := nucleus.fault(self.labels == label):
            raise DemoError(f"object {label} is not the nucleus at {nucleus.centre}: it {fault}")

    def shoot(self, name: str) -> Path:
        """Save a picture of the whole window."""
        QTest.qWait(300)  # let everything be painted
        self._shots += 1
        path = self.folder / f"{self._shots:02d}-{name}.png"
        self.viewer.window.screenshot(str(path), canvas_only=False, flash=False)
        return path

    @property
    def labels(self) -> np.ndarray:
        """The target's pixels."""
        return np.asarray(self.session.target.data)

    def _wait_for_answer(self, before: tuple[object, ...]) -> None:
        def answered() -> bool:
            state = self.session.state
            return bool(state.candidates) and state.candidates is not before and state.status.kind == "idle"

        self.wait(answered, "a mask")

    def _on_canvas(self, y: float, x: float) -> QPoint:
        """Logical pixels of the canvas where a data position of the image is drawn."""
        node = self.canvas.layer_to_visual[self.image].node
        column, row = node.get_transform("visual", "canvas").map((x + 0.5, y + 0.5))[:2]
        return QPoint(round(column), round(row))


def open_window() -> tuple[napari.Viewer, SamDock]:
    """Open napari on the fluorescence sample with the dock beside it."""
    viewer = napari.Viewer(title="napari-sam-live")
    viewer.window.resize(*WINDOW)
    viewer.open_sample(PLUGIN, "fluorescence")
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    QTest.qWait(200)  # let the dock take its room before the image is fitted into the rest
    viewer.fit_to_view()
    return viewer, dock


def drive(hands: Driver) -> list[Path]:
    """Segment three nuclei as a person would, and begin a fourth; return what was saved."""
    hands.wait(lambda: hands.session.state.status.kind == "idle" and bool(hands.session.state.device), "the model")
    saved = [hands.shoot("ready")]
    hands.zoom(340, 210, notches=4)

    hands.take("positive")
    hands.click(*BRIGHT.centre)
    saved.append(hands.shoot("click"))
    hands.accept(BRIGHT)
    saved.append(hands.shoot("accepted"))

    hands.box(OVAL)
    saved.append(hands.shoot("box"))
    hands.accept(OVAL)

    hands.take("positive")
    hands.click(*UPPER.centre)
    hands.key("toggle_polarity")
    hands.wait(lambda: hands.session.state.tool == "negative", "the other polarity")
    hands.click(*LOWER.centre)
    saved.append(hands.shoot("not-this"))
    hands.accept(UPPER)

    count = len(np.unique(hands.labels))
    hands.key("undo")
    hands.wait(lambda: len(np.unique(hands.labels)) == count - 1, "the undo")
    hands.key("redo")
    hands.wait(lambda: len(np.unique(hands.labels)) == count, "the redo")

    hands.take("positive")
    hands.click(*LONG.centre)
    saved.append(hands.shoot("next"))
    labels = hands.folder / "labels.tif"
    tifffile.imwrite(labels, hands.labels.astype(np.uint16), compression="zlib")
    return [*saved, labels]


def save_picture(source: Path, target: Path) -> None:
    """Save a screenshot small enough for a repository: 256 colours are plenty for a window."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(target, optimize=True)


def empty(folder: Path) -> Path:
    """Make the folder, without what an earlier run left in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.png"), *folder.glob("*.tif")):
        old.unlink()
    return folder


def main() -> int:
    """Open the window, and give it to the person or work in it."""
    parser = argparse.ArgumentParser(description="Open napari on a real image with the dock.")
    parser.add_argument("--drive", action="store_true", help="work in the window, save screenshots and labels, and end")
    parser.add_argument("--docs", action="store_true", help="with --drive: also renew docs/images/dock.png")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo", help="where screenshots and labels go")
    options = parser.parse_args()
    if not options.drive:
        open_window()
        napari.run()
        return 0
    folder = empty(options.folder)
    # The person's settings would change the pictures, and the demo's objects do not belong into the person's journal.
    os.environ |= {"NAPARI_CONFIG": str(folder / "settings.yaml"), "NAPARI_SAM_HOME": str(folder)}
    viewer, dock = open_window()
    try:
        saved = drive(Driver(viewer, dock, folder))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        viewer.close()
    if options.docs:
        save_picture(saved[-2], picture := ROOT / "docs" / "images" / "dock.png")
        saved.append(picture)
    print("demo: the nuclei that were clicked and boxed are in the labels. Saved:")
    for path in saved:
        print(f"  {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
