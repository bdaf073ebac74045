"""MetaImage and NRRD volumes, read and written by SimpleITK."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.io.axes import convert, is_length
from napari_sam.io.formats.headers import require_own_files
from napari_sam.io.formats.lazy import PagedArray
from napari_sam.io.memory import require_room
from napari_sam.io.reading import reading, require
from napari_sam.io.stack import ImageStack, make_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

EXTRA = "itk"
SUFFIXES = frozenset({".mha", ".mhd", ".nrrd", ".nhdr"})
_WHAT = "MetaImage and NRRD files"
# ITK has x to the left and y to the back (LPS), NIfTI and `ImageStack.affine` the opposite (RAS).
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_itk(path: Path) -> ImageStack:
    """Open a MetaImage or NRRD file of two or three axes.

    Parameters
    ----------
    path : Path

    Returns
    -------
    ImageStack
        The voxel (x, y, z) of the file is at index (z, y, x); nothing is flipped. Spacing is in millimetres, as ITK
        has it. A MetaImage that is not compressed is read plane by plane; of others ITK reads the whole file for a
        plane, so that they are kept in memory as a whole.

    Raises
    ------
    InputError
        If it cannot be read, has more than three axes, or SimpleITK is not installed.
    """
    itk = require("SimpleITK", EXTRA, _WHAT)
    with reading(path):
        require_own_files(path)
        reader = itk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        size, spacing = reader.GetSize(), reader.GetSpacing()
        count, components = reader.GetDimension(), reader.GetNumberOfComponents()
        if count not in (2, 3):
            raise InputError(f"{path} has {count} axes. Save one volume of it.")
        colour = (components,) if components > 1 else ()
        names = "zyx"[-count:] + "s" * len(colour)
        calibration = {name: (step, "millimeter") for name, step in zip("xyz", spacing, strict=False)}
        source: Any
        if count == 3 and _streams(path):
            require_room(path, math.prod(size[:2]) * _value_bytes(itk, reader), "one plane")
            first = _plane(itk, reader, size, 0)

            def read(number: int) -> NDArray[Any]:
                return _plane(itk, reader, size, number)

            source = PagedArray(read, size[2:], first.shape, first.dtype, path)
        else:
            require_room(path, math.prod(size) * _value_bytes(itk, reader))
            source = itk.GetArrayFromImage(reader.Execute())
        return make_stack(path, source, names, calibration, affine=_affine(reader, count))


def _streams(path: Path) -> bool:
    """Tell whether ITK reads parts of a file: MetaImages that are not compressed."""
    if path.suffix.lower() not in (".mha", ".mhd"):
        return False
    with path.open("rb") as file:
        header = file.read(4096).lower()
    return b"compresseddata = true" not in header and b"list" not in header.partition(b"elementdatafile")[2][:16]


def _value_bytes(itk: Any, reader: Any) -> int:
    """Count the bytes of a pixel, all of its components together."""
    # SimpleITK tells the size of a pixel of images only, so that one of a single pixel is made.
    one = itk.Image([1] * reader.GetDimension(), reader.GetPixelID(), reader.GetNumberOfComponents())
    return int(one.GetSizeOfPixelComponent() * one.GetNumberOfComponentsPerPixel())


def _plane(itk: Any, reader: Any, size: tuple[int, ...], number: int) -> NDArray[Any]:
    """Read one plane of a volume."""
    reader.SetExtractIndex([0, 0, number])
    reader.SetExtractSize([size[0], size[1], 1])
    pixels: NDArray[Any] = itk.GetArrayFromImage(reader.Execute())[0]
    return pixels


def _affine(reader: Any, count: int) -> NDArray[np.float64]:
    """Put origin, direction and spacing together, in RAS millimetres."""
    affine = np.eye(4)
    direction = np.reshape(reader.GetDirection(), (count, count))
    affine[:count, :count] = direction * np.asarray(reader.GetSpacing())
    affine[:count, 3] = reader.GetOrigin()
    return _LPS_TO_RAS @ affine


def write_itk(path: Path, planes: Iterator[NDArray[Any]], dtype: np.dtype[Any], like: ImageStack) -> None:
    """Write labels as a compressed MetaImage or NRRD, which holds them in memory once.

    Parameters
    ----------
    path : Path
    planes : iterator of numpy.ndarray, shape (H, W)
        In C order of the leading axes.
    dtype : numpy.dtype
    like : ImageStack
        Gives spacing, origin and direction.

    Raises
    ------
    InputError
        If there are more axes than z, y and x.
    """
    itk = require("SimpleITK", EXTRA, _WHAT)
    if like.axes not in ("yx", "zyx"):
        raise InputError(f"{path.suffix} labels have the axes z, y, x, not {like.axes}. Write a TIFF (.tif).")
    # An image of that type tells what SimpleITK calls it.
    image = itk.Image(list(reversed(like.shape)), itk.GetImageFromArray(np.zeros((1, 1), dtype)).GetPixelID())
    for number, plane in enumerate(planes):
        part = itk.GetImageFromArray(plane)
        if len(like.shape) == 3:
            image[:, :, number] = part
        else:
            image = part
    count = len(like.shape)
    # These formats name no unit; ITK's is the millimeter.
    pairs = zip(like.spacing, like.units, strict=True)
    image.SetSpacing([convert(step, unit, "millimeter") if is_length(unit) else step for step, unit in pairs][::-1])
    if like.affine is not None:
        affine = _LPS_TO_RAS @ like.affine
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        image.SetSpacing(lengths[:count].tolist())
        image.SetOrigin(affine[:count, 3].tolist())
        image.SetDirection((affine[:count, :count] / lengths[:count]).ravel().tolist())
    with reading(path):
        itk.WriteImage(image, str(path), True)  # compressed
