"""Addresses of Dask schedulers, which stand where the name of a device may."""

from __future__ import annotations

import re

from napari_sam.errors import InputError

PORT = 8786
"""Where a scheduler listens unless somebody says otherwise."""

_MARK = "://"
_ADDRESS = re.compile(r"(?:(tcp|tls)://)?([\w.-]+|\[[0-9a-fA-F:.]+\])(?::(\d{1,5}))?/?")


def is_address(name: str) -> bool:
    """Whether a name is the address of a scheduler, and not that of a device or of a place on this machine."""
    return _MARK in name


def device_here(name: str) -> str:
    """Name the device of this machine that a choice of device stands for: the best where another machine encodes."""
    return "auto" if is_address(name) else name


def complete_address(text: str) -> str:
    """Write an address in full: ``lab-gpu`` is ``tcp://lab-gpu:8786``.

    Raises
    ------
    InputError
        If it is none.
    """
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or int(match[3] or PORT) > 0xFFFF:
        raise InputError(f'"{text.strip()}" is no address. Write the name of the machine, or tcp://NAME:{PORT}.')
    return f"{match[1] or 'tcp'}://{match[2]}:{match[3] or PORT}"
