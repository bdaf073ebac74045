"""Goes the loop of teaching in a window, by mouse and keys: annotate, teach, use it, and see what is found on its own.

The images are drawn: a kind that the bundled model was never trained on. Three are annotated by clicks, each object
until its mask is good, and marked as done. On the next one everything is found, by the model as it is and by what it
was taught; both answers are compared with the truth, which is known.

    scripts/on-screen.sh .venv/bin/python scripts/teaching_loop.py [--minutes N] [--docs]

Fails, with exit status 1, when the taught model does not find more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
import tifffile
from demo import PLUGIN, ROOT, DemoError, Driver, empty, save_picture
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sam.evaluation.average_precision import match_counts
from napari_sam.evaluation.simulated_user import next_click
from napari_sam.masks import iou
from napari_sam.training.synthetic.holdout_scenes import draw_unseen

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qtpy.QtWidgets import QWidget


WINDOW = (1180, 940)
KIND = "stars and gears"
SEEDS = (4, 8, 0, 12)
"""Of the images; these four are lit alike. The last is the one on which everything is found."""
GOOD, MOST_CLICKS = 0.85, 5
"""IoU at which a person is content with a mask, and the clicks after which they take it as it is."""
LEAST = 0.6
"""IoU below which a person begins anew, with a box."""
LONGEST = 3600  # seconds, on a busy machine


class Hands(Driver):
    """Hands that go through a series of images."""

    def press(self, button: QWidget) -> None:
        """Click a button of the dock."""
        QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=button.rect().center())
        QApplication.processEvents()

    def unfold(self, section: QWidget) -> None:
        """Unfold a section of the dock by its head."""
        if not section.isExpanded():
            self.press(section.toggleButton())
            QTest.qWait(300)

    def rest(self, what: str) -> None:
        """Wait until nothing is under way."""
        self.wait(lambda: self.session.state.status.kind == "idle" and not self.session.state.series.busy, what)

    def finish(self, name: str) -> None:
        """Mark the image as done by the key for that, and wait for the next one."""
        QTest.keyClick(self.canvas.native, Qt.Key.Key_PageDown, Qt.KeyboardModifier.ControlModifier)
        self.wait(lambda: self.session.image is not None and self.session.image.name == name, name)
        self.rest(name)
        self.image = self.session.image
        self.viewer.fit_to_view()
        QTest.qWait(200)

    def mask(self) -> NDArray[np.bool_]:
        """Look at the preview."""
        return np.asarray(self.session.preview.data) != 0

    def annotate(self, truth: NDArray[np.integer]) -> float:
        """Click every object until its mask is good, and accept it; return the mean IoU of all."""
        reached = []
        for label in np.unique(truth)[1:].tolist():
            wanted, answer = truth == label, np.zeros(truth.shape, bool)
            for _click in range(MOST_CLICKS):
                click = next_click(wanted, answer)
                if self.session.state.positive != click.positive:
                    self.key("toggle_polarity")
                self.click(*click.position)
                answer = self.mask()
                if iou(answer, wanted) >= GOOD:
                    break
            if not self.session.state.positive:
                self.key("toggle_polarity")
            if iou(answer, wanted) < LEAST:  # begun anew, with a box
                self.key("clear")
                self.wait(lambda: not self.session.state.candidates, "the empty plane")
                self.take("box")
                rows, columns = np.nonzero(wanted)
                self.drag((rows.min() - 1, columns.min() - 1), (rows.max(), columns.max()))
                answer = self.mask()
                self.take("positive")
            reached.append(iou(answer, wanted))
            self.key("accept")
            self.wait(lambda: not self.session.state.candidates and not self.session.state.waiting, "the next object")
        return float(np.mean(reached))

    def find(self) -> None:
        """Find everything on the image."""
        panel = self.dock.everything
        self.unfold(panel)
        self.wait(panel.find_objects.isEnabled, "the button")
        self.press(panel.find_objects)
        self.wait(lambda: self.session.state.everything.found is not None, "the objects")
        self.rest("the objects")

    def take_all(self) -> NDArray[np.integer]:
        """Accept what was found, read the labels, and take that back."""
        self.press(self.dock.everything.accept)
        self.wait(lambda: self.session.state.everything.found is None, "the labels")
        self.rest("the labels")
        labels = np.array(self.labels)
        self.key("undo")
        self.wait(lambda: not np.asarray(self.labels).any(), "the undo")
        return labels


def write_images(folder: Path) -> list[NDArray[np.integer]]:
    """Draw the images into a folder; return their labels."""
    folder.mkdir(exist_ok=True)
    truths = []
    for number, seed in enumerate(SEEDS, 1):
        scene = draw_unseen(KIND, seed)
        tifffile.imwrite(folder / name(number), scene.image[..., 0])
        truths.append(scene.labels)
    return truths


def name(number: int) -> str:
    """Return the file name of an image, from 1 on."""
    return f"field-{number}.tif"


def teach(hands: Hands, minutes: int) -> None:
    """Teach the model what was annotated, and work with what it became."""
    panel, teaching = hands.dock.teach, hands.dock.teaching
    hands.unfold(panel)
    hands.wait(panel.start.isEnabled, "the count of objects")
    panel.minutes.setValue(minutes)
    hands.press(panel.start)
    for _second in range(LONGEST):
        if not teaching.state.busy:
            break
        QTest.qWait(1000)
    state = teaching.state
    if state.stage != "done":
        raise DemoError(f"teaching ended as {state.stage}: {state.words}")
    print(f"teaching: {state.words}", flush=True)
    if not state.kept:
        raise DemoError("the taught model was not better on the image that was kept back")
    QTest.qWait(500)  # the section is brought into view


def drive(hands: Hands, truths: list[NDArray[np.integer]], minutes: int) -> dict[str, float]:
    """Go the loop once; return AP at an IoU of .5 on the next image, before and after."""
    hands.wait(lambda: bool(hands.session.state.device) and hands.session.image is not None, "the model")
    hands.rest("the first image")
    hands.image = hands.session.image
    hands.viewer.fit_to_view()
    QTest.qWait(200)
    for number, truth in enumerate(truths[:-1], 1):
        hands.take("positive")
        reached = hands.annotate(truth)
        print(f"{name(number)}: {truth.max()} objects annotated, mean IoU {reached:.3f}", flush=True)
        if number == 1:
            hands.shoot("annotated")
        hands.finish(name(number + 1))
    scores = {}
    for when in ("before", "after"):
        if when == "after":
            teach(hands, minutes)
            hands.shoot("taught")
            hands.press(hands.dock.teach.use)
            hands.rest("the taught model")
            hands.unfold(hands.dock.teach)
        hands.find()
        hands.shoot(f"found-{when}")
        counts = match_counts(truths[-1], hands.take_all())
        found = int(counts.found[0])
        scores[when] = found / (counts.truths + counts.answers - found)
        words = f"{found} of {counts.truths} objects, {counts.answers - found} that are none"
        print(f"{when}: {words}; AP@50 {scores[when]:.3f}", flush=True)
    return scores


def main() -> int:
    """Go the loop, and tell by the exit status whether it brought anything."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=int, default=1, help="of learning")
    parser.add_argument("--docs", action="store_true", help="also renew the pictures of docs/images")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo", help="where the pictures go")
    options = parser.parse_args()
    folder = empty(options.folder)
    os.environ |= {"NAPARI_CONFIG": str(folder / "settings.yaml"), "NAPARI_SAM_HOME": str(folder / "home")}
    truths = write_images(images := folder / "images")
    viewer = napari.Viewer(title="napari-sam-live")
    viewer.window.resize(*WINDOW)
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    dock.series.open_folder(images)
    while not viewer.layers:
        QTest.qWait(20)
    try:
        scores = drive(Hands(viewer, dock, folder), truths, options.minutes)
    except DemoError as error:
        print(f"teaching loop: {error}", file=sys.stderr)
        return 1
    finally:
        viewer.close()
    (folder / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    if options.docs:
        for shot in ("annotated", "taught"):
            [source] = folder.glob(f"*-{shot}.png")
            save_picture(source, ROOT / "docs" / "images" / f"loop-{shot}.png")
    if scores["after"] <= scores["before"]:
        print("teaching loop: the taught model finds no more than before", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
