"""Labels made anew from a journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.io.axes import PIXEL, unit_name
from napari_sam.io.stack import ImageStack
from napari_sam.journal.composing import compose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.journal.objects import JournalEntry

_AXES = {2: "yx", 3: "zyx", 4: "tzyx", 5: "tczyx"}


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """Labels made anew.

    Attributes
    ----------
    labels : ImageStack
        In memory, uint32, with the axes, spacing and units that the journal knows.
    renumbered : int
        Objects that got another number, because theirs was taken: those of a layer of the same name that was deleted.
    damaged : int
        Entries whose mask could not be read.
    """

    labels: ImageStack
    renumbered: int
    damaged: int


def restore(entries: Sequence[JournalEntry], path: Path) -> Restored:
    """Write objects into empty labels, as they were written into the layer.

    Parameters
    ----------
    entries : sequence of JournalEntry
        Of one target, oldest first; see `napari_sam.journal.objects.entries`.
    path : Path
        Of the journal.

    Raises
    ------
    InputError
        If the journal does not say how large the image is, or the labels do not fit into memory.
    """
    labels = empty_labels(entries, path)
    try:
        canvas = compose(entries)
        for plane in canvas.planes(labels.__getitem__):
            for region, pixels in plane.regions():
                labels[region] = pixels
    except MemoryError as error:
        raise _too_large(labels.shape) from error
    if canvas.damaged == len(entries):
        raise InputError(f"None of the {canvas.damaged} masks in {path.name} can be read: they are damaged.")
    return Restored(as_stack(labels, path, entries), canvas.renumbered, canvas.damaged)


def empty_labels(entries: Sequence[JournalEntry], path: Path) -> NDArray[np.uint32]:
    """Make room for the labels of a target; the errors are those of `restore`."""
    shape = entries[-1].target.shape
    if shape is None:
        raise InputError(f"{path.name} does not say how large the image is, so its labels cannot be made anew.")
    if len(shape) not in _AXES:
        raise InputError(f"Labels of 2 to 5 axes can be written; these have {len(shape)}.")
    try:
        # Pages of zeros take no memory until they are written to.
        return np.zeros(shape, dtype=np.uint32)
    except (MemoryError, ValueError, OverflowError) as error:
        raise _too_large(shape) from error


def as_stack(labels: NDArray[np.uint32], path: Path, entries: Sequence[JournalEntry]) -> ImageStack:
    """Give labels the axes, spacing and units that the newest entry knows."""
    calibration = next((entry.calibration for entry in reversed(entries) if entry.calibration), {})
    return _stack(labels, path, calibration)


def _too_large(shape: tuple[int, ...]) -> InputError:
    return InputError(f"Labels of {' x '.join(map(str, shape))} pixels do not fit into memory.")


def _stack(labels: NDArray[np.uint32], path: Path, calibration: Mapping[str, Any]) -> ImageStack:
    """Give labels the axes, spacing and units that the journal knows."""
    count = labels.ndim
    names, steps, units = (_listed(calibration.get(key), count) for key in ("axes", "scale", "units"))
    axes = "".join(str(name).lower() for name in names)
    if len(axes) != count or len(set(axes)) != count or not set(axes) <= set("tczyx") or not axes.endswith("yx"):
        axes = _AXES[count]
    known = [unit_name(str(unit)) for unit in units] or [PIXEL] * count
    spacing = [abs(float(step)) if isinstance(step, int | float) and np.isfinite(step) else 1.0 for step in steps]
    spacing = [step or 1.0 for step in spacing] or [1.0] * count
    return ImageStack(path=path, data=labels, axes=axes, spacing=tuple(spacing), units=tuple(known))


def _listed(value: Any, count: int) -> list[Any]:
    return value if isinstance(value, list) and len(value) == count else []
