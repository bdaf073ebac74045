"""Which device the model runs on."""

from __future__ import annotations

import torch

from napari_sam.errors import DeviceError


def available_devices() -> tuple[str, ...]:
    """Names of the devices that work here, the best first; "cpu" is always the last."""
    names: list[str] = []
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        names += ["cuda" if count == 1 else f"cuda:{i}" for i in range(count) if has_code_for(i)]
    if torch.backends.mps.is_available():
        names.append("mps")
    if torch.xpu.is_available():
        names.append("xpu")
    return (*names, "cpu")


def has_code_for(index: int) -> bool:
    """Whether the installed torch was built with code for a CUDA device.

    A build carries machine code for some architectures, such as "sm_80", which runs on devices of the same major and no
    lower minor compute capability, and intermediate code, "compute_90", which a driver translates for all later ones
    (NVIDIA, CUDA C++ Programming Guide, "Application compatibility").
    """
    device = torch.cuda.get_device_capability(index)
    known = False
    for architecture in torch.cuda.get_arch_list():
        kind, _, number = architecture.partition("_")
        digits = number.rstrip("af")  # sm_90a, sm_100f: of that architecture, or its family, alone
        if not digits.isdigit():
            continue  # of AMD's devices, which go by another rule
        known = True
        built = int(digits[:-1]), int(digits[-1])
        if (built <= device) if kind == "compute" else (built[0] == device[0] and built[1] <= device[1]):
            return True
    return not known


def devices_without_code() -> str:
    """Words for the CUDA devices that are there but that the installed torch has no code for; "" if there is none."""
    if not torch.cuda.is_available():
        return ""
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()) if not has_code_for(i)]
    if not names:
        return ""
    return (
        f"The installed PyTorch has no code for {', '.join(names)}, so that the model runs elsewhere. "
        "Install a build that supports it: see https://pytorch.org/get-started."
    )


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
        without = f" {devices_without_code()}" if device is not None and device.type == "cuda" else ""
        raise DeviceError(f'There is no device "{name}" here. Choose "auto" or one of: {", ".join(names)}.{without}')
    # torch makes devices of any number, also of those that are not there.
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f'There is no device "{name}" here: this machine has {torch.cuda.device_count()} CUDA device(s).'
        )
    if device.type == "cuda" and not has_code_for(device.index or 0):
        raise DeviceError(f'Device "{name}" cannot be used. {devices_without_code()}')
    return device


def describe_device(device: torch.device, dtype: torch.dtype = torch.float32) -> str:
    """Words for a device, such as "CPU (2 threads)", and for what it computes in: "CUDA (NVIDIA H100, bfloat16)"."""
    precision = "" if dtype == torch.float32 else f", {str(dtype).removeprefix('torch.')}"
    match device.type:
        case "cpu":
            count = torch.get_num_threads()
            return f"CPU ({count} thread{'s' if count != 1 else ''}{precision})"
        case "cuda":
            return f"CUDA ({torch.cuda.get_device_name(device)}{precision})"
        case "mps":
            return "MPS (Apple GPU)"
        case "xpu":
            return f"XPU ({torch.xpu.get_device_name(device)})"
        case other:
            return other.upper()


def has_no_code(error: BaseException) -> bool:
    """Whether an exception means that torch was built without code for a device, whatever it said of itself."""
    return isinstance(error, RuntimeError) and "no kernel image is available" in str(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that a device's memory ran out.

    CUDA raises its own class; MPS and XPU raise a RuntimeError that says so.
    """
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    )
