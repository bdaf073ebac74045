"""What the headers of DICOM images say of their frames (PS3.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.io.axes import PIXEL
from napari_sam.io.reading import require_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class DicomFrame:
    """One slice.

    Parameters
    ----------
    path : Path
    index : int
        Which frame of the file.
    number : float
        Order where there is no position.
    position : numpy.ndarray, shape (3,), optional
        Centre of the first pixel in the patient's millimetres (LPS).
    slope, intercept : float
        Grey value = slope x stored value + intercept (C.11.1).
    window : (float, float), optional
        Grey values shown black and white.
    dtype : numpy.dtype
        Smallest type for the grey values.
    """

    path: Path
    index: int
    number: float
    position: NDArray[np.float64] | None
    slope: float
    intercept: float
    window: tuple[float, float] | None
    dtype: np.dtype[Any]

    def read(self, pydicom: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Decode the frame; shape (H, W) or (H, W, 3), colours as RGB."""
        require_file(self.path)
        try:
            stored = pydicom.pixels.pixel_array(self.path, index=self.index)
        except RuntimeError as error:  # what pydicom raises where no decoder of the compression is installed
            words = str(error).partition(" because ")[0]
            raise InputError(
                f"{self.path} cannot be decoded: {words}. Decoders come with: pip install pylibjpeg[all] pyjpegls."
            ) from error
        if (self.slope, self.intercept) == (1, 0):
            plain: NDArray[Any] = np.asarray(stored, dtype)
            return plain
        # float64 holds every stored value exactly, and so their sums when all numbers are whole.
        values: NDArray[Any] = (stored.astype(np.float64) * self.slope + self.intercept).astype(dtype)
        return values


@dataclass(frozen=True, eq=False)
class FramePixels:
    """One file.

    Parameters
    ----------
    path : Path
    series, description : str
        Of the series it belongs to.
    rows, columns : int
    rgb : bool
    spacing : ((float, str), (float, str))
        Of rows and columns, with units.
    orientation : numpy.ndarray, shape (6,), optional
        Directions of growing column and row index (C.7.6.2.1.1).
    thickness : float, optional
        Distance between slices, or their thickness, in mm.
    frame_time : float, optional
        Of a film, in ms.
    frames : tuple of DicomFrame
    notes : tuple of str
    """

    path: Path
    series: str
    description: str
    rows: int
    columns: int
    rgb: bool
    spacing: tuple[tuple[float, str], tuple[float, str]]
    orientation: NDArray[np.float64] | None
    thickness: float | None
    frame_time: float | None
    frames: tuple[DicomFrame, ...]
    notes: tuple[str, ...]


def frames_of(path: Path, header: Any) -> FramePixels:
    """Read what a stack needs out of a header.

    Parameters
    ----------
    path : Path
    header : pydicom.Dataset
        Without pixels.

    Returns
    -------
    FramePixels

    Raises
    ------
    InputError
        If the colours are those of a palette, or frames of one file are turned against each other.
    """
    photometric = str(header.get("PhotometricInterpretation", ""))
    if photometric == "PALETTE COLOR":
        raise InputError(f"{path} has the colours of a palette. Convert it to RGB or grey.")
    count = _frame_count(path, header)
    groups = [_groups(header, index) for index in range(count)]
    orientations = [_vector(_find(group, "ImageOrientationPatient"), 6) for group in groups]
    if any(not same_direction(orientation, orientations[0]) for orientation in orientations):
        raise InputError(f"{path} has frames that are turned against each other. Save the parallel ones.")
    rgb = int(header.get("SamplesPerPixel") or 1) == 3
    inverted = photometric == "MONOCHROME1"
    time = header.get("FrameTime")
    return FramePixels(
        path=path,
        series=str(header.get("SeriesInstanceUID", "")),
        description=str(header.get("SeriesDescription", "")),
        rows=int(header.Rows),
        columns=int(header.Columns),
        rgb=rgb,
        spacing=_spacing(groups[0]),
        orientation=orientations[0],
        thickness=_number(_find(groups[0], "SpacingBetweenSlices"), _find(groups[0], "SliceThickness")),
        frame_time=float(time) if time and count > 1 else None,
        frames=tuple(_frame(path, index, group, header, rgb, count) for index, group in enumerate(groups)),
        notes=("The smallest values of this image are meant to be shown white; they are black here.",) * inverted,
    )


