"""What cleaning up a mask of millions of pixels takes; for growing, beside a distance transform. Best of some rounds.

python benchmarks/shaping.py [--side 2048] [--rounds 3]
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sam.inference.shaping import MaskShaping, shape_mask
from napari_sam.masks import BoxedMask

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = {
    "fill holes": MaskShaping(fill_holes=True),
    "drop parts below 10 px": MaskShaping(smallest_part=10),
    "smooth by 2 px": MaskShaping(smooth=2),
    "grow by 5 px": MaskShaping(grow=5),
    "shrink by 5 px": MaskShaping(grow=-5),
    "all of it": MaskShaping(fill_holes=True, smallest_part=10, smooth=2, grow=5),
}


def best(work: Callable[[], Any], rounds: int) -> float:
    """Time some rounds, milliseconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def main() -> None:
    """Measure a large disc with ragged holes, and a small one on the same plane."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    side = options.side
    y, x = np.ogrid[:side, :side]
    noise = ndimage.gaussian_filter(np.random.default_rng(0).random((side, side)), 3) < 0.54
    for name, radius in (("large", 0.49 * side), ("small", 30)):
        mask = ((y - side / 2) ** 2 + (x - side / 2) ** 2 < radius**2) & noise
        boxed = BoxedMask.of(mask)
        print(f"{name} mask, {boxed.area:,} px on a plane of {side} x {side}")
        for step, shaping in STEPS.items():
            print(f"  {step:24} {best(lambda: shape_mask(boxed, shaping), options.rounds):8.1f} ms")  # noqa: B023
        padded = np.pad(boxed.mask, 5)
        edt = best(lambda: ndimage.distance_transform_edt(~padded) <= 5, options.rounds)  # noqa: B023
        print(f"  {'(by distance transform)':24} {edt:8.1f} ms")


if __name__ == "__main__":
    main()
