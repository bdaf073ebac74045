"""A burst of clicks and Enters that is faster than the model, in the window, compared with the same clicks one by one.

Nuclei of the fluorescence sample are clicked at so many pairs a second, while the bundled model is held back to so many
answers a second. Then each is prompted by itself: point, wait for the answer, Enter. Every object of the burst must be
the same as its slow twin, pixel for pixel.

    scripts/on-screen.sh .venv/bin/python benchmarks/typing_ahead.py [--pairs 30] [--rate 5] [--answers 1] [--shots DIR]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from scipy.ndimage import center_of_mass, find_objects, label

from napari_sam import samples
from napari_sam.inference.engine import Engine
from napari_sam.widgets import SamDock

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.progress import Progress

PATIENCE = 180.0  # seconds for the slowest step: loading the model on a busy machine


class HeldBack:
    """An engine whose answers take at least `seconds` each, after it was told so."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def predict(self, *args: Any, progress: Progress, **options: Any) -> Any:
        """Answer as the engine does, later."""
        start = time.monotonic()
        answer = self._engine.predict(*args, progress=progress, **options)
        while (spent := time.monotonic() - start) < self.seconds:
            progress(spent / self.seconds)
            time.sleep(0.02)
        return answer


class Bench:
    """The window with the sample, the dock, and hands."""

    def __init__(self, shots: Path | None) -> None:
        self.viewer = napari.Viewer()
        self.viewer.window._qt_window.resize(1366, 768)  # noqa: SLF001 - the size of the window has no public name
        [(pixels, attributes, _)] = samples.fluorescence()
        self.image = self.viewer.add_image(pixels, **attributes)
        self.canvas = self.viewer.window._qt_viewer.canvas  # noqa: SLF001 - events have no public way to the canvas
        self.shots = shots
        self.dock = self.open_dock()
        self.viewer.reset_view()

    def open_dock(self) -> SamDock:
        """Open the dock, and wait until it is ready."""
        self.dock = SamDock(self.viewer, engine_factory=self._load)
        self.frame = self.viewer.window.add_dock_widget(self.dock, name="SAM live", area="right")
        self.wait(lambda: self.state.status.kind == "idle" and self.state.tool == "positive")
        return self.dock

    def _load(self, *args: Any) -> HeldBack:
        self.engine = HeldBack(Engine.load(*args))
        return self.engine

    @property
    def state(self) -> Any:
        """What the panels show."""
        return self.dock.session.state

    @property
    def labels(self) -> np.ndarray:
        """The target's pixels."""
        return np.asarray(self.dock.session.target.data)

    def wait(self, until: Callable[[], bool]) -> None:
        """Let the window live until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not until():
            if time.monotonic() > deadline:
                raise SystemExit(f"waited {PATIENCE:.0f} s in vain; the dock says: {self.state.status.text}")
            QTest.qWait(20)

    def click(self, place: tuple[float, float]) -> None:
        """Click a pixel of the image."""
        world = self.image.data_to_world(place)
        x, y, _, w = self.canvas.view.scene.transform.map(list(world)[::-1])
        QTest.mouseClick(self.canvas.native, Qt.MouseButton.LeftButton, pos=QPoint(round(x / w), round(y / w)))

    def enter(self) -> None:
        """Press Enter over the canvas."""
        QTest.keyClick(self.canvas.native, Qt.Key.Key_Return)

    def shoot(self, name: str) -> None:
        """Save a picture of the window, if pictures are wanted."""
        if self.shots is not None:
            QTest.qWait(400)
            self.viewer.window.screenshot(str(self.shots / f"{name}.png"), canvas_only=False, flash=False)


def nuclei(image: np.ndarray, count: int) -> list[tuple[float, float]]:
    """Find middles of nuclei that do not touch the rim, largest first, in an order that jumps about."""
    regions, number = label(image > 40)
    sizes = np.bincount(regions.ravel(), minlength=number + 1)
    whole = [
        i
        for i, (rows, columns) in enumerate(find_objects(regions), start=1)
        if rows.start and columns.start and rows.stop < image.shape[0] and columns.stop < image.shape[1]
    ]
    chosen = sorted(whole, key=lambda i: -sizes[i])[:count]
    return [center_of_mass(regions == i) for i in np.random.default_rng(0).permutation(chosen)]


def slowly(bench: Bench, positions: list[np.ndarray]) -> np.ndarray:
    """Point, wait for the answer, Enter; return the labels.

    Points are put exactly where those of the burst are: clicks would lie half a pixel off where the canvas became a
    pixel lower meanwhile, as it does when napari shows its mark of activity.
    """
    for number, position in enumerate(positions, start=1):
        bench.dock.session.points.add(position)
        bench.wait(lambda: bool(bench.state.candidates) and not bench.state.asking)
        bench.enter()
        bench.wait(lambda number=number: bench.state.next_id == number + 1)
    return bench.labels.copy()


def burst(bench: Bench, places: list[tuple[float, float]], every: float) -> tuple[dict[str, float], list[np.ndarray]]:
    """Click and press Enter every so many seconds, whatever the model does; return numbers, and where points were."""
    positions: list[np.ndarray] = []
    handling, most, start = [], 0, time.perf_counter()
    for number, place in enumerate(places):
        QTest.qWait(max(0, round(1000 * (start + number * every - time.perf_counter()))))
        before = time.thread_time()
        bench.click(place)
        positions.append(np.array(bench.dock.session.points.data[-1]))
        bench.enter()
        handling.append(time.thread_time() - before)
        most = max(most, bench.state.waiting)
        if number == len(places) // 2:
            bench.shoot("half-way")
    clicked = time.perf_counter() - start
    bench.shoot("all-clicked")
    busy = []
    while bench.state.waiting:
        QTest.qWait(50)
        busy.append(bench.state.status.kind == "working" or not bench.state.waiting)
    bench.wait(lambda: bench.state.status.kind == "idle")
    bench.shoot("all-written")
    numbers = {
        "pairs a second": len(places) / clicked,
        "GUI thread per pair, median (ms of CPU)": 1000 * float(np.median(handling)),
        "GUI thread per pair, longest (ms of CPU)": 1000 * max(handling),
        "waiting at once, at most": most,
        "looks at which it said that it works (%)": 100 * float(np.mean(busy)),
        "from the first click to the last object (s)": time.perf_counter() - start,
    }
    return numbers, positions


def main() -> int:
    """Compare, print a table, and tell by the exit status whether all objects are equal."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--rate", type=float, default=5.0, help="pairs of click and Enter a second")
    parser.add_argument("--answers", type=float, default=1.0, help="answers a second that the model gives at most")
    parser.add_argument("--shots", type=Path, help="folder for pictures of the window")
    given = parser.parse_args()
    bench = Bench(given.shots)
    places = nuclei(np.asarray(bench.image.data), given.pairs)
    bench.engine.seconds = 1 / given.answers
    numbers, positions = burst(bench, places, 1 / given.rate)
    fast = bench.labels.copy()
    bench.viewer.layers.remove(bench.dock.session.target)
    QTest.qWait(500)  # each of the steps is drawn, as before a person's eyes
    bench.frame.title.close_button.click()
    QTest.qWait(500)
    bench.open_dock()
    slow = slowly(bench, positions)
    equal = sum(np.array_equal(slow == i, fast == i) and bool((fast == i).any()) for i in range(1, len(places) + 1))
    for name, value in numbers.items():
        print(f"{name:<46}{value:8.1f}")
    print(f"{'objects equal to those clicked slowly':<46}{equal:8d} of {len(places)}")
    bench.viewer.close()
    return 0 if equal == len(places) == fast.max() else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_SAM_HOME"] = home
        raise SystemExit(main())
