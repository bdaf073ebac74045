"""NIfTI volumes, read by nibabel."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.io.axes import PIXEL, convert, is_length, unit_name
from napari_sam.io.contrast import finite
from napari_sam.io.formats.lazy import PagedArray
from napari_sam.io.reading import reading, require
from napari_sam.io.stack import ImageStack, make_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

EXTRA = "medical"
# Order of the axes in the file, the fastest first; the fifth holds vectors or channels (nifti1.h).
_FILE_AXES = "xyztc"
_LABELS = 1002  # NIFTI_INTENT_LABEL
_UNITS = {"micrometer": "micron", "millimeter": "mm", "meter": "meter"}
_TIMES = {"second": "sec", "millisecond": "msec", "microsecond": "usec"}


def read_nifti(path: Path) -> ImageStack:
    """Open a NIfTI file.

    Parameters
    ----------
    path : Path
        .nii or .nii.gz.

    Returns
    -------
    ImageStack
        The voxel (x, y, z) of the file is at index (z, y, x): nothing is flipped, and labels go back to the same
        affine. Memory-mapped where the values lie in the file as they are, else read plane by plane; indexed_gzip, of
        the same extra, spares the decompression of what lies before a plane.

    Raises
    ------
    InputError
        If it is damaged, or nibabel is not installed.
    """
    nibabel = require("nibabel", EXTRA, "NIfTI files")
    with reading(path):
        image = nibabel.load(path)
        proxy, header = image.dataobj, image.header
        if not 2 <= len(proxy.shape) <= len(_FILE_AXES):
            raise InputError(f"{path} has {len(proxy.shape)} axes: {proxy.shape}. Save the part that you want.")
        names = [
            "-" if size == 1 and name not in "yx" else name for name, size in zip(_FILE_AXES, proxy.shape, strict=False)
        ]
        space, time = header.get_xyzt_units()
        # float32 in the file: the shortest decimal is what somebody meant, 0.2 and not 0.20000000298.
        steps = [float(str(step)) for step in header.get_zooms()]
        spaces = {axis: (step, unit_name(space)) for axis, step in zip("xyz", steps, strict=False)}
        times = {"t": (steps[3], unit_name(time))} if len(steps) > 3 else {}
        window = (float(header["cal_min"]), float(header["cal_max"]))
        return make_stack(
            path,
            _source(path, proxy),
            "".join(reversed(names)),
            spaces | times,
            windows=(window,) if finite(window) else (),
            affine=np.asarray(image.affine, np.float64) if spaces["x"][1] in (PIXEL, "millimeter") else None,
            header=header.copy(),
            is_labels=header["intent_code"] == _LABELS,
        )


def _source(path: Path, proxy: Any) -> NDArray[Any] | PagedArray:
    """Give the array with its axes turned around: a memory map of plain values, else one plane (y, x) at a time."""
    scaled = (proxy.slope, proxy.inter) != (1, 0)
    if not scaled and path.suffix.lower() != ".gz":
        # In the file x is the fastest (Fortran's order): turned around it is (z, y, x), without a copy.
        values: NDArray[Any] = proxy.get_unscaled().T
        return values
    shape = proxy.shape[::-1]

    def read(number: int) -> NDArray[Any]:
        at = np.unravel_index(number, shape[:-2])
        plane: NDArray[Any] = np.asarray(proxy[(..., *reversed(at))]).T
        return plane

    # What nibabel makes of scaled values.
    dtype = np.float64 if scaled else proxy.dtype.newbyteorder("=")
    return PagedArray(read, shape[:-2], shape[-2:], dtype, path)


def write_nifti(path: Path, planes: Iterator[NDArray[Any]], dtype: np.dtype[Any], like: ImageStack) -> None:
    """Write labels as NIfTI-1, plane by plane, with the affine of the image that they are of.

    Parameters
    ----------
    path : Path
        .nii, or .nii.gz to compress it.
    planes : iterator of numpy.ndarray, shape (H, W)
        In C order of the leading axes, which is the order of the file.
    dtype : numpy.dtype
    like : ImageStack

    Raises
    ------
    InputError
        If the axes are in an order that NIfTI does not have.
    """
    nibabel = require("nibabel", EXTRA, "NIfTI files")
    header = _header(nibabel, dtype, like)
    start = int(header["vox_offset"])
    with nibabel.openers.Opener(str(path), "wb") as file:
        header.write_to(file)
        # Zeros up to the first pixel; the four bytes after the header say that no extension follows.
        file.write(bytes(start - file.tell()))
        for plane in planes:
            file.write(np.ascontiguousarray(plane).tobytes())


def _header(nibabel: Any, dtype: np.dtype[Any], like: ImageStack) -> Any:
    """Make the header of a labels file: that of the image where it was a NIfTI, else a new one."""
    if like.axes[:-2] not in {"", "z", "t", "c", "tz", "cz", "ct", "ctz"}:
        raise InputError(f"NIfTI cannot hold axes in the order {like.axes}. Write a TIFF (.tif) or Zarr (.zarr).")
    sizes = dict(zip(like.axes, like.shape, strict=True))
    last = max(_FILE_AXES.index(name) for name in like.axes)
    shape = tuple(sizes.get(name, 1) for name in _FILE_AXES[: max(3, last + 1)])
    if isinstance(like.header, nibabel.Nifti1Header):
        header = nibabel.Nifti1Header.from_header(like.header, check=False)
        zooms = [float(step) for step in like.header.get_zooms()]
    else:
        header = nibabel.Nifti1Header()
        zooms = []
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    steps = dict(zip(like.axes, like.spacing, strict=True))
    own = [steps.get(name, 1.0) for name in _FILE_AXES[: len(shape)]]
    header.set_zooms([*chain(zooms[: len(shape)], own[len(zooms) :])])
    if not isinstance(like.header, nibabel.Nifti1Header):
        _place(header, like, own)
    # Labels are the numbers that are stored: the image's own scaling must not be applied to them.
    header.set_slope_inter(1, 0)
    header.set_intent(_LABELS)
    # Both 0: no window. That of the image is in its header.
    header["cal_min"] = header["cal_max"] = 0
    # One file: magic and offset of the single-file kind, no extensions, which speak of the image.
    header.extensions.clear()
    header["magic"] = header.single_magic
    header["vox_offset"] = header.single_vox_offset
    return header


def _place(header: Any, like: ImageStack, steps: list[float]) -> None:
    """Set units and affine where the image was no NIfTI."""
    unit = like.units[-1]
    # Codes of nifti1.h: 1, a scanner's coordinates; 2, coordinates of somebody's choice.
    affine, code, space = like.affine, 1, "mm"
    if affine is None:
        if is_length(unit) and unit not in _UNITS:
            steps = [convert(step, unit, "micrometer") for step in steps[:3]]
            unit = "micrometer"
        affine, code, space = np.diag([*steps[:3], 1.0]), 2, _UNITS.get(unit, "unknown")
    time = _TIMES.get(like.units[like.axes.index("t")], "unknown") if "t" in like.axes else "unknown"
    header.set_xyzt_units(space, time)
    header.set_sform(affine, code)
    # A qform holds rotations only; the sform has all of the affine.
    header.set_qform(affine, code, strip_shears=True)
