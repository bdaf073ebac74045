"""Addresses of Dask schedulers, which stand where the name of a device may; those that the person named are kept."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from napari_sam.errors import InputError
from napari_sam.files import home, read_small, write_whole

if TYPE_CHECKING:
    from pathlib import Path

PORT = 8786
"""Where a scheduler listens unless somebody says otherwise."""

_KEPT = 5
_FILE = "machines.txt"
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


def known_addresses() -> list[str]:
    """Addresses that the person named, the last one first."""
    try:
        lines = read_small(_file()).split()
    except (OSError, ValueError):
        return []
    # Whatever else stands in the file is not shown.
    return [line for line in lines if is_address(line) and _ADDRESS.fullmatch(line)][:_KEPT]


def remember_address(address: str) -> None:
    """Keep an address; where that cannot be, the person names it again next time."""
    kept = list(dict.fromkeys([address, *known_addresses()]))[:_KEPT]
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_whole(_file(), "\n".join(kept) + "\n")


def _file() -> Path:
    return home() / _FILE
