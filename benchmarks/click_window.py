"""What a click costs in a window: from the mouse button to the drawn mask, and how long the window stands still.

Opens napari with the dock on a picture of nuclei, enlarged to the side that is asked for, and clicks nuclei one after
the other with mouse events, as a person does: first mask of a fresh window, then median and 95th percentile of the
others, each until the canvas has drawn the preview. A timer of the window's own thread that should tick every few
milliseconds tells the longest time that it did not. Processor times of that thread stand beside those of the clock:
they do not count what other programs take.

    scripts/on-screen.sh .venv/bin/python benchmarks/click_window.py [--side 1024] [--clicks 40]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from skimage import io, measure
from skimage.transform import resize

from napari_sam import samples

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.widgets import SamDock

PATIENCE = 180.0  # seconds for the slowest step on a busy machine
TICK = 2  # milliseconds
SMALLEST = 200  # pixels of the sample


class Heartbeat:
    """Times between the ticks of a timer on the window's thread, seconds by the clock and of the processor."""

    def __init__(self) -> None:
        self.gaps: list[tuple[float, float]] = []
        self._last = time.perf_counter(), time.thread_time()
        self._timer = QTimer()
        self._timer.setInterval(TICK)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self) -> None:
        now = time.perf_counter(), time.thread_time()
        self.gaps.append((now[0] - self._last[0], now[1] - self._last[1]))
        self._last = now

    def longest(self) -> tuple[float, float]:
        """Give the longest gap since it was last asked for, and the most processor time in one."""
        gaps, self.gaps = self.gaps or [(0.0, 0.0)], []
        clock, work = zip(*gaps, strict=True)
        return max(clock), max(work)


class Window:
    """Napari with the dock beside a picture.

    Parameters
    ----------
    side : int
        Of the picture, data pixels.
    """

    def __init__(self, side: int) -> None:
        self.viewer = napari.Viewer()
        self.viewer.window.resize(1320, 880)
        [(pixels, options, _kind)] = samples.fluorescence()
        scale = side / max(pixels.shape[:2])
        shape = [round(length * scale) for length in pixels.shape[:2]]
        picture = (255 * resize(pixels, (*shape, *pixels.shape[2:]))).astype(np.uint8)
        self.image = self.viewer.add_image(picture, **options)
        self.middles = [(scale * y, scale * x) for y, x in nuclei()]
        _, dock = self.viewer.window.add_plugin_dock_widget("napari-sam-live", "Segment")
        self.dock: SamDock = dock
        self.canvas = self.viewer.window._qt_viewer.canvas  # noqa: SLF001 - no public way to the canvas
        self.shown: tuple[object, ...] = ()
        self.canvas.events.draw.connect(self._on_draw)

    def _on_draw(self, _event: object) -> None:
        self.shown = self.dock.session.state.candidates

    def wait(self, until: Callable[[], bool]) -> None:
        """Let the window live until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not until():
            status = self.dock.session.state.status
            if status.kind == "failed" or time.monotonic() > deadline:
                raise SystemExit(f"click_window: waited in vain; the dock says: {status.text}")
            QTest.qWait(1)

    def click(self, y: float, x: float) -> float:
        """Click a pixel of the image, and give the seconds until its mask is drawn."""
        session = self.dock.session
        node = self.canvas.layer_to_visual[self.image].node
        column, row = node.get_transform("visual", "canvas").map((x + 0.5, y + 0.5))[:2]
        place = QPoint(round(column), round(row))
        self.shown = before = session.state.candidates
        start = time.perf_counter()
        QTest.mouseClick(self.canvas.native, Qt.MouseButton.LeftButton, pos=place)
        self.wait(lambda: bool(self.shown) and self.shown is not before)
        return time.perf_counter() - start

    def clear(self) -> None:
        """Take the prompts away."""
        self.dock.session.clear()
        self.wait(lambda: not self.dock.session.state.candidates)


def nuclei() -> list[tuple[float, float]]:
    """Give the middles of nuclei that annotators outlined, (y, x), sample pixels, in an order that jumps about."""
    labels = io.imread(Path(samples.__file__).with_name("fluorescence_labels.png"))
    middles = [region.centroid for region in measure.regionprops(labels) if region.area > SMALLEST]
    return [middles[index] for index in np.random.default_rng(0).permutation(len(middles))]


def row(name: str, seconds: list[float]) -> str:
    """Say median, 95th percentile and the worst, in milliseconds."""
    times = 1000 * np.array(seconds)
    return f"{name:<52}{np.median(times):>9.0f}{np.percentile(times, 95):>9.0f}{times.max():>9.0f}"


def main() -> None:
    """Click, and print what it cost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--side", type=int, default=1024, help="longer side of the picture, pixels")
    parser.add_argument("--clicks", type=int, default=40)
    given = parser.parse_args()
    # Nothing is read from, or left in, a person's folders.
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_SAM_HOME"] = home
        start = time.perf_counter()
        window = Window(given.side)
        opened = time.perf_counter() - start
        heart = Heartbeat()
        QTest.qWait(200)
        heart.longest()
        start = time.perf_counter()
        window.click(*window.middles[0])
        first = time.perf_counter() - start
        print(f"window and dock open after {opened:.1f} s, first mask {first:.2f} s after the first click")
        clock, work = heart.longest()
        print(
            f"until then the window stood still for {1000 * clock:.0f} ms at most, {1000 * work:.0f} ms of its thread"
        )
        clicks, still, busy = [], [], []
        for middle in (window.middles * given.clicks)[1 : given.clicks + 1]:
            window.clear()
            QTest.qWait(50)
            heart.longest()
            clicks.append(window.click(*middle))
            clock, work = heart.longest()
            still.append(clock)
            busy.append(work)
        print(f"{given.side} x {given.side} pixels, milliseconds{'median':>34}{'95 %':>9}{'worst':>9}")
        print(row("click to drawn mask", clicks))
        print(row("longest time without an event, each click", still))
        print(row("  processor time of the window's thread in it", busy))
        start = time.perf_counter()
        heart.longest()
        window.dock.session.accept()
        window.wait(lambda: window.dock.session.state.waiting == 0 and window.dock.session.target is not None)
        QTest.qWait(20)
        clock, work = heart.longest()
        print(f"first accept: still for {1000 * clock:.0f} ms, {1000 * work:.0f} ms of the window's thread")
        window.viewer.close()


if __name__ == "__main__":
    main()
