"""What napari opens and saves with this plugin: stacks as layers, and labels layers as files, calibration kept.

napari calls these functions by their names in ``napari.yaml``. Layers go back and forth as napari's plain tuples of
data, options and type, so that nothing of napari is needed here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError, NapariSamError
from napari_sam.io.axes import PIXEL, common_length, unit_name
from napari_sam.io.memory import largest_read
from napari_sam.io.stack import ImageStack
from napari_sam.io.stacks import open_stack, write_stack_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    LayerData = tuple[Any, dict[str, Any], str]

# Larger stacks stay in their file, plane by plane: smaller ones are at hand at once, and labels can be changed.
_AT_ONCE = 512 * 2**20
# Names of axes for layers that name none, by their number.
_UNNAMED = {2: "yx", 3: "zyx", 4: "tzyx", 5: "tczyx"}
AFFINE = "affine_to_scanner"
"""Key in the metadata of a layer: `ImageStack.affine` as lists, for labels saved with place and orientation."""


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """Say whether a path can be read, by giving what reads it; several paths are for napari's own readers."""
    return read_layers if isinstance(path, str) else None


def read_layers(path: str) -> list[LayerData]:
    """Read a stack as one layer, with the pixels, axes, scale and units that the command line has.

    Parameters
    ----------
    path : str
        What `napari_sam.io.stacks.open_stack` opens.

    Returns
    -------
    list of (array-like, dict, str)
        One layer of the axes of the stack; "labels" for whole numbers that the file, or its name, says are labels.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    stack = open_stack(path)
    labels = _is_labels(stack)
    options: dict[str, Any] = {
        "name": _name(stack.path),
        "scale": stack.spacing,
        "units": stack.units,
        "axis_labels": tuple(stack.axes),
        "metadata": {"notes": list(stack.notes)},
    }
    if stack.affine is not None:
        options["metadata"][AFFINE] = stack.affine.tolist()
    if not labels:
        options |= {"rgb": stack.rgb}
        if (limits := stack.contrast_limits) is not None:
            options["contrast_limits"] = limits
    return [(_data(stack, labels=labels, options=options), options, "labels" if labels else "image")]


def _name(path: Path) -> str:
    """Name a layer after its file, without the ends of two parts that napari cuts in half."""
    name = Path(path.name if path.is_dir() and path.suffix.lower() != ".zarr" else path.stem)
    return name.stem if name.suffix.lower() in (".nii", ".ome") else name.name


def _data(stack: ImageStack, *, labels: bool, options: dict[str, Any]) -> Any:
    """Give all pixels of a small stack, else arrays that stay in the file."""
    if stack.data.size * stack.data.dtype.itemsize <= min(_AT_ONCE, largest_read()):
        # All of it is in memory then, and the file can be closed.
        with stack:
            pixels = np.array(stack.data)
        return pixels.astype(np.uint8) if labels and pixels.dtype == np.bool_ else pixels
    if stack.levels:
        options["multiscale"] = True
        return [stack.data, *stack.levels]
    return stack.data


def _is_labels(stack: ImageStack) -> bool:
    """Tell labels from images: whole numbers, and the file or its name says so."""
    named = any(word in stack.path.name.lower() for word in ("label", "_seg", "-seg"))
    return stack.data.dtype.kind in "biu" and not stack.rgb and (stack.is_labels or named)


def write_labels(path: str, data: Any, options: Mapping[str, Any]) -> list[str]:
    """Write a labels layer with its scale, units and axis labels.

    Parameters
    ----------
    path : str
        See `napari_sam.io.stacks.write_stack_labels`.
    data : array-like of int, or list of those
        Of several resolutions, the finest is written.
    options : mapping
        Of the layer, as napari gives them.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    NapariSamError
        If it cannot be written.
    """
    pixels = finest(data, options)
    try:
        write_stack_labels(path, pixels, _described(pixels, options))
    except InputError as error:
        # napari takes a ValueError, which an InputError is, for there being no writer, and drops its words.
        raise NapariSamError(str(error)) from error
    return [path]


def finest(data: Any, options: Mapping[str, Any]) -> Any:
    """Return the array of a layer, or of several resolutions the finest."""
    # napari's pyramids are sequences of arrays, and look like the finest, but are read as the coarsest.
    return data[0] if options.get("multiscale") or not hasattr(data, "dtype") else data


def _described(data: Any, options: Mapping[str, Any]) -> ImageStack:
    """Describe a layer as the stack that its labels are of."""
    count = len(data.shape)
    if count not in _UNNAMED:
        raise InputError(f"The layer has {count} axes; labels are written with two to five. Save a part of it.")
    given = "".join(str(label) for label in options.get("axis_labels") or ())
    named = len(given) == count == len(set(given)) and set(given) <= set("tczyx") and given.endswith("yx")
    units = [unit_name(str(unit)) for unit in options.get("units") or (PIXEL,) * count]
    # A layer that is turned over has a negative scale; files know distances only.
    steps = [abs(float(step)) or 1.0 for step in options.get("scale", (1.0,) * count)]
    spacing, units_ = common_length(steps, units)
    affine = (options.get("metadata") or {}).get(AFFINE)
    return ImageStack(
        # Only named in errors: nobody knows which file the layer came from.
        Path("the layer"),
        data,
        given if named else _UNNAMED[count],
        spacing=spacing,
        units=units_,
        affine=None if affine is None else np.asarray(affine, np.float64),
    )
