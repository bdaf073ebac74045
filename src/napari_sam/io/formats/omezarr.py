"""Zarr arrays and OME-Zarr images, versions 0.4 and 0.5 (https://ngff.openmicroscopy.org)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.files import NotPlainError
from napari_sam.io.axes import PIXEL, guess_axes, name_axes, unit_name
from napari_sam.io.contrast import finite
from napari_sam.io.formats.ome_metadata import multiscale, ome_attributes
from napari_sam.io.memory import require_room
from napari_sam.io.reading import reading, require
from napari_sam.io.stack import ImageStack, make_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

EXTRA = "zarr"
_CHUNK = 1024
# Each chunk of a plane is a file to open: minutes for more.
_MOST_CHUNKS = 2**18
# The format of Zarr that OME-Zarr 0.4 is in; `ImageStack.header` holds that of an OME-Zarr image.
_ZARR_2 = 2


def is_zarr(path: Path) -> bool:
    """Tell whether a folder is a Zarr array or group, of version 2 or 3."""
    return any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def read_zarr(path: Path) -> ImageStack:
    """Open a Zarr array, or the image of an OME-Zarr group.

    Parameters
    ----------
    path : Path
        The folder.

    Returns
    -------
    ImageStack
        At full resolution, with the coarser levels; axes, spacing, units and windows as the metadata have them. Only
        the chunks that a plane crosses are read.

    Raises
    ------
    InputError
        If it is no image, or zarr is not installed.
    """
    zarr = require("zarr", EXTRA, "Zarr files")
    with reading(path):
        node = zarr.open(_plain_store(path), mode="r")
        if isinstance(node, zarr.Array):
            return _plain(path, node, ())
        ome = ome_attributes(node.attrs)
        if "multiscales" in ome:
            return _image(path, node, ome, ())
        return _inside(path, zarr, node, ome)


def _plain_store(path: Path) -> Any:
    """Give the folder as a store that opens regular files alone: reading a pipe would never end."""
    from zarr.storage import LocalStore

    class PlainStore(LocalStore):
        async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
            # Opening a pipe would wait for ever for somebody to write into it.
            if (file := path / key).exists() and not file.is_file():
                raise NotPlainError(f"{key} in it is no file")
            return await super().get(key, prototype, byte_range)

    return PlainStore(path, read_only=True)


def _require_chunks(path: Path, array: Any) -> Any:
    """Refuse an array whose chunks do not fit into memory, or are so small that a plane never ends."""
    require_room(path, math.prod(array.shards or array.chunks) * array.dtype.itemsize, "one chunk")
    across = math.prod(
        -(-size // max(1, chunk)) for size, chunk in zip(array.shape[-2:], array.chunks[-2:], strict=True)
    )
    if across > _MOST_CHUNKS:
        raise InputError(f"{path} has {across:,} chunks in one plane. Save it with larger chunks, 256 x 256 say.")
    return array


def _plain(path: Path, array: Any, notes: tuple[str, ...]) -> ImageStack:
    """Open an array by the names of its dimensions (Zarr 3; xarray's attribute), or else by their number."""
    _require_chunks(path, array)
    given = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    letters = [str(name or "?") for name in given or ()]
    if {"y", "x"} <= {letter.lower() for letter in letters}:
        names, more = name_axes(letters, array.shape)
        return make_stack(path, array, names, {}, notes=(*notes, *more))
    return make_stack(path, array, guess_axes(array.shape), {}, notes=notes)


def _inside(path: Path, zarr: Any, group: Any, ome: dict[str, Any]) -> ImageStack:
    """Open what a group without an image of its own holds, if that is one thing."""
    if "plate" in ome or "well" in ome:
        raise InputError(f"{path} is a plate. Name the image of one field in it: PLATE.zarr/A/1/0.")
    # bioformats2raw puts each series of a file into a group of its own, by number.
    if "bioformats2raw.layout" in ome and "0" in group:
        image = group["0"]
        return _image(path, image, ome_attributes(image.attrs), (f"The first image of {path.name}, 0, is read.",))
    arrays = [(name, member) for name, member in group.members() if isinstance(member, zarr.Array)]
    if len(arrays) == 1:
        return _plain(path, arrays[0][1], (f"The array {arrays[0][0]} of {path.name} is read.",))
    inside = ", ".join(sorted(name for name, _ in group.members())) or "nothing"
    raise InputError(f"{path} is a Zarr group, but no OME-Zarr image. Name one array in it; it holds {inside}.")


def _image(path: Path, group: Any, ome: dict[str, Any], notes: tuple[str, ...]) -> ImageStack:
    """Open the first multiscale image of a group."""
    if not ome.get("multiscales"):
        raise InputError(f"{path} has no OME-Zarr image at its place. Name the image in it.")
    image = ome["multiscales"][0]
    levels = [_require_chunks(path, group[dataset["path"]]) for dataset in image["datasets"]]
    # Version 0.3 has bare names, and before that there were always five axes.
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in image.get("axes") or "tczyx"]
    names, more = name_axes([axis["name"] for axis in axes], levels[0].shape)
    scale = _scale(image, len(axes)) * _scale(image["datasets"][0], len(axes))
    calibration = {
        name: (step, unit_name(axis.get("unit")))
        for name, step, axis in zip(names, scale, axes, strict=True)
        if unit_name(axis.get("unit")) != PIXEL or step != 1
    }
    return make_stack(
        path,
        levels[0],
        names,
        calibration,
        # Levels that lack an axis cannot be arranged alike.
        levels=[level for level in levels[1:] if level.ndim == levels[0].ndim],
        windows=_windows(ome, names, levels[0].shape),
        header=int(group.metadata.zarr_format),
        is_labels="image-label" in ome,
        notes=(*notes, *more),
    )


