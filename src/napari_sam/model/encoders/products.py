"""Products of many rows with one matrix, by the routine that is fastest on this processor.

PyTorch has linear layers computed by its BLAS, mostly Intel's MKL, and convolutions by oneDNN. A linear layer is a
convolution of 1 x 1, so that both can compute it. MKL makes little of the AVX-512 of AMD's processors: on two cores of
a Zen 5 it was measured at 220 GFLOP/s, oneDNN at 500. Elsewhere it may be the other way round, so that the two are
measured, once in a process.
"""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Linear", "faster_by_convolution", "few_by_many", "least_seconds", "linear"]

_FEWEST_ROWS = 256
"""Fewer are computed before a convolution has laid out the matrix for itself."""

_TRIAL = (1024, 512, 512)  # rows, inputs, outputs: some milliseconds
_ROUNDS = 8  # of which the first warms up
_CLEARLY, _CLEARLY_NOT = 0.8, 1.1  # of the other's time; in between is what a busy machine makes of anything


class Linear(nn.Linear):
    """A linear layer that computes by `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return linear(input, self.weight, self.bias)


def linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply rows with a matrix, as `torch.nn.functional.linear` does.

    Parameters
    ----------
    rows : Tensor, shape (..., inputs)
    weight : Tensor, shape (outputs, inputs)
    bias : Tensor, shape (outputs,), optional

    Returns
    -------
    Tensor, shape (..., outputs)
        Either way the same but for rounding.
    """
    if _suits(rows) and faster_by_convolution():
        return _convolved(rows, weight, bias)
    return F.linear(rows, weight, bias)


def few_by_many(few: Tensor, many: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply each of (B, n, C) with each of (B, m, C), and add (B, n): (B, n, m), where m is much larger than n."""
    if _suits(many) and faster_by_convolution():
        biases = [None] * len(few) if bias is None else list(bias)
        answers = [_convolved(rows, weight, own) for rows, weight, own in zip(many, few, biases, strict=True)]
        return torch.stack(answers).mT.contiguous()
    return few @ many.mT if bias is None else torch.baddbmm(bias[..., None], few, many.mT)


def _suits(rows: Tensor) -> bool:
    # With gradients, layers that learn would want their way back from the other routine, too: not measured.
    return (
        rows.is_cpu
        and rows.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and rows.numel() >= _FEWEST_ROWS * rows.shape[-1]
    )


def _convolved(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute a linear layer as a convolution of 1 x 1 of an image that is one pixel wide, channels last."""
    *leading, inputs = rows.shape
    image = rows.reshape(1, -1, 1, inputs).permute(0, 3, 1, 2)
    # Not `conv2d`, which leaves small or single-threaded work to other routines.
    answer: Tensor = torch.ops.aten.mkldnn_convolution(
        image, weight[:, :, None, None], bias, padding=[0, 0], stride=[1, 1], dilation=[1, 1], groups=1
    )
    return answer.permute(0, 2, 3, 1).reshape(*leading, len(weight))


@cache
def faster_by_convolution() -> bool:
    """Tell whether oneDNN multiplies clearly faster here than the BLAS; measured at the first call."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    count, inputs, outputs = _TRIAL
    rows, weight = torch.ones(count, inputs), torch.ones(outputs, inputs)
    with torch.no_grad():
        plain, convolved = least_seconds(lambda: F.linear(rows, weight), lambda: _convolved(rows, weight, None))
    if _CLEARLY * plain <= convolved <= _CLEARLY_NOT * plain:
        return _neglected_by_mkl()
    return convolved < plain


def least_seconds(one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    """Time two ways to do a thing, in turns, so that whatever else the machine does falls on both; their best times."""
    times = [(_seconds(one), _seconds(other)) for _ in range(_ROUNDS)][1:]
    return min(first for first, _ in times), min(second for _, second in times)


def _neglected_by_mkl() -> bool:
    """Tell whether this is a processor of AMD's with AVX-512."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions do not tell
    return "AMD" in str(capabilities.get("cpu_name")) and bool(capabilities.get("avx512_f"))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
