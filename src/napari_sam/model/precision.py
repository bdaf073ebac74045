"""Which precision the image encoder of a SAM computes in.

Half precision takes half the time where the hardware has units for it, and hardly changes a mask: of ViT-H, bfloat16
instead of float32 leaves the mean IoU on COCO as it is (PyTorch, "Accelerating Generative AI with PyTorch: Segment
Anything, Fast", 2023). On a GPU it is what is usual; on a processor it is an option, as a mask that was made yesterday
should come out the same tomorrow. The decoder always computes in float32: it takes little time, and draws the border.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import torch

from napari_sam.errors import InputError
from napari_sam.model.encoders import products

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

Precision = Literal["auto", "float32", "half"]

VARIABLE = "NAPARI_SAM_PRECISION"
"""The environment variable that chooses."""

_PAYS = 1.3
"""Times that products must be faster in bfloat16 than in float32: less is lost again between them."""

_UNITS = ("avx512_bf16", "amx_bf16", "bf16")
"""Instructions of processors that multiply bfloat16, as `torch.cpu` names them; without one it is hundreds of times
slower, too slow to be measured."""

_TRIAL = (1024, 768, 768)  # rows, inputs, outputs


def wanted() -> Precision:
    """Return what the environment asks for: "half" where it pays, "float32", or "auto", half on a GPU of NVIDIA's.

    Raises
    ------
    InputError
        If it asks for something else.
    """
    name = os.environ.get(VARIABLE, "").strip().lower() or "auto"
    if name not in get_args(Precision):
        raise InputError(
            f'The environment variable {VARIABLE} is "{name}". Set it to one of: {", ".join(get_args(Precision))}; or '
            "remove it. Then start again."
        )
    return cast("Precision", name)


def require_precision() -> None:
    """Refuse an environment that asks for a precision that there is not, before anything is computed.

    Raises
    ------
    InputError
        If it does.
    """
    wanted()


def encoder_dtype(device: torch.device, *, fits_float16: bool) -> torch.dtype:
    """Choose what an image encoder computes in.

    Parameters
    ----------
    device : torch.device
        Where it computes.
    fits_float16 : bool
        Whether its numbers stay within what float16 holds, 65504; those of some encoders do not.

    Returns
    -------
    torch.dtype
        bfloat16 or float16 where that is wanted, safe and faster; else float32.

    Raises
    ------
    InputError
        If the environment asks for what there is not.
    """
    precision = wanted()
    if device.type == "cuda" and precision != "float32":
        return _on_cuda(device, fits_float16)
    if device.type == "cpu" and precision == "half" and faster_in_bfloat16():
        return torch.bfloat16
    return torch.float32


def computing_in(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[Any]:
    """Make a context in which products are computed in `dtype`, and sums, norms and the residual stream in float32."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def _on_cuda(device: torch.device, fits_float16: bool) -> torch.dtype:
    with torch.cuda.device(device):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.bfloat16
    # Units for float16 came with Volta, 7.0. The GTX 16 series calls itself 7.5, has none, and is known for NaN.
    fast = torch.cuda.get_device_capability(device) >= (7, 0) and "GTX 16" not in torch.cuda.get_device_name(device)
    return torch.float16 if fits_float16 and fast else torch.float32


@cache
def faster_in_bfloat16() -> bool:
    """Tell whether this processor multiplies bfloat16 clearly faster than float32; measured at the first call."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions do not tell
    if not any(capabilities.get(name) for name in _UNITS):
        return False
    count, inputs, outputs = _TRIAL
    rows, weight = torch.ones(count, inputs), torch.ones(outputs, inputs)
    half_rows, half_weight = rows.bfloat16(), weight.bfloat16()
    with torch.no_grad():
        full, half = products.least_seconds(
            lambda: products.linear(rows, weight), lambda: torch.nn.functional.linear(half_rows, half_weight)
        )
    return full >= _PAYS * half
