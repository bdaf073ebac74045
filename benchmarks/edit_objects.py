"""Time that the window stands still while a large object is accepted, deleted and undone: CPU time of its thread.

The object is a disc of four million pixels in labels in memory. What the disk and the inference thread do meanwhile is
not counted, nor is what the graphics card draws afterwards.
"""

from __future__ import annotations

import os
import tempfile
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
from napari.components import ViewerModel

from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 2600
RADIUS = 1130  # 4.0 million pixels
LIMIT_MS = 60
ROUNDS = 5


class DiscEngine:
    """Answers with one large disc."""

    device_text, notice = "CPU", ""
    predictor = SimpleNamespace(prompt_kinds=frozenset({"point", "box"}), canvas_side=4096)

    def embed(self, plane, progress=no_progress):  # noqa: D102
        return plane

    prepare = embed

    def predict(self, plane, prompts, *, multimask=None, progress=no_progress):  # noqa: D102
        y, x = np.ogrid[: plane.shape[0], : plane.shape[1]]
        mask = (y - SIDE // 2) ** 2 + (x - SIDE // 2) ** 2 <= RADIUS**2
        return SimpleNamespace(masks=mask[None], scores=np.ones(1, np.float32), logits=np.zeros((1, 8, 8), np.float32))


def spent_ms(do: Callable[[], object]) -> float:
    """Return the CPU time of this thread that a call takes."""
    start = time.thread_time()
    do()
    return 1e3 * (time.thread_time() - start)


def measure() -> dict[str, float]:
    """Return the least time of some rounds, of everything that is done with the object, ms."""
    from napari_sam.session import Session

    viewer = ViewerModel()
    viewer.add_image(np.zeros((SIDE, SIDE), np.uint8), contrast_limits=(0, 255))
    session = Session(viewer, engine_factory=lambda *_: DiscEngine())
    session.prefetch = False
    session.new_target()
    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        label = session.state.next_id
        for name, do in (
            ("show", lambda: (session.points.add((SIDE / 2, SIDE / 2)), session.wait())),
            ("accept", session.accept),
            ("undo of accept", session.undo),
            ("redo of accept", session.redo),
            ("delete", lambda label=label: (session.objects.delete(label), session.wait())),
            ("undo of delete", session.undo),
            ("redo of delete", session.redo),
        ):
            times.setdefault(name, []).append(spent_ms(do))
            session.wait()
        assert not session.target.data.any()
    session.close()
    return {name: min(took) for name, took in times.items()}


def main() -> None:
    """Measure with and without napari's record of a box and a mask, and print a table."""
    os.environ.setdefault("NAPARI_SAM_HOME", tempfile.mkdtemp())
    from napari_sam.session.labels import undo_history

    boxes = measure()
    undo_history.record = lambda *_: False  # as with a napari that has no such record
    listed = measure()
    print(f"{'ms':16} {'as a box':>10} {'as coordinates':>16}")
    for name, took in boxes.items():
        print(f"{name:16} {took:10.1f} {listed[name]:16.1f}  {'' if took < LIMIT_MS else f'more than {LIMIT_MS} ms'}")


if __name__ == "__main__":
    main()
