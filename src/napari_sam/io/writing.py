"""What writers of labels share: the type, the planes one by one, and replacing a file in one step."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.files import replacing
from napari_sam.io.outputs import reason, remedy, require_replaceable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path, PurePath

    from numpy.typing import NDArray

_FIRST_SUFFIXES = (".ome", ".nii")
_TYPES = (np.uint8, np.uint16, np.uint32)


@contextmanager
def replacing_result(path: Path) -> Iterator[Path]:
    """Give a place to write to; when the block ends well, what it wrote takes the place of `path`.

    Parameters
    ----------
    path : Path
        A file, or a folder where the format is one. A crash leaves what was there.

    Yields
    ------
    Path
        In the same folder, with the same suffixes.

    Raises
    ------
    InputError
        If it cannot be written, or something is there that must not be replaced.
    """
    require_replaceable(path)
    # Short, because `path` may have the longest name that there can be.
    temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(3)}.tmp{_suffixes(path)}")
    try:
        with replacing(path, temporary):
            yield temporary
    except OSError as error:
        raise InputError(f"{path} cannot be written: {reason(error)}. {remedy(error)}") from error


def _suffixes(path: PurePath) -> str:
    """Return the suffix that names a format: the last one, or the last two as in ``.ome.tif``."""
    first = type(path)(path.stem).suffix
    return (first if first.lower() in _FIRST_SUFFIXES else "") + path.suffix


def label_planes(labels: Any, shape: tuple[int, ...], largest: int | None) -> tuple[np.dtype[Any], Iterator[Any]]:
    """Choose the type of labels, and give their planes one by one.

    Parameters
    ----------
    labels : array-like of `shape`, or iterable of numpy.ndarray, shape (H, W)
        An iterable gives the planes in C order of the leading axes.
    shape : tuple of int
        Of the stack.
    largest : int, optional
        The largest label. Default: found by looking at an array; 2 ** 32 - 1 for an iterable.

    Returns
    -------
    dtype : numpy.dtype
        uint8, uint16 or uint32, the smallest that holds `largest`.
    planes : iterator
        As they come, unchecked; see `checked`.

    Raises
    ------
    InputError
        If an array is not of that shape, or `largest` is too large.
    """
    planes: Iterable[Any] = labels
    if hasattr(labels, "shape") and hasattr(labels, "dtype"):
        if tuple(labels.shape) != shape:
            raise InputError(f"The labels are of shape {tuple(labels.shape)}, the stack of {shape}.")
        if largest is None:
            largest = max((int(plane.max(initial=0)) for plane in _array_planes(labels)), default=0)
        planes = _array_planes(labels)
    top = np.iinfo(np.uint32).max if largest is None else largest
    dtype = next((np.dtype(kind) for kind in _TYPES if top <= np.iinfo(kind).max), None)
    if dtype is None:
        raise InputError(f"The largest label is {top}; files hold labels up to {np.iinfo(np.uint32).max}.")
    return dtype, iter(planes)


def checked(planes: Iterator[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Give as many planes as a stack has, each of its shape and of a type.

    Parameters
    ----------
    planes : iterator
        Not advanced past the last plane of the stack.
    shape : tuple of int
        Of the stack.
    dtype : numpy.dtype

    Yields
    ------
    numpy.ndarray, shape (H, W)

    Raises
    ------
    InputError
        If planes are missing, or are not whole numbers that the type holds.
    """
    top = np.iinfo(dtype).max
    for _ in np.ndindex(*shape[:-2]):
        if (plane := next(planes, None)) is None:
            raise InputError("There are fewer planes of labels than the stack has.")
        pixels = np.asarray(plane)
        if pixels.shape != shape[-2:] or pixels.dtype.kind not in "bui":
            raise InputError(f"Labels are whole numbers, {shape[-2:]} a plane; got {pixels.dtype}, {pixels.shape}.")
        if int(pixels.min(initial=0)) < 0 or int(pixels.max(initial=0)) > top:
            raise InputError(f"Labels are from 0 to {top} here; got {pixels.min()} to {pixels.max()}.")
        yield pixels.astype(dtype, copy=False)


def _array_planes(labels: Any) -> Iterator[NDArray[Any]]:
    return (np.asarray(labels[at]) for at in np.ndindex(*labels.shape[:-2]))
