"""What a computation takes at least: its arithmetic, and the rates of the machine."""

from __future__ import annotations

import time
from math import prod
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from napari_sam.model.encoders.products import linear
from napari_sam.model.sam.sam import MOBILE, VIT_B, Sam

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SHAPES = {"sam_vit_b": VIT_B, "mobile_sam": MOBILE}
"""Of the families whose weights are random."""

_ROWS, _WIDTH = 4096, 1024  # of the products: 8.6 GFLOP each, as in an encoder's larger layers
_COPIED = 1 << 27  # bytes: more than caches hold
_TRIALS = 3


def counted(work: Callable[[], object]) -> int:
    """Count the floating-point operations of products, convolutions and attention, two for each multiply-add."""
    mkldnn = torch.ops.aten.mkldnn_convolution
    with FlopCounterMode(display=False, custom_mapping={mkldnn: _of_convolution}) as counter:
        work()
    return int(counter.get_total_flops())


def counted_for(family: str) -> int:
    """Count for the image encoder of a SAM, in the way in which the arithmetic is plain to see."""
    with torch.device("meta"):
        model = Sam(SHAPES[family]).eval()
    pixels = torch.empty(1, 3, model.config.side, model.config.side, device="meta")
    with torch.no_grad():
        return counted(lambda: model.encode(pixels))


def _of_convolution(
    image: Sequence[int], weight: Sequence[int], *_others: Any, out_shape: Sequence[int], **_options: Any
) -> int:
    """Count for oneDNN's convolution, which torch's counter does not know."""
    return 2 * prod(out_shape) * prod(weight[1:])


def matrix_rate(device: str) -> float:
    """Measure float32 products of matrices: FLOP/s, by the faster of the ways that the encoders compute them."""
    rows = torch.ones(_ROWS, _WIDTH, device=device)
    weight = torch.ones(_WIDTH, _WIDTH, device=device)
    with torch.no_grad():
        # The second chooses between the BLAS and oneDNN, where there is a choice.
        seconds = min(_best(lambda: way(rows, weight), device) for way in (F.linear, linear))  # noqa: B023
    return 2 * _ROWS * _WIDTH**2 / seconds


def bandwidth(device: str) -> float:
    """Measure the copy of a large array: bytes read and written, for each second."""
    source = torch.ones(_COPIED // 4, device=device)
    target = torch.empty_like(source)
    return 2 * _COPIED / _best(lambda: target.copy_(source), device)


def synchronise(device: str) -> None:
    """Wait until a device has done what it was told."""
    kind = device.partition(":")[0]
    if kind in ("cuda", "mps", "xpu"):
        getattr(torch, kind).synchronize()


def use_threads(count: int | None) -> int:
    """Let torch use so many threads, or its own choice; return how many."""
    if count is not None:
        torch.set_num_threads(count)
    return torch.get_num_threads()


def _best(work: Callable[[], object], device: str) -> float:
    times = []
    for _trial in range(_TRIALS + 1):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])  # the first one warms up
