"""Labels made anew from a journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.io.axes import PIXEL, unit_name
from napari_sam.io.stack import ImageStack
from napari_sam.masks import decode_mask

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
    shape = entries[-1].target.shape
    if shape is None:
        raise InputError(f"{path.name} does not say how large the image is, so its labels cannot be made anew.")
    if len(shape) not in _AXES:
        raise InputError(f"Labels of 2 to 5 axes can be written; these have {len(shape)}.")
    try:
        # Pages of zeros take no memory until they are written to.
        labels = np.zeros(shape, dtype=np.uint32)
        renumbered, damaged = _write_all(labels, entries)
    except (MemoryError, ValueError, OverflowError) as error:
        size = " x ".join(map(str, shape))
        raise InputError(f"Labels of {size} pixels do not fit into memory.") from error
    if damaged == len(entries):
        raise InputError(f"None of the {damaged} masks in {path.name} can be read: they are damaged.")
    calibration = next((entry.calibration for entry in reversed(entries) if entry.calibration), {})
    return Restored(_stack(labels, path, calibration), renumbered, damaged)


def _write_all(labels: NDArray[np.uint32], entries: Sequence[JournalEntry]) -> tuple[int, int]:
    """Write entries in their order; count the objects that got another number, and the masks that are damaged."""
    # Beyond all numbers of the journal: what is new here is free on every plane.
    top = max(entry.label for entry in entries)
    numbers: dict[int, int] = {}  # what an object is called here, where its own number was taken
    damaged = 0
    for entry in entries:
        try:
            mask = decode_mask(entry.mask)
        except InputError:
            damaged += 1
            continue
        label = numbers.get(entry.label, entry.label)
        place: list[Any] = [0 if at is None else at for at in entry.index]
        for axis in entry.axes:
            place[axis] = slice(None)
        plane = labels[tuple(place)]
        present = plane == label
        # What has the number lies elsewhere on the plane, so that it is another object.
        if present.any() and mask.any() and not (present & mask).any():
            top += 1
            label = numbers[entry.label] = top
        else:
            plane[present] = 0  # a correction, or the object was taken off
        plane[mask] = label
    return len(numbers), damaged


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
