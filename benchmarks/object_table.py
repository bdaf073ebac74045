"""Time that the window stands still with 100,000 objects: counting, sorting, filtering, and accepting one more.

CPU time of the thread of the window. The features of the layer have a row for each object, as after *Everything*. What
the inference thread does meanwhile, such as counting, is told as seconds of the clock, and is not part of it.
"""

from __future__ import annotations

import os
import tempfile
import time
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from napari.components import ViewerModel

from napari_sam.progress import no_progress
from napari_sam.session.table.coloring import LARGEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sam.session import Session

OBJECTS = 100_000
PITCH = 12  # pixels from object to object
RADIUS = 5
LIMIT_MS = 60
ROUNDS = 5


class DiscEngine:
    """Answers with a small disc at the first point."""

    device_text, notice = "CPU", ""
    predictor = SimpleNamespace(prompt_kinds=frozenset({"point", "box"}), canvas_side=1024)

    def embed(self, plane, progress=no_progress):  # noqa: D102
        return plane

    prepare = embed

    def predict(self, plane, prompts, *, multimask=None, progress=no_progress):  # noqa: D102
        (y, x), mask = prompts.prompts[0].position, np.zeros(plane.shape[:2], bool)
        mask[max(round(y) - RADIUS, 0) : round(y) + RADIUS, max(round(x) - RADIUS, 0) : round(x) + RADIUS] = True
        return SimpleNamespace(masks=mask[None], scores=np.ones(1, np.float32), logits=np.zeros((1, 8, 8), np.float32))


def make_labels() -> NDArray[np.int32]:
    """Draw the objects in rows from top to bottom; below them is room for more."""
    across = int(np.ceil(OBJECTS**0.5))
    down = -(-OBJECTS // across)
    labels = np.zeros(((down + 4) * PITCH, across * PITCH), np.int32)
    y, x = np.mgrid[:PITCH, :PITCH] - PITCH // 2
    disc = y**2 + x**2 <= RADIUS**2
    for number in range(OBJECTS):
        top, left = number // across * PITCH, number % across * PITCH
        labels[top : top + PITCH, left : left + PITCH][disc] = number + 1
    return labels


def spent_ms(do: Callable[[], object]) -> float:
    """Return the CPU time of this thread that a call takes."""
    start = time.thread_time()
    do()
    return 1e3 * (time.thread_time() - start)


def tell(name: str, took: float, limit: float = LIMIT_MS) -> None:
    """Print a time."""
    print(f"{name:44} {took:6.1f} ms  {'' if took < limit else f'more than {limit} ms'}", flush=True)


def accept_some(session: Session, target: Labels, name: str, row: int) -> None:
    """Accept new objects in a row below the others, undo and redo each, and print the median times."""
    height, _width = target.data.shape
    times: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        label = session.state.next_id
        session.points.add((height - row * PITCH, 20 + number * 3 * PITCH))
        session.wait()
        for step, do in (
            ("accept", session.accept),
            ("undo of accept", session.undo),
            ("redo of accept", session.redo),
            ("class of an object", partial(session.table.classify, [number + 1], f"kind {label}")),
            ("checked", partial(session.table.review, "checked", [number + 1])),
        ):
            times.setdefault(step, []).append(spent_ms(lambda do=do: (do(), session.state)))
            session.wait()
        assert (target.data == label).any()
        assert label in set(target.features["index"])
    for step, took in times.items():
        tell(f"{step}, {name}", float(np.median(took)))


def count_and_sort(session: Session) -> None:
    """Open the table, and sort and filter it by everything."""
    begun = time.perf_counter()
    opening = spent_ms(session.table.open)
    while session.table.rows is None:
        session.wait()
    print(f"{'counted after':44} {time.perf_counter() - begun:6.2f} s")
    tell("opening the table", opening)
    for column in ("size", "class", "score", "reviewed", "prompts", "id"):
        tell(
            f"sorting by {column}",
            spent_ms(lambda column=column: (session.table.sort(column, descending=True), session.state)),
        )
    for text in ("mitosis", "area > 70", ""):
        tell(f'filtering by "{text}"', spent_ms(lambda text=text: (session.table.filter(text), session.state)))


def color(session: Session) -> None:
    """Show classes by colours, and change one; ids beyond those that can be told have none."""
    target = session.target
    target.data = np.where(target.data > LARGEST, 0, target.data)
    session.wait()

    def timed(name: str, do: Callable[[], object]) -> None:
        took = spent_ms(do)
        begun = time.thread_time()
        session.wait()
        tell(name, took + 1e3 * (time.thread_time() - begun))

    timed("colours by class", session.table.color_by_class)
    timed("class of an object, coloured by class", lambda: session.table.classify([7], "seven"))
    timed("the layer's own colours", lambda: session.table.color_by_class(False))


def main() -> None:
    """Measure, and print."""
    os.environ.setdefault("NAPARI_SAM_HOME", tempfile.mkdtemp())
    from napari_sam.session import Session

    labels = make_labels()
    names = np.array(["mitosis", "interphase", "", "debris"], dtype=object)
    features = pd.DataFrame(
        {
            "index": np.arange(1, OBJECTS + 1),
            "class": names[np.arange(OBJECTS) % len(names)],
            "reviewed": np.array(["", "checked"], dtype=object)[np.arange(OBJECTS) % 2],
            "score": np.linspace(0, 1, OBJECTS),
            "prompts": np.full(OBJECTS, "1 point", dtype=object),
        }
    )
    viewer = ViewerModel()
    viewer.add_image(np.zeros(labels.shape, np.uint8), contrast_limits=(0, 255))
    target = viewer.add_labels(labels, features=features)
    session = Session(viewer, engine_factory=lambda *_: DiscEngine())
    session.prefetch = False
    session.target = target
    session.wait()
    accept_some(session, target, "table closed", row=1)
    count_and_sort(session)
    accept_some(session, target, "table open", row=3)
    color(session)
    session.close()


if __name__ == "__main__":
    main()
