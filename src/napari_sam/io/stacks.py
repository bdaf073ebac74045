"""Open a stack of any kind, and write labels for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.io.formats import dicom, folder, itk, nifti, omezarr, tiff
from napari_sam.io.labels import write_tiff_labels
from napari_sam.io.outputs import require_replaceable, same_place
from napari_sam.io.reading import reading, require_path
from napari_sam.io.stack import ImageStack
from napari_sam.io.writing import checked, label_planes, replacing_result

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    Writer = Callable[[Path, Iterator[NDArray[Any]], np.dtype[Any], ImageStack], None]

__all__ = ["ImageStack", "check_output", "images_in", "is_stack_folder", "open_stack", "write_stack_labels"]

_NIFTI = (".nii", ".nii.gz")


def open_stack(path: str | os.PathLike[str]) -> ImageStack:
    """Open an image of two to five axes, without reading its pixels.

    Parameters
    ----------
    path : path-like
        TIFF (plain, ImageJ's, OME's, BigTIFF), NumPy (.npy), a picture such as PNG, a folder of pictures; with extras,
        a Zarr array or OME-Zarr image (`zarr`), NIfTI and DICOM, a file or the folder of a series (`medical`),
        MetaImage and NRRD (`itk`).

    Returns
    -------
    ImageStack
        To be closed, or used as a context manager.

    Raises
    ------
    InputError
        If there is nothing there, it is of no known kind, is damaged, or needs an extra that is not installed.
    """
    place = Path(path)
    require_path(place)
    with reading(place):
        return _reader(place)(place)


def is_stack_folder(path: Path) -> bool:
    """Tell whether a folder is one image by what it holds: a Zarr, or a series of DICOM slices."""
    # Of read_dicom one slice is enough.
    return path.is_dir() and (
        path.suffix.lower() == ".zarr" or omezarr.is_zarr(path) or any(map(_is_slice, sorted(path.iterdir())))
    )


def images_in(place: Path) -> list[Path]:
    """List the images of a folder, in natural order: files that `open_stack` opens, by their endings, and Zarrs."""
    endings = (*folder.PICTURE_SUFFIXES, ".npy", *_NIFTI, *itk.SUFFIXES)
    found = [
        path
        for path in place.iterdir()
        if not path.name.startswith(".")
        and (omezarr.is_zarr(path) if path.is_dir() else path.name.lower().endswith(endings))
    ]
    return sorted(found, key=folder.natural_order)


def _reader(path: Path) -> Callable[[Path], ImageStack]:
    """Choose by what a folder holds, by the suffix of a file, and last by its first bytes."""
    suffix, name = path.suffix.lower(), path.name.lower()
    if path.is_dir():
        if omezarr.is_zarr(path):
            return omezarr.read_zarr
        if suffix == ".zarr":
            raise InputError(f"{path} is called .zarr but holds no Zarr metadata. It may not be whole.")
        # One slice is enough: read_dicom passes over what is none.
        return dicom.read_dicom if any(map(_is_slice, sorted(path.iterdir()))) else folder.read_folder
    if suffix in folder.TIFF_SUFFIXES:
        return tiff.read_tiff
    if suffix == ".npy":
        return folder.read_numpy
    if name.endswith(_NIFTI):
        return nifti.read_nifti
    if suffix in itk.SUFFIXES:
        return itk.read_itk
    if _is_slice(path):
        return dicom.read_dicom
    return folder.read_picture


def _is_slice(path: Path) -> bool:
    return path.is_file() and (path.suffix.lower() in (".dcm", ".dicom") or dicom.is_dicom(path))


def write_stack_labels(
    path: str | os.PathLike[str],
    labels: Any | Iterable[NDArray[Any]],
    like: ImageStack,
    *,
    largest: int | None = None,
) -> None:
    """Write labels for a stack, plane by plane; what is there is replaced in one step.

    Parameters
    ----------
    path : path-like
        The suffix chooses the format: .tif or .tiff (ImageJ's, or OME's where ImageJ has no such type or order),
        .ome.tif, .npy, .zarr (OME-Zarr), .nii, .nii.gz, .mha, .nrrd.
    labels : array-like of the stack's shape, or iterable of numpy.ndarray, shape (H, W)
        Whole numbers from 0 up. An array is read plane by plane, twice where `largest` is not given. An iterable gives
        the planes in C order of the leading axes.
    like : ImageStack
        What the labels are of: its axes, spacing and units are kept in all formats but .npy; its place and
        orientation in .nii, .nii.gz, .mha and .nrrd.
    largest : int, optional
        The largest label, which chooses uint8, uint16 or uint32. Default: found by looking at an array; an iterable is
        written as uint32.

    Raises
    ------
    InputError
        If it would overwrite the image, cannot be written, is of no known format, or the labels do not fit the stack.
    """
    check_output(path, like)
    place = Path(path)
    write = _writer(place)
    dtype, planes = label_planes(labels, like.shape, largest)
    with replacing_result(place) as temporary:
        write(temporary, checked(planes, like.shape, dtype), dtype, like)
        # One plane more would be left out without a word.
        if next(planes, None) is not None:
            raise InputError("There are more planes of labels than the stack has.")


def check_output(path: str | os.PathLike[str], like: ImageStack) -> None:
    """Refuse before the work what `write_stack_labels` would refuse after it.

    Raises
    ------
    InputError
        If the format is not known, there is no such folder, or the image would be overwritten.
    """
    place = Path(path)
    _writer(place)
    require_replaceable(place)
    _refuse_input(place, like)
    if place.is_dir() and not omezarr.is_zarr(place):
        raise InputError(f"{place} is a folder of something else than Zarr. Choose another output.")


def _writer(path: Path) -> Writer:
    suffix, name = path.suffix.lower(), path.name.lower()
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent}. Make it, or choose another output.")
    if name.endswith(_NIFTI):
        return nifti.write_nifti
    if suffix in (".mha", ".nrrd"):
        return itk.write_itk
    if suffix == ".zarr":
        return omezarr.write_zarr
    if path.is_dir():
        raise InputError(f"{path} is a folder. Choose another output.")
    if suffix in (".tif", ".tiff"):
        return write_tiff_labels
    if suffix == ".npy":
        return _write_numpy
    raise InputError(f"{path.name}: labels are written as .tif, .ome.tif, .npy, .zarr, .nii, .nii.gz, .mha or .nrrd.")


def _refuse_input(path: Path, like: ImageStack) -> None:
    """Refuse to write over the image, or into the folder that it is made of."""
    target = path.resolve()
    inputs = {file.resolve() for file in (like.path, *like.files)}
    if any(file in target.parents and file.is_dir() for file in inputs):
        raise InputError(f"{path} lies in the image {like.path} itself. Choose another output.")
    if any(target in file.parents for file in inputs):
        raise InputError(f"The image {like.path} lies in {path}, which would be replaced. Choose another output.")
    within = sorted(like.path.iterdir()) if like.path.is_dir() else []  # one of these may be linked to from elsewhere
    if any(same_place(path, file) for file in (*inputs, *within)):
        raise InputError(f"{path} is the image {like.path} itself, or a part of it. Choose another output.")


def _write_numpy(path: Path, planes: Iterator[NDArray[Any]], dtype: np.dtype[Any], like: ImageStack) -> None:
    # A memory map: whatever the size of the labels, one plane of them is in memory.
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=like.shape)
    for at, plane in zip(np.ndindex(*like.shape[:-2]), planes, strict=True):
        array[at] = plane
    array.flush()
