"""Reading and writing the data of a Labels layer, whatever kind of array they are, at one resolution or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.session.napari_private import forget_coarsest_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex

_PIXELS_AT_A_TIME = 2**22
"""Pixels of a plane that are compared at a time."""


def full_resolution(layer: Labels) -> Any:
    """Return the data of a layer at full resolution: anything that NumPy indexing reads."""
    return layer.data[0] if layer.multiscale else layer.data


def label_mask(layer: Labels, view: PlaneIndex, label: int) -> NDArray[np.bool_]:
    """Read which pixels of a plane carry a label now, (H, W) bool."""
    height, width = view.shape
    found = np.zeros(view.shape, dtype=bool)
    step = max(1, _PIXELS_AT_A_TIME // width)
    for top in range(0, height, step):
        rows = np.asarray(full_resolution(layer)[view.slices((top, 0), (min(step, height - top), width))])
        found[top : top + step] = rows == label
    return found


def write_problem(layer: Labels, label: int) -> str:
    """Say why an id cannot be written into a layer; "" when it can.

    napari itself would fail half-way, after it has noted the change in its history.
    """
    name, levels = layer.name, tuple(layer.data) if layer.multiscale else (layer.data,)
    dtype = _dtype(levels[0])
    if label > (most := np.iinfo(dtype).max):
        return (
            f'"{name}" stores {dtype.name} labels, which end at {most}. Convert it to a wider '
            "integer type (right-click the layer, Convert data type), or add a new labels layer."
        )
    if any(_is_read_only(data) for data in levels):
        return f'The data of "{name}" are read-only. Duplicate the layer, or add a new labels layer.'
    if not all(_takes_pixels(data) for data in levels):
        kind = type(levels[0]).__module__.partition(".")[0]
        return (
            f'"{name}" is a {kind} array, of which single pixels cannot be set. Add a new labels layer, or open these '
            "labels as a NumPy or zarr array."
        )
    return ""


def wider_dtype(layer: Labels, label: int) -> np.dtype[Any] | None:
    """Return the narrowest integers that hold an id and all that a layer holds; None where its data must stay.

    Only an array in memory may be replaced by another one: of a file, the person would have two.
    """
    data = layer.data
    if layer.multiscale or type(data) is not np.ndarray or not data.flags.writeable or data.dtype.kind not in "iu":
        return None
    wider = [np.dtype(f"{data.dtype.kind}{size}") for size in (2, 4, 8) if size > data.dtype.itemsize]
    return next((dtype for dtype in wider if label <= np.iinfo(dtype).max), None)


def write_levels(levels: Sequence[Any], region: tuple[int | slice, ...], block: NDArray[Any]) -> None:
    """Write a block into a pyramid: as it is at full resolution, by its nearest pixels at the others.

    Parameters
    ----------
    levels : sequence of array-like
        The resolutions, finest first.
    region : tuple of (int or slice)
        Index of the block at full resolution; slices with a start and a stop.
    block : numpy.ndarray
        What to write there; one axis for each slice.
    """
    levels[0][region] = block
    for level in levels[1:]:
        found = [_sampled(at, *sizes) for at, *sizes in zip(region, levels[0].shape, level.shape, strict=True)]
        # A small object may lie between the pixels of a coarse level.
        if all(len(own) for own, _ in found):
            inside = np.ix_(
                *(fine - at.start for at, (_, fine) in zip(region, found, strict=True) if isinstance(at, slice))
            )
            index = tuple(
                slice(int(own[0]), int(own[-1]) + 1) if isinstance(at, slice) else int(own[0])
                for at, (own, _) in zip(region, found, strict=True)
            )
            level[index] = block[inside]


def redraw_levels(layer: Labels) -> None:
    """Draw a layer of several resolutions anew, after its data were written."""
    forget_coarsest_level(layer)
    layer.refresh(extent=False)


def _sampled(at: int | slice, full_size: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the pixels of a coarse axis whose nearest fine ones are in a range: their indices, and those of the fine."""
    start, stop = (at.start, at.stop) if isinstance(at, slice) else (at, at + 1)
    ratio = full_size / size
    # One more at both ends, as rounding must lose none; those outside fall out below.
    own = np.arange(max(0, int(start / ratio) - 1), min(size, int(stop / ratio) + 2))
    fine = np.minimum(np.floor((own + 0.5) * ratio).astype(np.int64), full_size - 1)
    inside = (fine >= start) & (fine < stop)
    return own[inside], fine[inside]


def _dtype(data: Any) -> np.dtype[Any]:
    """Return the NumPy dtype of an array; tensorstore has dtypes of its own, which say what NumPy's they are."""
    dtype: np.dtype[Any] = np.dtype(getattr(data.dtype, "numpy_dtype", data.dtype))
    return dtype


def _is_read_only(data: Any) -> bool:
    """Tell whether an array says that it cannot be written."""
    if isinstance(data, np.ndarray):
        return not data.flags.writeable
    # zarr says the one, tensorstore the other.
    return bool(getattr(data, "read_only", False)) or getattr(data, "writable", True) is False


def _takes_pixels(data: Any) -> bool:
    """Tell whether an array sets pixels by lists of their coordinates, as NumPy does and as napari needs.

    dask has no such indexing, and xarray takes the lists for rows and columns, as of a table; both are found out by
    reading at most four pixels.
    """
    if isinstance(data, np.ndarray):
        return True
    if not hasattr(data, "__setitem__"):
        return False
    try:
        return tuple(data[(np.array([0, 0]),) * data.ndim].shape) == (2,)
    except Exception:  # each library has exceptions of its own for what it does not do
        return False
