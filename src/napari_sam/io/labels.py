"""Labels of images in files: read from PNG or TIFF, written as TIFF; every object has a number of its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image

from napari_sam.errors import InputError
from napari_sam.io.axes import PIXEL, is_length
from napari_sam.io.planes import read_plane
from napari_sam.io.writing import replacing_result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.io.stack import ImageStack

LABEL_SUFFIXES = (".png", ".tif", ".tiff")
"""Endings of files that can hold labels; JPEG would invent objects along every border."""
_IMAGEJ_AXES = "tzcyx"
# Pixels that a TIFF with 32-bit offsets holds, metadata aside.
_CLASSIC = 2**32 - 2**25
# tifffile writes ImageJ's text in ASCII, so that the micrometer is spelled out.
_IMAGEJ_UNITS = {"micrometer": "micron", "nanometer": "nm", "millimeter": "mm", "centimeter": "cm", "meter": "m"}
_IMAGEJ_TIMES = {"second": "sec", "millisecond": "msec", "minute": "min", "hour": "h"}
_OME_UNITS = {
    "angstrom": "Å",
    "nanometer": "nm",
    "micrometer": "µm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "inch": "in",
}
_OME_TIMES = {"microsecond": "µs", "millisecond": "ms", "second": "s", "minute": "min", "hour": "h"}


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
    # astype copies, also where the type stays: the labels that were given belong to the caller.
    result: NDArray[np.integer[Any]] = labels.astype(np.uint16 if new <= np.iinfo(np.uint16).max else np.uint32)
    result[where] = new
    return result, new, int(where.sum())


def read_labels(path: Path) -> NDArray[np.integer[Any]]:
    """Read a PNG or TIFF of whole numbers.

    Returns
    -------
    numpy.ndarray, shape (H, W), integer
        0 for background.

    Raises
    ------
    InputError
        If it cannot be read, or is in colour, or holds other numbers.
    """
    labels = _palette_indices(path)
    if labels is None:
        labels = read_plane(path)
    if labels.ndim != 2:
        raise InputError(
            f"{path} is a colour image; labels are grey: 0 for background, and the number of its object in every other "
            "pixel. Save them as 16-bit TIFF or PNG."
        )
    if labels.dtype == np.bool_:
        return labels.astype(np.uint8)
    if labels.dtype.kind not in "ui" or int(labels.min(initial=0)) < 0:
        raise InputError(f"{path} is of dtype {labels.dtype}; labels are whole numbers from 0 up. Save them as those.")
    return labels


def _palette_indices(path: Path) -> NDArray[Any] | None:
    """Return the numbers of a PNG with a palette, whose colours are only how they are shown; None for any other."""
    if path.suffix.lower() != ".png":
        return None
    try:
        with Image.open(path) as picture:
            return np.asarray(picture) if picture.mode == "P" else None
    except (OSError, ValueError, SyntaxError):
        return None  # `read_plane` finds the words


def require_tiff(path: Path) -> None:
    """Refuse a name that promises another format than `write_labels` writes.

    Raises
    ------
    InputError
        If its suffix is not that of a TIFF.
    """
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise InputError(f"{path.name}: labels of an image are written as .tif. Choose such a name.")


def write_labels(path: Path, labels: NDArray[np.integer[Any]]) -> None:
    """Write a 2-D labels image as a compressed TIFF; a file that is there is replaced in one step.

    Raises
    ------
    InputError
        If it has not the suffix of a TIFF, or the folder cannot be written to.
    """
    require_tiff(path)
    with replacing_result(path) as temporary:
        tifffile.imwrite(temporary, labels, compression="zlib", metadata={"axes": "YX"})


def write_tiff_labels(path: Path, planes: Iterator[NDArray[Any]], dtype: np.dtype[Any], like: ImageStack) -> None:
    """Write the labels of a stack as a compressed TIFF, plane by plane, with its axes, spacing and units.

    Parameters
    ----------
    path : Path
    planes : iterator of numpy.ndarray, shape (H, W)
        In C order of the leading axes.
    dtype : numpy.dtype
    like : ImageStack
        Gives axes, spacing and units. ImageJ's metadata are written where ImageJ has the type and the order of axes,
        else, or for ``.ome.tif``, OME's.
    """
    size = math.prod(like.shape) * dtype.itemsize
    # ImageJ has no labels of 32 bits: there they are floats.
    imagej = (
        dtype.itemsize <= 2
        and size < _CLASSIC
        and not path.name.lower().endswith((".ome.tif", ".ome.tiff"))
        and list(like.axes) == sorted(like.axes, key=_IMAGEJ_AXES.index)
    )
    known = dict(zip(like.axes, zip(like.spacing, like.units, strict=True), strict=True))
    metadata, resolution = (_imagej if imagej else _ome)(known)
    with tifffile.TiffWriter(path, bigtiff=size >= _CLASSIC, imagej=imagej, ome=not imagej) as file:
        file.write(
            planes,
            shape=like.shape,
            dtype=dtype,
            compression="zlib",
            # Said, because tifffile takes planes that are 3 or 4 pixels wide for colours.
            photometric="minisblack",
            metadata={"axes": like.axes.upper(), **metadata},
            **resolution,
        )


def _imagej(known: dict[str, tuple[float, str]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give ImageJ's metadata and the resolution tags, which ImageJ reads as pixels per its unit."""
    unit = known["x"][1]
    metadata: dict[str, Any] = {} if unit == PIXEL else {"unit": _IMAGEJ_UNITS.get(unit, unit)}
    if "z" in known:
        metadata["spacing"] = known["z"][0]
    if "t" in known and known["t"][1] in _IMAGEJ_TIMES:
        metadata |= {"finterval": known["t"][0], "tunit": _IMAGEJ_TIMES[known["t"][1]]}
    return metadata, {"resolution": (1 / known["x"][0], 1 / known["y"][0]), "resolutionunit": "NONE"}


def _ome(known: dict[str, tuple[float, str]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give OME's metadata (OME-XML 2016-06); spacings without a unit are left out."""
    metadata: dict[str, Any] = {}
    for axis, (step, unit) in known.items():
        if axis in "zyx" and is_length(unit):
            metadata |= {f"PhysicalSize{axis.upper()}": step, f"PhysicalSize{axis.upper()}Unit": _OME_UNITS[unit]}
        elif axis in "zyx" and step != 1:
            metadata |= {f"PhysicalSize{axis.upper()}": step, f"PhysicalSize{axis.upper()}Unit": "pixel"}
        elif axis == "t" and unit in _OME_TIMES:
            metadata |= {"TimeIncrement": step, "TimeIncrementUnit": _OME_TIMES[unit]}
    return metadata, {}
