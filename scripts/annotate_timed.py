"""Annotates a real image of nuclei in each tempo, and says what an object costs: gestures, seconds and accuracy.

The image is the fluorescence sample, with the masks of its annotators (BBBC038v1, CC0) as the truth; ``--image`` and
``--labels`` take others. In a window, with mouse and key events sent to Qt as a person's would be, every object is
clicked once in its middle: in careful tempo, each mask is looked at and accepted with Enter; in turbo, clicks follow
each other as fast as the window takes them; in batch, all are clicked, then made by one key and accepted by another.

    scripts/on-screen.sh .venv/bin/python scripts/annotate_timed.py [--objects N] [--image FILE --labels FILE]

Fails, with exit status 1, when an object takes more gestures than its tempo promises, or a tempo gives worse masks.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtTest import QTest
from skimage import io

from napari_sam import samples
from napari_sam.masks import deepest_pixel, iou
from napari_sam.session.settings import TEMPOS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sam.session.settings import Tempo
    from napari_sam.widgets import SamDock

LABELS = Path(samples.__file__).with_name("fluorescence_labels.png")
WINDOW = (1320, 880)  # logical pixels; fits the virtual screen
PATIENCE = 120.0  # seconds for the slowest step: loading the model on a busy machine
MOST_GESTURES: dict[Tempo, float] = {"careful": 2.0, "turbo": 1.0}
"""Gestures an object that a tempo promises, at most. In batch, two keys are for all of them."""
SMALLEST = 30
"""Pixels; what is smaller is a crumb of a mask that the annotators left."""


@dataclass(frozen=True)
class Target:
    """An object to annotate: its mask, (H, W) bool, and the pixel (y, x) in its middle."""

    mask: NDArray[np.bool_]
    middle: tuple[int, int]


@dataclass(frozen=True)
class Result:
    """What came of a tempo.

    Attributes
    ----------
    tempo : str
        The tempo.
    gestures : float
        Clicks and keys an object.
    seconds : float
        Time an object, from the first gesture until the last is written: the hands wait for the machine alone.
    miou : float
        Mean IoU of the objects with their masks; 0 for one that was not written.
    """

    tempo: Tempo
    gestures: float
    seconds: float
    miou: float


class Hands:
    """What a person does in the window, counted.

    Parameters
    ----------
    viewer : napari.Viewer
        The window.
    dock : SamDock
        The dock in it.
    """

    def __init__(self, viewer: napari.Viewer, dock: SamDock) -> None:
        self.viewer, self.dock, self.session = viewer, dock, dock.session
        self.canvas = viewer.window._qt_viewer.canvas  # noqa: SLF001 - events have no public way to the canvas
        self.image = viewer.layers[0]
        self.gestures = 0

    def click(self, y: float, x: float) -> None:
        """Click a pixel of the image."""
        node = self.canvas.layer_to_visual[self.image].node
        column, row = node.get_transform("visual", "canvas").map((x + 0.5, y + 0.5))[:2]
        place = QPoint(round(column), round(row))
        QTest.mouseMove(self.canvas.native, place)
        QTest.mouseClick(self.canvas.native, Qt.MouseButton.LeftButton, pos=place)
        self.gestures += 1

    def press(self, action: str) -> None:
        """Press the key of an action, over the canvas."""
        combination = QKeySequence(self.session.actions[action].keys[0].replace("-", "+"))[0]
        QTest.keyClick(self.canvas.native, combination.key(), combination.keyboardModifiers())
        self.gestures += 1

    def choose(self, tempo: Tempo) -> None:
        """Press the button of a tempo."""
        QTest.mouseClick(self.dock.prompt.tempo.buttons[tempo], Qt.MouseButton.LeftButton)
        self.wait(lambda: self.session.tempo == tempo)

    def wait(self, until: Callable[[], bool]) -> None:
        """Let the window live until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not until():
            status = self.session.state.status
            if status.kind == "failed" or time.monotonic() > deadline:
                raise SystemExit(f"annotate_timed: waited in vain; the dock says: {status.text}")
            QTest.qWait(1)


