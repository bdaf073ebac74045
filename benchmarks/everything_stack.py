"""What the objects of a stack take while a person chooses among them, beside those of a plane; no model is asked.

Memory; CPU time of the owner's thread for a move of a slider; and the longest time that accepting keeps that thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
from everything_sliders import PictureEngine, blobs
from napari.components import ViewerModel

from napari_sam.automatic.descriptors import Descriptors
from napari_sam.session import Session
from napari_sam.session.everything import search

if TYPE_CHECKING:
    from collections.abc import Callable

_FEATURES = 70
"""Columns of descriptors of the bundled model."""


def describe(_predictor: object, _embedding: object, _pixels: object, masks: list[object]) -> Descriptors:
    """Describe objects by numbers of as many columns as the bundled model has."""
    values = np.random.default_rng(0).normal(size=(len(masks), _FEATURES))
    return Descriptors(values, np.full(_FEATURES, np.nan), np.zeros(_FEATURES), np.ones(_FEATURES))


def moves(session: Session, count: int) -> float:
    """Return the median CPU time of a move of a slider, ms."""
    begun, times = session.state.everything.chosen, []
    for number in range(count):
        before = time.thread_time()
        session.everything.choose(replace(begun, score=0.6 + 0.3 * number / count))
        times.append(1000 * (time.thread_time() - before))
    session.everything.choose(begun)
    return statistics.median(times)


def accept(session: Session) -> tuple[float, float]:
    """Accept what is wanted; return the longest turn of the owner's thread, CPU ms, and the whole time, s."""
    begun, longest = time.perf_counter(), 0.0

    def timed(work: Callable[[], None]) -> None:
        nonlocal longest
        before = time.thread_time()
        work()
        longest = max(longest, 1000 * (time.thread_time() - before))

    timed(session.everything.accept)
    while session.state.everything.found is not None:
        timed(session._worker.deliver)  # noqa: SLF001  # as an event loop does
        time.sleep(0.001)
    return longest, time.perf_counter() - begun


def main() -> None:
    """Find, choose and accept on a plane, then on a stack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--planes", type=int, default=200)
    parser.add_argument("--objects", type=int, default=100, help="on each plane")
    parser.add_argument("--side", type=int, default=1024, help="of planes, pixels; 1280 at most")
    options = parser.parse_args()
    Descriptors.of = describe
    search.find_proposals = lambda *_args, **_options: blobs(options.side, options.objects)
    viewer = ViewerModel()
    shape = (options.planes, options.side, options.side)
    viewer.add_image(np.broadcast_to(np.uint8(0), shape), contrast_limits=(0, 255))
    session = Session(viewer, engine_factory=lambda *_: PictureEngine())
    session.prefetch = False
    session.wait(60)
    rows = []
    for where in ("plane", "stack"):
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        session.everything.find(where)
        session.wait(600)
        held = (tracemalloc.get_traced_memory()[0] - before) / 1e6
        tracemalloc.stop()
        move = moves(session, 20)
        rows.append(SimpleNamespace(where=where, held=held, move=move, accepted=accept(session)))
        session.undo()
        session.wait(60)
    plane, stack = rows
    for row in rows:
        longest, whole = row.accepted
        print(
            f"{row.where}: {row.held:.1f} MB, a move of a slider {row.move:.1f} ms, accepting {whole:.1f} s, "
            f"{longest:.0f} ms of the owner's thread at most in one turn"
        )
    print(
        f"stack / plane: memory {stack.held / plane.held:.1f}, slider {stack.move / plane.move:.2f}, longest turn "
        f"{stack.accepted[0] / plane.accepted[0]:.2f}"
    )
    session.close()


if __name__ == "__main__":
    main()
