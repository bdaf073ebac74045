"""Read one plane out of an image file, with the pixels that napari would show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image

from napari_sam.errors import InputError
from napari_sam.io.formats.tiff import check_description
from napari_sam.io.memory import require_room
from napari_sam.io.reading import reading, require_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_TIFF_SUFFIXES = (".tif", ".tiff")
# Modes of Pillow whose arrays are grey values or RGB(A) as they stand; the others are converted.
_PLAIN_MODES = frozenset({"L", "I", "F", "RGB", "RGBA", "I;16", "I;16B", "I;16L", "1"})
_ALPHA_MODES = frozenset({"LA", "PA", "La", "RGBa"})


def read_plane(path: Path) -> NDArray[Any]:
    """Read a 2-D image: TIFF, PNG, JPEG and what else Pillow opens.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    numpy.ndarray, shape (H, W), (H, W, 3) or (H, W, 4)
        Grey, RGB or RGBA, in the file's own dtype. An EXIF rotation is not applied, as in napari, so that positions
        read off there fit.

    Raises
    ------
    InputError
        If the file is missing, cannot be read, or holds more than one plane.
    """
    require_file(path)
    with reading(path):
        pixels = _read_tiff(path) if path.suffix.lower() in _TIFF_SUFFIXES else _read_picture(path)
    if not pixels.size:
        raise InputError(f"{path} is empty: its shape is {pixels.shape}.")
    return pixels


def _read_tiff(path: Path) -> NDArray[Any]:
    """Read the first series of a TIFF, its full resolution, if that is one plane."""
    with tifffile.TiffFile(path) as file:
        check_description(path, file)
        if not file.series:
            raise InputError(f"{path} holds no image.")
        series = file.series[0]
        axes, shape = series.axes, series.shape
        kept = [(axis, size) for axis, size in zip(axes, shape, strict=True) if size != 1 or axis in "YX"]
        names, sizes = "".join(axis for axis, _ in kept), tuple(size for _, size in kept)
        # Before anything is decoded: a header may promise more than there is memory.
        require_room(path, math.prod(shape) * series.dtype.itemsize)
        pixels = np.asarray(series.asarray()).reshape(sizes)
    if names == "YX":
        return pixels
    if names == "YXS" and sizes[2] in (3, 4):
        return pixels
    if names == "YXS" and sizes[2] == 2:
        return pixels[..., 0]  # grey and alpha
    if names == "SYX" and sizes[0] in (3, 4):  # planar RGB
        return np.moveaxis(pixels, 0, -1)
    raise InputError(
        f"{path} holds more than one plane (axes {axes}, shape {' x '.join(map(str, shape))}). Save the plane or the "
        "channel you want as a file of its own, or open the stack in napari."
    )


def _read_picture(path: Path) -> NDArray[Any]:
    """Read a single picture with Pillow."""
    with Image.open(path) as picture:
        if (frames := getattr(picture, "n_frames", 1)) > 1:
            raise InputError(f"{path} holds {frames} frames. Save the one you want as a file of its own.")
        # Four bytes for each of four channels, which no mode of Pillow has more of.
        require_room(path, math.prod(picture.size) * 16)
        if picture.mode in _PLAIN_MODES:
            return np.asarray(picture)
        # Beside the mode: a PNG keeps the transparency of its palette in a chunk of its own.
        transparent = picture.mode in _ALPHA_MODES or "transparency" in picture.info
        return np.asarray(picture.convert("RGBA" if transparent else "RGB"))
