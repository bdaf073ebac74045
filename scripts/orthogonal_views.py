"""Makes the picture of a volume seen along its three axes, for the documents.

The script works in a window as a person would: it opens the sample volume, clicks one nucleus, rolls the axes with the
viewer's own button, clicks the same nucleus on the two other planes through it, and puts the three views side by side.
It fails if the masks are not of one nucleus.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from demo import PLUGIN, ROOT, DemoError, Driver, empty, save_picture
from PIL import Image, ImageDraw, ImageFont
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

if TYPE_CHECKING:
    from napari_sam.widgets.dock import SamDock

WINDOW = (1180, 880)
SAMPLE = "nuclei_volume"
NUCLEUS = (17, 118, 106)
"""A voxel in the middle of a nucleus, data pixels, (z, y, x)."""
NAMES = ("along z: y down, x across", "along x: z down, y across", "along y: z down, x across")
PANEL = (500, 460)  # pixels of each view in the picture


class Hands(Driver):
    """A driver for a volume."""

    def _on_canvas(self, *position: float) -> QPoint:
        world = self.image.data_to_world(position)
        seen = [world[axis] for axis in self.viewer.dims.displayed][::-1]
        x, y, _, w = self.canvas.view.scene.transform.map(seen)
        return QPoint(round(x / w), round(y / w))

    def point_at(self, voxel: tuple[int, int, int]) -> None:
        """Scroll to the plane of a voxel, click on it, and wait for the answer."""
        axis = int(self.viewer.dims.order[0])
        self.viewer.dims.set_point(axis, self.image.data_to_world(voxel)[axis])
        self.wait(lambda: self.session.state.status.kind == "idle", "the plane")
        self.take("positive")
        QTest.mouseClick(self.canvas.native, Qt.MouseButton.LeftButton, pos=self._on_canvas(*voxel))
        self.wait(lambda: bool(self.session.state.candidates) and self.session.state.status.kind == "idle", "a mask")

    def press(self, name: str) -> None:
        """Press the viewer's button that rolls or transposes the axes, and fit the plane into the window."""
        button = getattr(self.viewer.window._qt_viewer.viewerButtons, f"{name}DimsButton")  # noqa: SLF001 - see canvas
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        self.viewer.reset_view()
        QTest.qWait(200)

    def view(self) -> Image.Image:
        """Take a picture of the canvas."""
        QTest.qWait(300)
        return Image.fromarray(self.viewer.screenshot(canvas_only=True, flash=False)).convert("RGB")


def drive(hands: Hands) -> list[Image.Image]:
    """Segment one nucleus on three planes through it; return the three views, with the mask before it is accepted."""
    hands.wait(lambda: hands.session.state.status.kind == "idle" and bool(hands.session.state.device), "the model")
    views, areas = [], []
    for number in range(len(NAMES)):
        if number == 2:
            hands.press("transpose")  # rolled twice, z would go across
        hands.point_at(NUCLEUS)
        views.append(hands.view())
        label = hands.session.state.next_id
        hands.key("accept")
        hands.wait(lambda label=label: hands.session.state.next_id != label, "the accepted object")
        written = np.argwhere(hands.labels == label)
        areas.append(np.ptp(written, axis=0) * hands.image.scale)
        hands.key("undo")  # the planes cross, and only empty pixels are filled
        hands.key("clear")
        hands.wait(lambda: not hands.session.state.candidates, "the empty plane")
        hands.press("roll")
    extents = np.max(areas, axis=0)
    if not all(0.5 < extent[axis] / extents[axis] for extent in areas for axis in range(3) if extent[axis]):
        raise DemoError(f"the three masks are not of one nucleus: their extents (z, y, x) are {areas}")
    return views


def fill_panel(view: Image.Image) -> Image.Image:
    """Scale and crop a view so that it fills its panel."""
    ratio = max(PANEL[0] / view.width, PANEL[1] / view.height)
    view = view.resize((round(view.width * ratio), round(view.height * ratio)), Image.Resampling.LANCZOS)
    x, y = (view.width - PANEL[0]) // 2, (view.height - PANEL[1]) // 2
    return view.crop((x, y, x + PANEL[0], y + PANEL[1]))


def compose(views: list[Image.Image], names: tuple[str, ...], ground: str = "white", ink: str = "black") -> Image.Image:
    """Put views side by side, each with its name above it."""
    gap, head = 8, 30
    width = sum(view.width for view in views) + (len(views) - 1) * gap
    picture = Image.new("RGB", (width, max(view.height for view in views) + head), ground)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(18)
    left = 0
    for view, name in zip(views, names, strict=True):
        picture.paste(view, (left, head))
        draw.text((left + 4, 4), name, fill=ink, font=font)
        left += view.width + gap
    return picture


def open_window(folder: Path, sample: str = SAMPLE) -> tuple[napari.Viewer, SamDock]:
    """Open a sample in a viewer with the dock; everything that is kept goes to `folder`."""
    os.environ |= {"NAPARI_CONFIG": str(folder / "settings.yaml"), "NAPARI_SAM_HOME": str(folder)}
    viewer = napari.Viewer(title="napari-sam-live")
    viewer.window.resize(*WINDOW)
    viewer.open_sample(PLUGIN, sample)
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    QTest.qWait(200)
    viewer.reset_view()
    return viewer, dock


def main() -> int:
    """Make the picture."""
    parser = argparse.ArgumentParser(description="Segment one nucleus in three orthogonal views.")
    parser.add_argument("--docs", action="store_true", help="also renew docs/images/orthogonal.png")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo", help="where the pictures go")
    options = parser.parse_args()
    folder = empty(options.folder)
    viewer, dock = open_window(folder)
    try:
        hands = Hands(viewer, dock, folder)
        views = drive(hands)
        hands.shoot("window")
    except DemoError as error:
        print(f"orthogonal views: {error}", file=sys.stderr)
        return 1
    finally:
        viewer.close()
    compose([fill_panel(view) for view in views], NAMES).save(saved := folder / "orthogonal.png")
    if options.docs:
        save_picture(saved, saved := ROOT / "docs" / "images" / "orthogonal.png")
    print(f"orthogonal views: one nucleus on three planes. Saved {saved}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
