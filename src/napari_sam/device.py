"""Which device the model runs on."""

from __future__ import annotations

import torch

from napari_sam.errors import DeviceError


def available_devices() -> tuple[str, ...]:
    """Names of the devices that work here, the best first; "cpu" is always the last."""
    names: list[str] = []
    if torch.cuda.is_available():
        names += ["cuda"] if torch.cuda.device_count() == 1 else [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    if torch.xpu.is_available():
        names.append("xpu")
    return (*names, "cpu")


def choose_device(name: str = "auto") -> torch.device:
    """Turn a person's choice into a device.

    Parameters
    ----------
    name : str
        "auto" (CUDA, else MPS, else XPU, else CPU) or a torch device name such as "cuda:1".

    Raises
    ------
    DeviceError
        If the device does not exist here.
    """
    names = available_devices()
    if name == "auto":
        return torch.device(names[0])
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or not any(n.split(":")[0] == device.type for n in names):
        raise DeviceError(f'There is no device "{name}" here. Choose "auto" or one of: {", ".join(names)}.')
    # torch makes devices of any number, also of those that are not there.
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f'There is no device "{name}" here: this machine has {torch.cuda.device_count()} CUDA device(s).'
        )
    return device


def describe_device(device: torch.device) -> str:
    """Words for a device, such as "CPU (2 threads)" or "CUDA (NVIDIA H100)"."""
    match device.type:
        case "cpu":
            count = torch.get_num_threads()
            return f"CPU ({count} thread{'s' if count != 1 else ''})"
        case "cuda":
            return f"CUDA ({torch.cuda.get_device_name(device)})"
        case "mps":
            return "MPS (Apple GPU)"
        case "xpu":
            return f"XPU ({torch.xpu.get_device_name(device)})"
        case other:
            return other.upper()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that a device's memory ran out.

    CUDA raises its own class; MPS and XPU raise a RuntimeError that says so.
    """
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    )
