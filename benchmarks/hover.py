"""What the preview under the cursor costs the cursor: time on the GUI thread for each move of the mouse.

The mouse goes over the fluorescence sample in a window, with the preview off and then on; the bundled model answers.
The callback of the move is timed by itself, by the clock and by the processor time of the GUI thread, which does not
count what other processes take; so is showing an answer, which comes after the move.

    scripts/on-screen.sh .venv/bin/python benchmarks/hover.py [--moves 200]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from functools import wraps
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from qtpy.QtCore import QPoint
from qtpy.QtTest import QTest

from napari_sam import samples
from napari_sam.session.candidates.hover import HoverPreview
from napari_sam.widgets import SamDock

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 180.0  # seconds for loading the model on a busy machine
MOST_MS = 1.0
"""Median processor time that the callback of a move may take."""


class Stopwatch:
    """Times the calls of a method.

    Attributes
    ----------
    spent : list of (float, float)
        Seconds of each call: by the clock, and of the processor.
    """

    def __init__(self) -> None:
        self.spent: list[tuple[float, float]] = []

    def around(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method, timed."""

        @wraps(method)
        def timed(*given: Any) -> Any:
            start = time.perf_counter(), time.thread_time()
            try:
                return method(*given)
            finally:
                self.spent.append((time.perf_counter() - start[0], time.thread_time() - start[1]))

        return timed

    def row(self, name: str) -> str:
        """Say median and 95th percentile in milliseconds."""
        if not self.spent:
            return f"{name:<44}{'no calls':>12}"
        clock, work = 1000 * np.array(self.spent).T
        return f"{name:<44}{np.median(clock):>12.3f}{np.median(work):>12.3f}{np.percentile(work, 95):>12.3f}"


def moves(viewer: napari.Viewer, count: int) -> tuple[Stopwatch, float]:
    """Move the mouse over the image; return the time of each move, and the seconds of all."""
    canvas = viewer.window._qt_viewer.canvas.native  # noqa: SLF001 - events have no public way to the canvas
    places = np.random.default_rng(0).uniform(0.3, 0.7, (count, 2)) * (canvas.width(), canvas.height())
    watch, start = Stopwatch(), time.perf_counter()
    move = watch.around(QTest.mouseMove)
    for x, y in places:
        move(canvas, QPoint(round(x), round(y)))
        QTest.qWait(5)
    return watch, time.perf_counter() - start


def main() -> int:
    """Measure, print a table, and tell by the exit status whether the callback is quick enough."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--moves", type=int, default=200)
    count = parser.parse_args().moves
    callback, showing = Stopwatch(), Stopwatch()
    HoverPreview._on_viewer_mouse_move = callback.around(HoverPreview._on_viewer_mouse_move)  # type: ignore[method-assign]  # noqa: SLF001 - what is measured
    HoverPreview._show = showing.around(HoverPreview._show)  # type: ignore[method-assign]  # noqa: SLF001
    viewer = napari.Viewer()
    [(pixels, options, _kind)] = samples.fluorescence()
    viewer.add_image(pixels, **options)
    dock = SamDock(viewer)
    viewer.window.add_dock_widget(dock, name="SAM live", area="right")
    viewer.reset_view()
    deadline = time.monotonic() + PATIENCE
    while not (dock.session.state.status.kind == "idle" and dock.session.state.tool == "positive"):
        if time.monotonic() > deadline:
            raise SystemExit(f"waited in vain; the dock says: {dock.session.state.status.text}")
        QTest.qWait(20)
    off, _ = moves(viewer, count)
    dock.session.hover = True
    on, seconds = moves(viewer, count)
    print(f"{'milliseconds':<44}{'clock':>12}{'processor':>12}{'95 of 100':>12}")
    rows = {
        "a move, preview off": off,
        "a move, preview on": on,
        "  its callback": callback,
        "an answer is shown": showing,
    }
    for name, watch in rows.items():
        print(watch.row(name))
    print(f"{len(showing.spent)} masks in {seconds:.1f} s")
    viewer.close()
    return 0 if 1000 * np.median([work for _, work in callback.spent]) < MOST_MS else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_SAM_HOME"] = home
        raise SystemExit(main())