def _groups(header: Any, index: int) -> list[Any]:
    """Give the places where attributes of a frame are looked for: its own, the shared ones, the file's."""
    places = []
    if (own := header.get("PerFrameFunctionalGroupsSequence")) and index < len(own):
        places.append(own[index])
    if shared := header.get("SharedFunctionalGroupsSequence"):
        places.append(shared[0])
    # Macros of functional groups are sequences of one item each.
    items = [item for place in places for e in place if e.VR == "SQ" and e.value for item in e.value[:1]]
    return [*items, header]


def _find(groups: Sequence[Any], name: str) -> Any:
    for group in groups:
        if (value := group.get(name)) not in (None, ""):
            return value
    return None


def _vector(value: Any, length: int) -> NDArray[np.float64] | None:
    if value is None or isinstance(value, str | int | float) or len(value) != length:
        return None
    vector = np.asarray(value, np.float64)
    return vector if np.isfinite(vector).all() else None


def _number(*values: Any) -> float | None:
    """Return the first positive number."""
    for value in values:
        if value is not None and math.isfinite(number := abs(float(value))) and number > 0:
            return number
    return None


def same_direction(one: NDArray[np.float64] | None, other: NDArray[np.float64] | None) -> bool:
    """Tell whether two orientations are alike but for rounding, or both unknown."""
    if one is None or other is None:
        return one is other
    return bool(np.allclose(one, other, atol=1e-3))


def _spacing(groups: Sequence[Any]) -> tuple[tuple[float, str], tuple[float, str]]:
    pair = _vector(_find(groups, "PixelSpacing"), 2)
    if pair is None:
        pair = _vector(_find(groups, "ImagerPixelSpacing"), 2)
    if pair is None or not (pair > 0).all():
        return (1.0, PIXEL), (1.0, PIXEL)
    return (float(pair[0]), "millimeter"), (float(pair[1]), "millimeter")


def _frame_count(path: Path, header: Any) -> int:
    """Read the number of frames, and refuse one that no file of this length holds."""
    count = int(header.get("NumberOfFrames") or 1)
    # A compressed frame is at least one item of a sequence, with 8 bytes of its own (PS3.5, A.4).
    if count < 1 or (count > 1 and count > path.stat().st_size // 8):
        raise InputError(f"{path} says that it has {count} frames, which it does not hold. It is damaged.")
    return count


def _frame(path: Path, index: int, groups: Sequence[Any], header: Any, rgb: bool, count: int) -> DicomFrame:
    slope, intercept = _find(groups, "RescaleSlope"), _find(groups, "RescaleIntercept")
    # A position that the whole file has is that of its first frame.
    own = groups if count == 1 else groups[:-1]
    scale = (1.0, 0.0) if rgb or slope is None else (float(slope), float(intercept or 0))
    if not all(map(math.isfinite, scale)):
        raise InputError(f"{path} rescales its values by {scale[0]:g} and {scale[1]:g}, which are no numbers.")
    return DicomFrame(
        path=path,
        index=index,
        number=float(header.get("InstanceNumber") or 0) + index,
        position=_vector(_find(own, "ImagePositionPatient"), 3),
        slope=scale[0],
        intercept=scale[1],
        window=_window(groups),
        dtype=_dtype(header, *scale),
    )


def _window(groups: Sequence[Any]) -> tuple[float, float] | None:
    """Read the first window, in the way of the linear function (C.11.2.1.2.1): its ends are half a value inside."""
    centre, width = (_first(_find(groups, name)) for name in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None or not (math.isfinite(centre) and 1 < width < math.inf):
        return None
    return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2


def _first(value: Any) -> float | None:
    if value is None:
        return None
    return float(value if isinstance(value, str | int | float) or not hasattr(value, "__len__") else value[0])


def _dtype(header: Any, slope: float, intercept: float) -> np.dtype[Any]:
    """Choose the smallest type that holds every stored value after rescaling."""
    bits, signed = int(header.get("BitsAllocated") or 16), bool(header.get("PixelRepresentation"))
    if not (slope.is_integer() and intercept.is_integer()) or bits > 16:
        return np.dtype(np.float32 if bits <= 16 else np.float64)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    least, most = sorted((low * slope + intercept, high * slope + intercept))
    kinds = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64)
    return next(np.dtype(kind) for kind in kinds if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max)
