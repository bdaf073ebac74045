"""DICOM series and multi-frame files, read by pydicom."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.files import open_plain
from napari_sam.io.formats.dicom_frames import DicomFrame, FramePixels, frames_of, same_direction
from napari_sam.io.formats.lazy import PagedArray
from napari_sam.io.reading import reading, require
from napari_sam.io.stack import ImageStack, make_stack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

EXTRA = "medical"
_WHAT = "DICOM files"
# Steps between slices that differ by less than this share of the median step are the rounding of positions.
_EVEN = 0.1
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class _Order:
    """Frames in the order of a stack, and what follows from it."""

    frames: Sequence[DicomFrame]
    axis: str
    step: tuple[float, str] | None
    affine: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()


def is_dicom(path: Path) -> bool:
    """Tell whether a file begins as DICOM files do (PS3.10, 7.1)."""
    try:
        with open_plain(path) as file:
            # After 128 bytes that may be anything.
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_dicom(path: Path) -> ImageStack:
    """Open a DICOM file, or the one series of a folder.

    Parameters
    ----------
    path : Path
        A file, of one frame or many, or a folder with the slices of one series; files of other kinds are passed over.

    Returns
    -------
    ImageStack
        Slices are in the order of their positions along the normal of their plane. Grey values are rescaled as the
        file says (Hounsfield units, say); `windows` is the median of the windows that the slices state.

    Raises
    ------
    InputError
        If the folder holds several series, slices that do not belong together, or gaps.
    """
    pydicom = require("pydicom", EXTRA, _WHAT)
    with reading(path):
        pictures = _pictures(pydicom, path)
        first = _one_series(path, pictures)
        order = _ordered(path, [frame for picture in pictures for frame in picture.frames], first)
        frames = order.frames
        # Slices may be rescaled each in its own way: one type that holds them all.
        dtype = np.result_type(*{frame.dtype for frame in frames})

        def read(number: int) -> NDArray[Any]:
            return frames[number].read(pydicom, dtype)

        shape = (first.rows, first.columns, *((3,) if first.rgb else ()))
        calibration = {"y": first.spacing[0], "x": first.spacing[1]}
        if order.step is not None:
            calibration[order.axis] = order.step
        return make_stack(
            path,
            PagedArray(read, (len(frames),), shape, dtype, path),
            order.axis + "yx" + "s" * first.rgb,
            calibration,
            windows=_window(frames) if not first.rgb else (),
            affine=order.affine,
            files=tuple(picture.path for picture in pictures),
            notes=(*first.notes, *order.notes),
        )


def _pictures(pydicom: Any, path: Path) -> list[FramePixels]:
    """Read the headers of all images."""
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.is_file())
    found = []
    for file in files:
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True)
        # A folder of slices often holds a DICOMDIR, notes and pictures as well.
        except pydicom.errors.InvalidDicomError:
            if path.is_file():
                raise
            continue
        # Reports and structure sets are DICOM files without a picture.
        if "Rows" in header and "Columns" in header:
            found.append(frames_of(file, header))
    if not found:
        raise InputError(f"{path} holds no DICOM image.")
    return found


def _one_series(path: Path, pictures: Sequence[FramePixels]) -> FramePixels:
    """Check that pictures belong together; return the first."""
    series = Counter((picture.series, picture.description) for picture in pictures)
    if len({uid for uid, _ in series}) > 1:
        names = "; ".join(f"{description or uid} ({count} files)" for (uid, description), count in series.items())
        raise InputError(f"{path} holds several series: {names}. Put the files of one into a folder of its own.")
    first = pictures[0]
    for picture in pictures[1:]:
        for what, same in (
            ("size", (picture.rows, picture.columns, picture.rgb) == (first.rows, first.columns, first.rgb)),
            ("pixel spacing", np.allclose(_steps(picture), _steps(first), rtol=1e-3)),
            ("orientation", same_direction(picture.orientation, first.orientation)),
        ):
            if not same:
                raise InputError(
                    f"{picture.path.name} and {first.path.name} of {path} differ in {what}, though of one series. "
                    "Take scouts and reformatted slices out of the folder."
                )
    return first


def _steps(picture: FramePixels) -> list[float]:
    return [step for step, _ in picture.spacing]


def _ordered(path: Path, frames: list[DicomFrame], first: FramePixels) -> _Order:
    """Sort frames along the normal of their plane, or by number where they have no place."""
    orientation = first.orientation
    places = [frame.position for frame in frames]
    if orientation is None or any(place is None for place in places):
        frames = sorted(frames, key=lambda frame: frame.number)
        if first.frame_time is not None:
            return _Order(frames, "t", (first.frame_time, "millisecond"))
        notes = ("The files do not say where the slices lie; they are in the order of their numbers.",)
        thickness = first.thickness
        known = (thickness, "millimeter") if thickness else None
        return _Order(frames, "z", known, None, notes if len(frames) > 1 else ())
    positions = np.asarray(places, np.float64)
    # Along a row times along a column: slices follow each other at right angles to both.
    normal = np.cross(orientation[:3], orientation[3:])
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    frames, positions = [frames[at] for at in order], positions[order]
    step = _even_step(path, frames, along[order])
    if step is None:  # one slice
        vector, size = normal * (first.thickness or 1.0), first.thickness
    else:
        # From the first to the last one, so that the rounding of positions does not add up.
        vector, size = (positions[-1] - positions[0]) / (len(frames) - 1), step
    affine = np.eye(4)
    rows, columns = _steps(first)
    # The first three numbers point along a row, where the column index grows.
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = orientation[:3] * columns, orientation[3:] * rows, vector
    affine[:3, 3] = positions[0]
    return _Order(frames, "z", (size, "millimeter") if size else None, _LPS_TO_RAS @ affine)


def _even_step(path: Path, frames: Sequence[DicomFrame], along: NDArray[np.float64]) -> float | None:
    """Return the distance between slices, in mm, if it is the same for all."""
    steps = np.diff(along)
    if not steps.size:
        return None
    # The median, as a gap must not move what the others are compared with.
    step = float(np.median(steps))
    names = [frame.path.name for frame in frames]
    if (twice := np.flatnonzero(steps < 1e-3)).size:
        at = int(twice[0])
        raise InputError(
            f"{path}: {names[at]} and {names[at + 1]} lie at the same place. Put each time point or echo into a "
            "folder of its own."
        )
    if (bad := np.flatnonzero(np.abs(steps - step) > _EVEN * step)).size:
        at = int(bad[0])
        gaps = f"{steps[at]:.2f} mm, elsewhere {step:.2f} mm"
        raise InputError(
            f"{path}: the slices are not evenly spaced: between {names[at]} and {names[at + 1]} it is {gaps}. "
            "Slices may be missing; add them, or put an even part into a folder of its own."
        )
    return step


def _window(frames: Sequence[DicomFrame]) -> tuple[tuple[float, float], ...]:
    """Take the median of the windows of the slices, if every one states one."""
    windows = [frame.window for frame in frames if frame.window is not None]
    if len(windows) < len(frames):
        return ()
    low, high = np.median(np.asarray(windows), axis=0)
    return ((float(low), float(high)),)
