"""The folder where checkpoints are kept, and the receipts that lie in it.

One folder per user, ``NAPARI_SAM_HOME`` if that is set. Beside each file lies a receipt, a small JSON file with what
was true when the file was put there: it lets a cut or replaced file be noticed without reading two gigabytes, and
keeps the architecture of a file that a person imported.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from napari_sam.errors import WeightsError
from napari_sam.files import HOME_VARIABLE, home, read_small, write_whole

_SUFFIX = ".receipt.json"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was true of a file when it was put into the folder.

    Attributes
    ----------
    name : str
        Name of the model.
    file : str
        Name of its file in the folder.
    size : int
        Bytes.
    sha256 : str
        Checksum, lower-case hexadecimal.
    architecture : str or None
        How to read it; None where its keys tell.
    source : str
        Where it came from: an address, or the name of a file.
    """

    name: str
    file: str
    size: int
    sha256: str
    architecture: str | None
    source: str


def weights_folder() -> Path:
    """Folder of the checkpoints; it may not exist yet."""
    return home() / "weights"


def receipts() -> tuple[Receipt, ...]:
    """Every receipt in the folder that can be read, by name."""
    names = [path.name.removesuffix(_SUFFIX) for path in sorted(weights_folder().glob(f"*{_SUFFIX}"))]
    return tuple(receipt for name in names if (receipt := read_receipt(name)) is not None)


def read_receipt(name: str) -> Receipt | None:
    """Return the receipt of the model called `name`; one that is missing, broken or points elsewhere counts as none."""
    try:
        receipt = Receipt(**json.loads(read_small(_path(name))))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return receipt if receipt.name == name and _is_sound(receipt) else None


def write_receipt(name: str, path: Path, sha256: str, architecture: str | None, source: str) -> None:
    """Record the file that has just been put at `path`, and its checksum.

    Raises
    ------
    WeightsError
        If the folder cannot be written to.
    """
    receipt = Receipt(name, path.name, path.stat().st_size, sha256, architecture, source)
    try:
        write_whole(_path(name), json.dumps(asdict(receipt), indent=2))
    except OSError as error:
        raise WeightsError(
            f"{weights_folder()} cannot be written to: {error.strerror or error}. Change its permissions or free some "
            f"space, or set {HOME_VARIABLE} to another folder."
        ) from error


def drop_receipt(name: str) -> None:
    """Delete the receipt of the model called `name`, if there is one."""
    _path(name).unlink(missing_ok=True)


def _is_sound(receipt: Receipt) -> bool:
    """Whether the values have their types and can be shown, and the file lies in the folder."""
    texts = (receipt.name, receipt.file, receipt.sha256, receipt.source, receipt.architecture or "")
    return (
        all(isinstance(text, str) and text.isprintable() for text in texts)  # what a terminal would obey is no name
        and type(receipt.size) is int
        and Path(receipt.file).name == receipt.file
        and receipt.file.strip(".") != ""
    )


def _path(name: str) -> Path:
    return weights_folder() / f"{name}{_SUFFIX}"
