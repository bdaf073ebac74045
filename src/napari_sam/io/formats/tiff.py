"""Stacks in TIFF files: plain, ImageJ's, OME's; BigTIFF; pyramids."""

from __future__ import annotations

import math
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from napari_sam.errors import InputError
from napari_sam.io.axes import name_axes, unit_name
from napari_sam.io.formats.headers import require_beside
from napari_sam.io.formats.lazy import PagedArray
from napari_sam.io.reading import reading, require
from napari_sam.io.stack import ImageStack, make_stack

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# Larger pages, in bytes, are read by their tiles or strips, through zarr.
LARGE_PAGE = 128 * 2**20

# More planes than this are a damaged header: tifffile keeps a list of all, also of those that no file holds.
_MOST_PLANES = 2**22

# TIFF 6.0, ResolutionUnit.
_NO_UNIT, _INCH, _CENTIMETER = 1, 2, 3
_CODES_OF_TIME = ("TimeIncrement", "t", "s")
_CODES_OF_SPACE = tuple((f"PhysicalSize{axis}", axis.lower(), "µm") for axis in "ZYX")


def read_tiff(path: Path) -> ImageStack:
    """Open the first image series of a TIFF, at full resolution.

    Parameters
    ----------
    path : Path

    Returns
    -------
    ImageStack
        Memory-mapped where the pixels lie in the file as they are, else read page by page, or, where pages are large,
        by their tiles.

    Raises
    ------
    InputError
        If it is no TIFF, is damaged, or needs a library that is not installed.
    """
    with reading(path):
        file = tifffile.TiffFile(path)
    try:
        with reading(path):
            return _stack(path, file)
    except BaseException:
        file.close()
        raise


def check_description(path: Path, file: tifffile.TiffFile) -> None:
    """Refuse what an OME-TIFF says of itself, before tifffile makes room for it and opens the files that it names.

    Raises
    ------
    InputError
        If it has absurdly many planes, or is spread over files elsewhere.
    """
    if not file.is_ome or not file.ome_metadata:
        return
    for element in ElementTree.fromstring(file.ome_metadata).iter():
        name = element.tag.rpartition("}")[2]
        if name == "Pixels":
            sizes = [int(element.get(f"Size{axis}", 1)) for axis in "ZCT"]
            if min(sizes) < 1 or math.prod(sizes) > _MOST_PLANES:
                raise InputError(f"{path} says that it has {' x '.join(map(str, sizes))} planes. It is damaged.")
        elif name == "UUID" and (other := element.get("FileName")):
            require_beside(path, [other])


def _stack(path: Path, file: tifffile.TiffFile) -> ImageStack:
    check_description(path, file)
    if not file.series:
        raise InputError(f"{path} holds no image.")
    series = file.series[0]
    names, notes = name_axes(series.axes, series.shape)
    if (others := len(file.series) - 1) > 0:
        notes = (*notes, f"{path.name} holds {others + 1} images; the first one is read.")
    # Handles of tifffile have one position for all threads.
    lock = threading.Lock()
    arrays = [_array(path, file, level, lock) for level in series.levels if level.axes == series.axes]
    files = tuple(path.parent / name for name in _file_names(series))
    return make_stack(
        path,
        arrays[0],
        names,
        _calibration(file, series),
        levels=arrays[1:],
        notes=notes,
        files=files,
        closes=file.close,
    )


def _file_names(series: tifffile.TiffPageSeries) -> set[str]:
    """Names of the files that a series is spread over, as OME's may be."""
    return {page.parent.filehandle.name for page in series.pages if page is not None}


def _array(
    path: Path, file: tifffile.TiffFile, level: tifffile.TiffPageSeries, lock: threading.Lock
) -> NDArray[Any] | PagedArray | Any:
    """Give one level as an array that stays in the file."""
    if level.dataoffset is not None and not level.is_multifile:
        # In the file's own order of bytes: it is mapped, not converted.
        dtype = np.dtype(file.byteorder + level.dtype.char)
        return np.memmap(path, dtype, "r", level.dataoffset, level.shape)
    count, page = len(level.pages), level.keyframe
    if page.nbytes > LARGE_PAGE:
        zarr = require("zarr", "zarr", f"TIFF pages of {page.nbytes / 2**20:.0f} MiB, as {path} has,")
        return zarr.open_array(level.aszarr(), mode="r")
    split = next((n for n in range(level.ndim + 1) if math.prod(level.shape[:n]) == count), None)
    if split is None or math.prod(level.shape[split:]) != page.size:
        raise InputError(f"{path} has {count} pages of shape {page.shape} for an image of shape {level.shape}.")
    shape = level.shape[split:]

    def read(number: int) -> NDArray[Any]:
        frame = level.pages[number]
        if frame is None:  # OME files need not hold every plane
            return np.zeros(shape, level.dtype)
        with lock:
            return np.asarray(frame.asarray()).reshape(shape)

    # Pages are decoded into the machine's own order of bytes.
    return PagedArray(read, level.shape[:split], shape, level.dtype.newbyteorder("="), path)


def _calibration(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> dict[str, tuple[float, str]]:
    """Read spacings and units from what wrote the file."""
    if file.is_ome and file.ome_metadata:
        return _ome(file.ome_metadata)
    tags = series.keyframe.tags
    pixels = {}
    for axis, name in (("y", "YResolution"), ("x", "XResolution")):
        numerator, denominator = tags.valueof(name, default=(0, 1))
        pixels[axis] = denominator / numerator if numerator else math.nan
    unit = tags.valueof("ResolutionUnit", default=_INCH)
    if file.is_imagej and file.imagej_metadata:
        return _imagej(file.imagej_metadata, pixels if unit == _NO_UNIT else {})
    if unit == _CENTIMETER:
        return {axis: (step, "centimeter") for axis, step in pixels.items()}
    # Pixels per inch are mostly those of a screen, made up by what wrote the file.
    return {}


def _imagej(metadata: dict[str, Any], pixels: dict[str, float]) -> dict[str, tuple[float, str]]:
    """Read ImageJ's own text; its unit is for the resolution tags too, where these name none."""
    unit = unit_name(str(metadata.get("unit", "")))
    found = {axis: (step, unit) for axis, step in pixels.items()}
    with suppress(TypeError, ValueError):
        found["z"] = (abs(float(metadata.get("spacing", math.nan))), unit)
        found["t"] = (float(metadata.get("finterval", math.nan)), unit_name(str(metadata.get("tunit", "s"))))
    return found


def _ome(xml: str) -> dict[str, tuple[float, str]]:
    """Read the attributes of the first Pixels element (OME-XML 2016-06)."""
    pixels = next((e for e in ElementTree.fromstring(xml).iter() if e.tag.rpartition("}")[2] == "Pixels"), None)
    found = {}
    for code, axis, default in (*_CODES_OF_SPACE, _CODES_OF_TIME):
        if pixels is not None and (value := pixels.get(code)) is not None:
            with suppress(ValueError):
                found[axis] = (float(value), unit_name(pixels.get(f"{code}Unit", default)))
    return found
