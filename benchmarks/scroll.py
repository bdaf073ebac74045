"""Memory of a session while lazy data are scrolled through, with free memory handed back to the system and without.

Each case is measured in a process of its own. Every plane is read and encoded with the bundled model; the cache of
embeddings is small, so that what grows is what the C library keeps. Linux only.

    python benchmarks/scroll.py [--planes 64] [--side 512] [--cache-mb 100]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import dask.array as da
import numpy as np
from napari.components import ViewerModel

from napari_sam.cache.memory import EmbeddingCache
from napari_sam.inference import allocator
from napari_sam.inference.engine import Engine
from napari_sam.session import Session

CASES = ("kept", "handed back")


def resident_mb() -> float:
    """Memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_mb() -> float:
    """Most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def stack(planes: int, side: int) -> da.Array:
    """Make planes of noise up while they are read."""

    def plane(block_info: dict) -> np.ndarray:
        number = block_info[None]["array-location"][0][0]
        return np.random.default_rng(number).integers(0, 255, (1, side, side), dtype=np.uint8)

    return da.map_blocks(plane, chunks=((1,) * planes, (side,), (side,)), dtype=np.uint8)


def measure(case: str, planes: int, side: int, cache_mb: float) -> None:
    """Scroll from end to end; print a row of the table."""
    if case == "kept":
        allocator.give_back = lambda: False
    viewer = ViewerModel()
    image = viewer.add_image(stack(planes, side), contrast_limits=(0, 255))
    cache = EmbeddingCache(int(cache_mb * 1e6))
    session = Session(viewer, image=image, engine_factory=lambda *asked: Engine.load(*asked, cache=cache))
    session.wait(600)
    session.points.add([planes // 2, side // 2, side // 2])
    session.wait(600)
    before, start = resident_mb(), time.perf_counter()
    for plane in range(planes):
        viewer.dims.set_current_step(0, plane)
        session.wait(600)
    seconds = time.perf_counter() - start
    print(f"{case:14}{before:9.0f} MB{resident_mb():9.0f} MB{peak_mb():9.0f} MB{seconds:9.1f} s", flush=True)
    session.close()


def main() -> None:
    """Measure one case, or both, each in its own process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planes", type=int, default=64)
    parser.add_argument("--side", type=int, default=512, help="pixels")
    parser.add_argument("--cache-mb", type=float, default=100, help="room for embeddings in memory")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        measure(options.case, options.planes, options.side, options.cache_mb)
        return
    print(f"{'free memory':14}{'first':>12}{'last':>12}{'peak':>12}{'time':>11}", flush=True)
    for case in CASES:
        subprocess.run([sys.executable, __file__, "--case", case, *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
