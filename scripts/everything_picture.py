"""Makes the picture of all objects of an image found at once, for the documents.

The script works in a window as a person would: it opens a sample, opens the section *Everything*, presses its button,
and moves the slider of the least size. It fails if few objects are found.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from demo import ROOT, DemoError, empty, save_picture
from orthogonal_views import Hands, open_window
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

if TYPE_CHECKING:
    from napari_sam.widgets.dock import SamDock

SAMPLE = "fluorescence"
LEAST_OBJECTS = 50


def drive(hands: Hands, dock: SamDock) -> str:
    """Find all objects, and leave out the smallest; return what the dock says of them."""
    hands.wait(lambda: hands.session.state.status.kind == "idle" and bool(hands.session.state.device), "the model")
    panel = dock.everything
    panel.expand(animate=False)
    QTest.mouseClick(panel.find_objects, Qt.MouseButton.LeftButton)
    hands.wait(lambda: hands.session.state.everything.found is not None, "the objects")
    found = hands.session.state.everything.found or 0
    if found < LEAST_OBJECTS:
        raise DemoError(f"only {found} objects were found")
    QTest.qWait(500)  # the section is brought into view
    panel.area.slider.setValue((800, 1000))
    QTest.qWait(500)
    return panel.words.text()


def main() -> int:
    """Make the picture."""
    parser = argparse.ArgumentParser(description="Find every object of an image.")
    parser.add_argument("--docs", action="store_true", help="also renew docs/images/everything.png")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo", help="where the pictures go")
    options = parser.parse_args()
    folder = empty(options.folder)
    viewer, dock = open_window(folder, SAMPLE)
    try:
        hands = Hands(viewer, dock, folder)
        words = drive(hands, dock)
        saved = hands.shoot("everything")
    except DemoError as error:
        print(f"everything: {error}", file=sys.stderr)
        return 1
    finally:
        viewer.close()
    if options.docs:
        save_picture(saved, saved := ROOT / "docs" / "images" / "everything.png")
    print(f"everything: {words} Saved {saved}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
