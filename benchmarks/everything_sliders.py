"""How long a move of a slider keeps the window, with 500 objects found, beside drawing the canvas alone.

CPU time of the window's thread, which other work on the machine hardly changes.

Opens a window; run it on a screen, or by ``scripts/on-screen.sh python benchmarks/everything_sliders.py``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_sam.automatic import Proposal
from napari_sam.masks import BoxedMask
from napari_sam.session.everything import search
from napari_sam.widgets import SamDock

if TYPE_CHECKING:
    from napari_sam.planes.plane import Plane


class PictureEngine:
    """An engine that takes a picture for its own embedding."""

    device_text, notice = "CPU", ""
    predictor = SimpleNamespace(prompt_kinds=frozenset({"point", "box", "mask"}), has_dense_head=True, dense_views=4)

    def embed(self, plane: Plane, progress: object = None) -> Plane:
        """Return the picture."""
        return plane

    def prepare(self, plane: Plane, progress: object = None) -> None:
        """Do nothing."""


def blobs(side: int, count: int, seed: int = 0) -> list[Proposal]:
    """Make ellipses at random places, which overlap here and there."""
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        centre, axes = chance.uniform(0, side, 2), chance.uniform(8, 24, 2) * side / 1024
        low = np.maximum(np.floor(centre - axes), 0).astype(int)
        high = np.minimum(np.ceil(centre + axes) + 1, side).astype(int)
        y, x = np.mgrid[low[0] : high[0], low[1] : high[1]]
        mask = ((y - centre[0]) / axes[0]) ** 2 + ((x - centre[1]) / axes[1]) ** 2 <= 1
        boxed = BoxedMask((int(low[0]), int(low[1])), mask, (side, side))
        found.append(Proposal(boxed, float(chance.uniform(0.6, 1)), float(chance.uniform(0.8, 1))))
    return found


def main() -> None:
    """Move a slider again and again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=500)
    parser.add_argument("--side", type=int, default=1024, help="of the plane, pixels; 1280 at most")
    parser.add_argument("--moves", type=int, default=60)
    options = parser.parse_args()
    proposals = blobs(options.side, options.objects)
    search.find_proposals = lambda *_args, **_options: proposals
    viewer = napari.Viewer()
    viewer.add_image(np.random.default_rng(1).integers(0, 255, (options.side, options.side), np.uint8))
    dock = SamDock(viewer, engine_factory=lambda *_: PictureEngine())
    viewer.window.add_dock_widget(dock, area="right")
    dock.session.wait(60)
    dock.everything.expand(animate=False)
    dock.session.everything.find()
    dock.session.wait(60)
    QApplication.processEvents()
    begun = dock.session.state.everything.chosen
    times: dict[str, list[float]] = {
        "the session, for a move": [],
        "with what is drawn after it": [],
        "drawing alone": [],
    }
    for score in np.linspace(0.6, 1.0, options.moves):
        start = time.thread_time()
        dock.session.everything.choose(replace(begun, score=float(score)))
        chosen = time.thread_time()
        QApplication.processEvents()
        drawn = time.thread_time()
        viewer.layers["SAM objects"].refresh()
        QApplication.processEvents()
        times["the session, for a move"].append(chosen - start)
        times["with what is drawn after it"].append(drawn - start)
        times["drawing alone"].append(time.thread_time() - drawn)
    print(f"{options.objects} objects on {options.side} x {options.side} pixels, {options.moves} moves of a slider:")
    for name, seconds in times.items():
        print(f"{name}: median {1e3 * statistics.median(seconds):.1f} ms, most {1e3 * max(seconds):.1f} ms")
    dock.session.close()
    viewer.close()


if __name__ == "__main__":
    main()
