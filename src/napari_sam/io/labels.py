"""Labels images on disk."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def add_object(
    labels: NDArray[np.integer[Any]], mask: NDArray[np.bool_], *, empty_only: bool = True
) -> tuple[NDArray[np.integer[Any]], int, int]:
    """Write a mask into a copy of a labels image, with the next free id.

    Parameters
    ----------
    labels : numpy.ndarray, shape (H, W), int
        Ids of the objects that are there, 0 where there is none.
    mask : numpy.ndarray, shape (H, W), bool
        The new object.
    empty_only : bool
        Leave the pixels of other objects as they are.

    Returns
    -------
    labels : numpy.ndarray, shape (H, W), uint16 or uint32
        The smallest of the two types that holds every id.
    new : int
        Id of the object.
    written : int
        Pixels that carry it.
    """
    new = int(labels.max(initial=0)) + 1
    where = mask & (labels == 0) if empty_only else mask
    result: NDArray[np.integer[Any]] = labels.astype(np.uint16 if new <= np.iinfo(np.uint16).max else np.uint32)
    result[where] = new
    return result, new, int(where.sum())


def read_labels(path: Path) -> NDArray[np.integer[Any]]:
    """Read a 2-D labels image.

    Raises
    ------
    InputError
        If it is no TIFF, or not of one plane of whole numbers from 0 up.
    """
    try:
        labels = np.squeeze(tifffile.imread(path))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a TIFF of labels: {error}.") from error
    if labels.ndim != 2 or labels.dtype.kind not in "ui" or int(labels.min(initial=0)) < 0:
        raise InputError(
            f"{path} is not a labels image: it is of shape {labels.shape} and dtype {labels.dtype}, where one plane "
            "of whole numbers from 0 up is needed. Choose another output."
        )
    return labels


def write_labels(path: Path, labels: NDArray[np.integer[Any]]) -> None:
    """Write a 2-D labels image as a compressed TIFF; a file that is there is replaced in one step.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        tifffile.imwrite(temporary, labels, compression="zlib", metadata={"axes": "YX"})
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}. Choose another folder.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
