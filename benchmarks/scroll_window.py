"""How long the window is held up at most while a stack is scrolled through and planes are encoded ahead.

Scrolls with napari alone and with a session, in turns, so that whatever else the machine does falls on both; the best
round of each counts. The bundled model encodes between any two steps, not only when the scrolling rests.

    scripts/on-screen.sh .venv/bin/python benchmarks/scroll_window.py [--planes 50] [--side 256] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time

import napari
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtTest import QTest

from napari_sam.cache.memory import EmbeddingCache
from napari_sam.inference.engine import Engine
from napari_sam.session import Session, events
from napari_sam.session.candidates import prefetch
from napari_sam.widgets.gui_thread import GuiThread, mouse_held

STEP_MS = 40


def scroll(viewer: napari.Viewer, planes: int) -> np.ndarray:
    """Scroll through all planes; return how long the event loop was away at most: by the clock, and by its own work.

    Its own work is the processor time of the GUI thread, which does not count what other processes take.
    """
    beats: list[tuple[float, float]] = []
    heart, wheel = QTimer(), QTimer()
    heart.timeout.connect(lambda: beats.append((time.perf_counter(), time.thread_time())))
    left = iter(range(planes))

    def step() -> None:
        if (plane := next(left, None)) is None:
            wheel.stop()
        else:
            viewer.dims.set_point(0, plane)

    wheel.timeout.connect(step)
    heart.start(2)
    wheel.start(STEP_MS)
    while wheel.isActive():
        QTest.qWait(20)
    QTest.qWait(600)  # planes are encoded ahead once the scrolling rests
    heart.stop()
    return np.max(np.diff(np.array(beats), axis=0), axis=0)


def main() -> None:
    """Scroll in turns, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planes", type=int, default=50)
    parser.add_argument("--side", type=int, default=256, help="pixels")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    events._SCROLL_S = prefetch._IDLE_S = 0.0  # noqa: SLF001 - so that planes are encoded between any two steps
    viewer = napari.Viewer()
    shape = (options.planes, options.side, options.side)
    volume = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    image = viewer.add_image(volume, contrast_limits=(0, 255))
    scroll(viewer, options.planes)  # napari compiles its shaders
    engine, letter_box = Engine.load("bundled", "cpu", cache=EmbeddingCache()), GuiThread()
    alone, together = [], []
    for _ in range(options.rounds):
        alone.append(scroll(viewer, options.planes))
        session = Session(viewer, image=image, post=letter_box.post, engine_factory=lambda *_: engine, held=mouse_held)
        session.wait(600)
        together.append(scroll(viewer, options.planes))
        session.wait(600)
        session.close()
    letter_box.close()
    viewer.close()
    print(f"{'longest time away from events':32}{'by the clock':>14}{'own work':>12}")
    for name, rounds in (("napari alone", alone), ("with a session", together)):
        clock, work = 1000 * np.min(rounds, axis=0)
        print(f"{name:32}{clock:11.0f} ms{work:9.0f} ms")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_SAM_HOME"] = home
        main()
