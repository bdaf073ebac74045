"""Makes the picture of an object that was carried through a stack, for the documents.

The script works in a window as a person would: it opens the sample volume, clicks one nucleus, opens the section
*Stack*, and presses its button. It fails if the nucleus is not found on the planes next to it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from demo import ROOT, DemoError, empty, save_picture
from orthogonal_views import Hands, open_window
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

if TYPE_CHECKING:
    from napari_sam.widgets.dock import SamDock

NUCLEUS = (14, 51, 136)
"""A voxel in the middle of a nucleus of some ten planes, data pixels, (z, y, x)."""
LEAST_PLANES = 6


def drive(hands: Hands, dock: SamDock) -> str:
    """Carry one nucleus through the stack; return what the dock says of it."""
    hands.wait(lambda: hands.session.state.status.kind == "idle" and bool(hands.session.state.device), "the model")
    panel = dock.stack
    panel.expand(animate=False)
    hands.point_at(NUCLEUS)
    QTest.mouseClick(panel.buttons["propagate"], Qt.MouseButton.LeftButton)
    hands.wait(lambda: hands.session.state.stack.running, "the run")
    hands.wait(lambda: not hands.session.state.stack.running, "the end of the run")
    planes = np.unique(np.argwhere(hands.labels)[:, 0])
    if len(planes) < LEAST_PLANES or NUCLEUS[0] not in planes:
        raise DemoError(f"the nucleus was found on planes {planes.tolist()} only")
    hands.wait(lambda: hands.session.state.status.kind == "idle", "the plane")
    return panel.words.text()


def main() -> int:
    """Make the picture."""
    parser = argparse.ArgumentParser(description="Carry one nucleus through a stack.")
    parser.add_argument("--docs", action="store_true", help="also renew docs/images/stack.png")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo", help="where the pictures go")
    options = parser.parse_args()
    folder = empty(options.folder)
    viewer, dock = open_window(folder)
    try:
        hands = Hands(viewer, dock, folder)
        words = drive(hands, dock)
        saved = hands.shoot("stack")
    except DemoError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    finally:
        viewer.close()
    if options.docs:
        save_picture(saved, saved := ROOT / "docs" / "images" / "stack.png")
    print(f"stack: {words} Saved {saved}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