def annotate(hands: Hands, targets: list[Target], tempo: Tempo) -> Result:
    """Annotate all objects in one tempo, into labels of their own."""
    hands.choose(tempo)
    hands.session.new_target()
    session, hands.gestures, start = hands.session, 0, time.perf_counter()
    for target in targets:
        hands.click(*target.middle)
        if tempo == "careful":
            hands.wait(lambda: bool(session.state.candidates))
            hands.press("accept")
            # Where every pixel carries a label already, the prompts stay.
            if session.state.candidates:
                hands.press("clear")
    if tempo == "batch":
        hands.press("make_all")
        hands.wait(lambda: session.state.everything.picking and not session.state.everything.running)
        hands.press("accept")
    hands.wait(lambda: session.state.waiting == 0 and session.state.status.kind != "working")
    seconds = time.perf_counter() - start
    labels = np.array(session.target.data)
    found = [labels == labels[target.middle] if labels[target.middle] else labels < 0 for target in targets]
    miou = float(np.mean([iou(mask, target.mask) for mask, target in zip(found, targets, strict=True)]))
    return Result(tempo, hands.gestures / len(targets), seconds / len(targets), miou)


def objects_of(labels: NDArray[np.integer], most: int | None) -> list[Target]:
    """List the objects of labels, in an order that jumps about as a person's does not: no two neighbours in turn."""
    numbers = [number for number in np.unique(labels)[1:] if (labels == number).sum() >= SMALLEST]
    order = np.random.default_rng(0).permutation(numbers)[:most]
    return [Target(mask, deepest_pixel(mask, closed=True)) for mask in (labels == number for number in order)]


def open_window(image: Path | None) -> tuple[napari.Viewer, SamDock]:
    """Open napari on the image with the dock beside it."""
    viewer = napari.Viewer(title="napari-sam-live")
    viewer.window.resize(*WINDOW)
    if image is None:
        [(pixels, options, _kind)] = samples.fluorescence()
        viewer.add_image(pixels, **options)
    else:
        viewer.add_image(io.imread(image), name=image.stem)
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam-live", "Segment")
    QTest.qWait(200)  # let the dock take its room before the image is fitted into the rest
    viewer.fit_to_view()
    return viewer, dock


def faults(results: list[Result]) -> list[str]:
    """Say in words what is not as it should be."""
    found = [
        f"{one.tempo} took {one.gestures:.2f} gestures an object, not {MOST_GESTURES[one.tempo]:.0f} at most"
        for one in results
        if one.gestures > MOST_GESTURES.get(one.tempo, np.inf)
    ]
    first = results[0]
    # The same clicks: faster is not to mean worse masks.
    found += [
        f"{one.tempo} gave a mean IoU of {one.miou:.3f}, and {first.tempo} {first.miou:.3f}"
        for one in results[1:]
        if one.miou < first.miou - 0.01
    ]
    return found


def main() -> int:
    """Annotate, print a table, and tell by the exit status whether tempos keep their promises."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--objects", type=int, help="how many; by default all")
    parser.add_argument("--image", type=Path, help="another image; needs --labels")
    parser.add_argument("--labels", type=Path, default=LABELS, help="its masks, an image of labels")
    parser.add_argument("--shots", type=Path, help="folder for a picture of the window after each tempo")
    given = parser.parse_args()
    if given.image is not None and given.labels is LABELS:
        parser.error("--image needs --labels")
    targets = objects_of(io.imread(given.labels), given.objects)
    viewer, dock = open_window(given.image)
    hands = Hands(viewer, dock)
    try:
        hands.wait(lambda: hands.session.state.status.kind == "idle" and bool(hands.session.state.device))
        results = []
        for choice in TEMPOS:
            results.append(annotate(hands, targets, choice.name))
            if given.shots is not None:
                viewer.window.screenshot(str(given.shots / f"{choice.name}.png"), canvas_only=False, flash=False)
    finally:
        viewer.close()
    print(f"{len(targets)} objects on {hands.session.state.device}")
    print(f"{'tempo':<10}{'gestures an object':>20}{'seconds an object':>20}{'mIoU':>8}")
    for one in results:
        print(f"{one.tempo:<10}{one.gestures:>20.2f}{one.seconds:>20.3f}{one.miou:>8.3f}")
    for fault in (found := faults(results)):
        print(f"annotate_timed: {fault}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    # The person's settings would change the result, and its objects do not belong into the person's journal.
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"NAPARI_CONFIG": str(Path(home, "settings.yaml")), "NAPARI_SAM_HOME": home}
        sys.exit(main())
