"""Makes the picture of a model that was taught in the dock, for the documents.

The script works in a window as a person would: it opens a sample with the labels of annotators, opens the section
*Teach*, and presses its button. A minute of learning takes a few with what is measured.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from demo import ROOT, DemoError, empty
from orthogonal_views import Hands, open_window
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_sam.samples import labels_of

if TYPE_CHECKING:
    from napari_sam.widgets.dock import SamDock

SAMPLE = "brightfield"
LEFT = 510
"""Where the picture begins: in the middle of the canvas, logical pixels."""
COLOURS = 128
LONGEST = 1800  # seconds, on a busy machine


def drive(hands: Hands, dock: SamDock, minutes: int) -> str:
    """Teach the bundled model; return what came of it."""
    hands.wait(lambda: hands.session.state.status.kind == "idle" and bool(hands.session.state.device), "the model")
    hands.session.target = hands.viewer.add_labels(labels_of(SAMPLE), name="labels")
    panel = dock.teach
    panel.expand(animate=False)
    hands.wait(panel.start.isEnabled, "the count of objects")
    panel.minutes.setValue(minutes)
    QTest.mouseClick(panel.start, Qt.MouseButton.LeftButton)
    for _second in range(LONGEST):
        if not dock.teaching.state.busy:
            break
        QTest.qWait(1000)
    state = dock.teaching.state
    if state.stage != "done":
        raise DemoError(f"teaching ended as {state.stage}: {state.words}")
    QTest.qWait(500)  # the section is brought into view
    return state.words


def save_right_half(source: Path, target: Path) -> None:
    """Save the dock with the half of the image beside it, small enough for a repository."""
    with Image.open(source) as picture:
        half = picture.convert("RGB").crop((LEFT, 0, picture.width, picture.height))
        half.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


def main() -> int:
    """Make the picture."""
    parser = argparse.ArgumentParser(description="Teach the bundled model the labels of a sample.")
    parser.add_argument("--docs", action="store_true", help="also renew docs/images/teaching.png")
    parser.add_argument("--minutes", type=int, default=1, help="of learning")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo", help="where the pictures go")
    options = parser.parse_args()
    folder = empty(options.folder)
    viewer, dock = open_window(folder, SAMPLE)
    try:
        hands = Hands(viewer, dock, folder)
        words = drive(hands, dock, options.minutes)
        saved = hands.shoot("teaching")
    except DemoError as error:
        print(f"teaching: {error}", file=sys.stderr)
        return 1
    finally:
        viewer.close()
    if options.docs:
        save_right_half(saved, saved := ROOT / "docs" / "images" / "teaching.png")
    print(f"teaching: {words} Saved {saved}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