def _scale(owner: dict[str, Any], count: int) -> NDArray[np.float64]:
    """Multiply the scales of a list of coordinate transformations."""
    total = np.ones(count)
    for step in owner.get("coordinateTransformations") or ():
        if step.get("type") == "scale" and len(step.get("scale", ())) == count:
            total = total * np.asarray(step["scale"], np.float64)
    return total


def _windows(ome: dict[str, Any], names: str, shape: tuple[int, ...]) -> tuple[tuple[float, float], ...]:
    """Read the window of each channel, from the `omero` metadata, if every one states it."""
    channels = (ome.get("omero") or {}).get("channels") or []
    windows = [channel.get("window") or {} for channel in channels]
    limits = tuple((float(w.get("start", math.nan)), float(w.get("end", math.nan))) for w in windows)
    count = shape[names.index("c")] if "c" in names else 1
    return limits if len(limits) == count and all(finite(pair) for pair in limits) else ()


def write_zarr(path: Path, planes: Iterator[NDArray[Any]], dtype: np.dtype[Any], like: ImageStack) -> None:
    """Write labels as an OME-Zarr image of one level, chunk by chunk; chunks of background are not stored.

    Parameters
    ----------
    path : Path
        The folder to write.
    planes : iterator of numpy.ndarray, shape (H, W)
        In C order of the leading axes.
    dtype : numpy.dtype
    like : ImageStack
        Gives axes, spacing and units, and the version: 0.4 (Zarr 2) for labels of such an image, else 0.5 (Zarr 3).
    """
    zarr = require("zarr", EXTRA, "Zarr files")
    old = isinstance(like.header, int) and like.header == _ZARR_2
    leading, plane = like.shape[:-2], like.shape[-2:]
    group = zarr.open_group(str(path), mode="w", zarr_format=2 if old else 3)
    options: dict[str, Any] = (
        # OME-Zarr 0.4 nests chunks in folders.
        {"chunk_key_encoding": {"name": "v2", "separator": "/"}} if old else {"dimension_names": list(like.axes)}
    )
    array = group.create_array(
        "0",
        shape=like.shape,
        # Labels are written plane by plane, and no chunk twice.
        chunks=(*(1 for _ in leading), *(min(size, _CHUNK) for size in plane)),
        dtype=dtype,
        fill_value=0,
        **options,
    )
    for at, labels in zip(np.ndindex(*leading), planes, strict=True):
        array[at] = labels
    image = multiscale("labels", like.axes, like.units, [(like.spacing, None)])
    if old:
        group.attrs.update({"multiscales": [{"version": "0.4", **image}], "image-label": {"version": "0.4"}})
    else:
        group.attrs.update({"ome": {"version": "0.5", "multiscales": [image], "image-label": {}}})
