"""Stacks without a format of their own: folders of pictures, single pictures, NumPy arrays."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.io.axes import guess_axes
from napari_sam.io.formats.lazy import PagedArray
from napari_sam.io.formats.tiff import read_tiff
from napari_sam.io.planes import read_plane
from napari_sam.io.reading import reading
from napari_sam.io.stack import ImageStack, make_stack

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TIFF_SUFFIXES = frozenset({".tif", ".tiff", ".btf", ".tf8"})
PICTURE_SUFFIXES = TIFF_SUFFIXES | {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".jp2", ".pgm", ".ppm"}


def read_folder(path: Path) -> ImageStack:
    """Open a folder of pictures as a stack, in natural order: plane 2 before plane 10.

    Parameters
    ----------
    path : Path

    Returns
    -------
    ImageStack
        Axes "zyx". One picture is read at a time, and has to be of the size and type of the first.

    Raises
    ------
    InputError
        If there are no pictures, pictures of several kinds, or a file that is itself a stack.
    """
    with reading(path):
        visible = [file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")]
    files = sorted((f for f in visible if f.suffix.lower() in PICTURE_SUFFIXES), key=natural_order)
    if not files:
        raise InputError(f"{path} holds no pictures, no DICOM files and no Zarr. Name the file or folder of the stack.")
    kinds = Counter(file.suffix.lower() for file in files)
    if len(kinds) > 1:
        counts = ", ".join(f"{count} {suffix}" for suffix, count in kinds.most_common())
        raise InputError(f"{path} holds pictures of several kinds ({counts}). Put those of the stack into a folder.")
    # The others are opened when they are asked for: the first one tells size and type of all.
    first = read_plane(files[0])
    shape = (len(files), *first.shape)

    def read(number: int) -> NDArray[Any]:
        page = read_plane(files[number])
        if page.dtype != first.dtype:
            raise InputError(f"{files[number]} is of type {page.dtype}, {files[0].name} of {first.dtype}.")
        return page

    calibration = {}
    if files[0].suffix.lower() in TIFF_SUFFIXES:
        with read_tiff(files[0]) as picture:
            calibration = dict(zip(picture.axes, zip(picture.spacing, picture.units, strict=True), strict=True))
    left = len(visible) - len(files)
    notes = (f"{left} files of {path.name} are no pictures and are left out.",) if left else ()
    pages = PagedArray(read, shape[:1], shape[1:], first.dtype, path)
    return make_stack(path, pages, "zyx" + "s" * (first.ndim - 2), calibration, notes=notes)


def read_picture(path: Path) -> ImageStack:
    """Open a single picture, PNG say, as a stack of one plane."""
    pixels = read_plane(path)
    return make_stack(path, pixels, "yx" + "s" * (pixels.ndim - 2), {})


def read_numpy(path: Path) -> ImageStack:
    """Open a NumPy file as a memory map.

    Parameters
    ----------
    path : Path

    Returns
    -------
    ImageStack
        The file names no axes: they are the last of "tczyx", and a last axis that napari would take for colour is one.

    Raises
    ------
    InputError
        If it is no such file, or holds Python objects.
    """
    with reading(path):
        array = np.lib.format.open_memmap(path, mode="r")
        return make_stack(path, array, guess_axes(array.shape), {})


def natural_order(path: Path) -> list[tuple[int, str]]:
    """Sort runs of digits by their value."""
    parts = re.split(r"(\d+)", path.name.lower())
    # Pairs, because a number and a word cannot be compared.
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
