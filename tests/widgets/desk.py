"""What a test of the dock works with: the window with its mouse, and an engine that knows only discs."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDockWidget
from scipy.ndimage import binary_dilation, binary_erosion, label

from fake_engine import as_clicks
from napari_sam.progress import no_progress
from napari_sam.widgets import SamDock

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari import Viewer
    from napari.layers import Layer

    from napari_sam.planes.plane import Plane
    from napari_sam.prompts import PromptSet

SHAPE = (120, 160)
LEFT, RIGHT = (60, 45), (60, 115)
"""Centres of the two discs, data pixels, (y, x)."""
RADIUS = 20
LEFT_BUTTON = Qt.MouseButton.LeftButton


def discs() -> np.ndarray:
    """Two bright discs on black, uint8."""
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    inside = np.zeros(SHAPE, bool)
    for centre in (LEFT, RIGHT):
        inside |= (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= RADIUS**2
    return np.where(inside, 200, 0).astype(np.uint8)


class DiscEngine:
    """Answers with the bright regions that a positive point hits or a box holds, without those that a negative hits.

    While `free` is not set the encoder does not end; `failure` makes it fail; `loaded` and `embedded` count.
    """

    device_text = "CPU (2 threads)"
    notice = ""
    predictor = SimpleNamespace(prompt_kinds=frozenset({"point", "box"}), has_dense_head=True, dense_views=4)

    def __init__(self) -> None:
        self.predictor = SimpleNamespace(**vars(self.predictor), predict_many=self._predict_many)
        self.batches: list[list[PromptSet]] = []
        self.free = threading.Event()
        self.free.set()
        self.failure: Exception | None = None
        self.loaded: list[tuple[str, str]] = []
        self.embedded = 0
        self.prepared = 0
        self.encoding = threading.Event()

    def load(self, model: str, device: str, progress: Callable[[float], None] = no_progress) -> DiscEngine:
        self.loaded.append((model, device))
        progress(1.0)
        return self

    def is_cached(self, plane: Plane) -> bool:
        return self.embedded > 0

    def embed(self, plane: Plane, progress: Callable[[float], None] = no_progress) -> object:
        if self.failure is not None:
            raise self.failure
        self.encoding.set()
        if not self.embedded:
            self._until_free(progress)
        self.embedded += 1
        return plane

    def prepare(self, plane: Plane, progress: Callable[[float], None] = no_progress) -> None:
        self.prepared += 1
        self._until_free(progress)

    def _predict_many(self, plane, prompt_sets, *, multimask=False, most=None):
        sets = list(prompt_sets)
        self.batches.append(sets)
        for prompts in sets:
            answer = self.predict(plane, prompts, multimask=multimask)
            logits = np.where(answer.masks, 8.0, -8.0)
            yield SimpleNamespace(masks=answer.masks[:most], scores=answer.scores[:most], logits=logits[:most])

    def predict(
        self,
        plane: Plane,
        prompts: PromptSet,
        *,
        multimask: bool | None = None,
        progress: Callable[[float], None] = no_progress,
    ) -> SimpleNamespace:
        self.embed(plane, progress)
        prompts, excluded = as_clicks(prompts, plane.shape)
        bright = plane.rendered[..., 0] > 100
        regions, count = label(bright)
        wanted, unwanted = set(), set()
        for point in prompts.points:
            region = regions[tuple(np.rint(point.position).astype(int))]
            (wanted if point.positive else unwanted).add(int(region))
        if prompts.box is not None:
            (y0, x0), (y1, x1) = np.rint(prompts.box.start).astype(int), np.rint(prompts.box.stop).astype(int)
            held = regions[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1]
            wanted |= {i for i in range(1, count + 1) if (held == i).sum() == (regions == i).sum()}
        mask = np.isin(regions, sorted(wanted - unwanted - {0})) & ~excluded
        masks = [mask]
        if prompts.ambiguous if multimask is None else multimask:
            masks = [mask, binary_dilation(mask, iterations=4), binary_erosion(mask, iterations=4)]
        scores = np.array([0.93, 0.81, 0.62], np.float32)[: len(masks)]
        return SimpleNamespace(masks=np.stack(masks), scores=scores, logits=np.zeros((len(masks), 8, 8), np.float32))

    def _until_free(self, progress: Callable[[float], None]) -> None:
        while not self.free.wait(0.01):
            progress(0.5)
        progress(1.0)


def end_sessions(qtbot) -> None:
    """End the session of every dock, and wait for its threads, which may still hold what a window shows.

    Before napari's own fixture closes the window, which then asks at once whether anything holds it. Asks Qt for the
    docks: a list of them would itself keep alive one that a test has closed.
    """
    for widget in QApplication.allWidgets():
        if isinstance(widget, SamDock):
            widget.session.close()
    qtbot.waitUntil(
        lambda: not any(thread.name.startswith("napari-sam") for thread in threading.enumerate()), timeout=60_000
    )
    QApplication.processEvents()  # what the last of them posted holds the session until it is dropped


class Desk:
    """A window with the dock, and the hands of the person before it."""

    def __init__(self, viewer: Viewer, qtbot, engine: DiscEngine, *, dock: bool = True) -> None:
        self.viewer = viewer
        self.qtbot = qtbot
        self.engine = engine
        if dock:
            self.open_dock()
        QApplication.processEvents()

    @classmethod
    def at(cls, viewer: Viewer, qtbot, dock: SamDock, frame: QDockWidget) -> Desk:
        """Sit down at a dock that is open."""
        desk = cls(viewer, qtbot, DiscEngine(), dock=False)
        desk.dock, desk.frame = dock, frame
        return desk

    def open_dock(self) -> None:
        """Put the dock into the window."""
        self.dock = SamDock(self.viewer, engine_factory=self.engine.load)
        self.frame: QDockWidget = self.viewer.window.add_dock_widget(self.dock, name="SAM live", area="right")

    @property
    def canvas(self):
        return self.viewer.window._qt_viewer.canvas

    @property
    def session(self):
        return self.dock.session

    # -- looking -----------------------------------------------------------------------------------

    def settle(self, timeout: int = 60_000) -> None:
        """Wait until nothing is under way, and the window has drawn it."""
        self.qtbot.waitUntil(lambda: self.session.state.status.kind != "working", timeout=timeout)
        self.session.wait(timeout / 1000)
        QApplication.processEvents()

    def pixel(self, position: tuple[float, float], layer: Layer | None = None) -> QPoint:
        """Where on the canvas a data pixel of a layer is seen, by default of the image."""
        world = (layer or self.session.image).data_to_world(position)
        seen = [world[i] for i in self.viewer.dims.displayed][::-1]
        x, y, _, w = self.canvas.view.scene.transform.map(seen)
        return QPoint(round(x / w), round(y / w))

    def preview(self) -> np.ndarray:
        """Pixels that the preview marks, (H, W) bool."""
        return np.asarray(self.session.preview.data) != 0

    # -- acting ------------------------------------------------------------------------------------

    def click(self, position: tuple[float, float], *, settle: bool = True) -> None:
        """Click the image at a data pixel, and wait for the answer unless told not to."""
        self.drag(position, position, settle=settle)

    def drag(self, start: tuple[float, float], stop: tuple[float, float], *, settle: bool = True) -> None:
        """Press at one data pixel of the image, release at another."""
        native = self.canvas.native
        begin, end = self.pixel(start), self.pixel(stop)
        QTest.mouseMove(native, begin)
        QTest.mousePress(native, LEFT_BUTTON, pos=begin)
        if begin != end:
            for step in (0.25, 0.5, 0.75, 1.0):
                QTest.mouseMove(native, begin + (end - begin) * step)
                QApplication.processEvents()
        QTest.mouseRelease(native, LEFT_BUTTON, pos=end)
        QApplication.processEvents()
        if settle:
            self.settle()

    def stroke(self, positions: list[tuple[float, float]], *, settle: bool = True) -> None:
        """Press at the first data pixel of the image, go along the others, and release at the last."""
        native = self.canvas.native
        first, *others = [self.pixel(position) for position in positions]
        QTest.mouseMove(native, first)
        QTest.mousePress(native, LEFT_BUTTON, pos=first)
        at = first
        for goal in others:
            for step in (0.25, 0.5, 0.75, 1.0):
                QTest.mouseMove(native, at + (goal - at) * step)
                QApplication.processEvents()
            at = goal
        QTest.mouseRelease(native, LEFT_BUTTON, pos=at)
        QApplication.processEvents()
        if settle:
            self.settle()

    def press_key(
        self,
        key: Qt.Key,
        modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
        *,
        settle: bool = True,
    ) -> None:
        """Press a key over the canvas."""
        QTest.keyClick(self.canvas.native, key, modifier)
        QApplication.processEvents()
        if settle:
            self.settle()

    def press_button(self, widget) -> None:
        """Click a widget of the dock in its middle."""
        QTest.mouseClick(widget, LEFT_BUTTON, pos=widget.rect().center())
        QApplication.processEvents()
        self.settle()
