"""What there is to do: images, their planes, the tiles of each plane. Nothing is done yet, and no pixel is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.automatic.tiles import TilePlan, TileRecords
from napari_sam.batch.tasks import PlaneReference, TileTask
from napari_sam.errors import InputError
from napari_sam.io.stacks import images_in, is_stack_folder, open_stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_sam.batch.finding import DescribedFinder
    from napari_sam.io.stacks import ImageStack

SIDE, HALO = 1024, 128
"""Of tiles, data pixels, unless somebody says otherwise."""
_LONGEST = 1280
"""Side of the largest plane that is looked at as one picture, data pixels."""
_LINKED = "zt"
"""Axes along which objects are linked unless somebody says otherwise, the first that there is."""


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How images are divided.

    Attributes
    ----------
    axis : str or None
        What planes of a stack are linked along: "z" into objects of a volume, "t" into tracks, or the name of another
        axis before y and x. None: z where there is one, else t, else nothing.
    side : int or None
        Of tiles, data pixels. None: tiles of `SIDE` for planes that are too large for one picture.
    halo : int or None
        Half of what neighbouring tiles have in common, data pixels. None: an eighth of the side.
    contrast_limits : (float, float) or None
        Grey values shown black and white. None: each image's own.
    at : mapping of str to int
        For other axes, such as channels, the only index that is looked at.
    """

    axis: str | None = None
    side: int | None = None
    halo: int | None = None
    contrast_limits: tuple[float, float] | None = None
    at: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """An image or a stack, and what there is to do in it.

    Attributes
    ----------
    path : Path
        An absolute path.
    axes : str
        A letter for each axis, "yx" last.
    shape : tuple of int
        Length of each axis.
    axis : int or None
        The one that objects are linked along.
    planes : tuple of PlaneReference
        In C order of the axes before y and x.
    tiles : TilePlan
        Of every plane.
    folder : Path
        What is found in it is kept there.
    notes : tuple of str
        What was decided about it, for the person.
    """

    path: Path
    axes: str
    shape: tuple[int, ...]
    axis: int | None
    planes: tuple[PlaneReference, ...]
    tiles: TilePlan
    folder: Path
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> list[list[PlaneReference]]:
        """Planes that are linked with each other; each plane alone where none are."""
        if self.axis is None:
            return [[plane] for plane in self.planes]
        found: dict[tuple[int, ...], list[PlaneReference]] = {}
        for plane in self.planes:
            fixed = plane.index[: self.axis] + plane.index[self.axis + 1 :]
            found.setdefault(fixed, []).append(plane)
        return list(found.values())

    def records(self, plane: PlaneReference) -> TileRecords:
        """Open what was found on a plane so far."""
        return TileRecords(self._folder_of(plane), self.tiles)

    def missing(self, finder: DescribedFinder) -> list[TileTask]:
        """List what is still to be done, in the order of planes and tiles."""
        # A copy has no list of all tiles in it, which would be sent along with each of them.
        plan = replace(self.tiles)
        return [
            TileTask(plane, plan, tile, finder, self._folder_of(plane))
            for plane in self.planes
            for tile in self.records(plane).missing()
        ]

    def _folder_of(self, plane: PlaneReference) -> Path:
        return self.folder / ("-".join(map(str, plane.index)) or "plane")


def find_images(inputs: Sequence[Path], axis: str | None = None) -> list[Path]:
    """List the images that inputs stand for.

    Parameters
    ----------
    inputs : sequence of Path
        Images and stacks; and folders of them. A folder of pictures is many images, or one stack where an axis to link
        along is named.
    axis : str, optional
        The axis.

    Returns
    -------
    list of Path
        Absolute, each once.

    Raises
    ------
    InputError
        If there is no image.
    """
    found: dict[Path, None] = {}
    for path in inputs:
        if not path.is_dir() or is_stack_folder(path):
            found[path.resolve()] = None
            continue
        within = images_in(path)
        if not within:
            raise InputError(f"{path} holds no images. Name a folder of images, or an image.")
        whole = axis is not None and _is_single_plane(within[0])
        found |= dict.fromkeys([path.resolve()] if whole else [one.resolve() for one in within])
    return list(found)


def _is_single_plane(path: Path) -> bool:
    with open_stack(path) as stack:
        return len(stack.axes) == 2


def plan_images(paths: Sequence[Path], options: PlanOptions, folder: Path) -> list[PlannedImage]:
    """Look at the sizes of images and divide them.

    Parameters
    ----------
    paths : sequence of Path
        From `find_images`.
    options : PlanOptions
    folder : Path
        What is found will be kept there; nothing is made yet.

    Raises
    ------
    InputError
        If an image cannot be opened, or the options do not fit it.
    """
    planned = []
    for number, path in enumerate(paths):
        with open_stack(path) as stack:
            planned.append(_planned(stack, path, options, folder / f"{number:04d}"))
    return planned


def _planned(stack: ImageStack, path: Path, options: PlanOptions, folder: Path) -> PlannedImage:
    leading = stack.axes[:-2]
    axis = _linked_axis(path, leading, options.axis)
    planes = tuple(
        _reference(stack, path, index, options)
        for index in np.ndindex(*stack.shape[:-2])
        if _is_wanted(index, leading, options.at or {})
    )
    if not planes:
        wanted = ", ".join(f"{name} = {place}" for name, place in (options.at or {}).items())
        raise InputError(f"{path} has no plane at {wanted}. Its axes are {stack.axes}, of lengths {stack.shape}.")
    others = [name for place, name in enumerate(leading) if place != axis and name not in (options.at or {})]
    notes = list(stack.notes)
    if axis is not None and others:
        notes.append(
            f"{path.name}: objects are linked along {leading[axis]}, for each {' and '.join(others)} by itself."
        )
    tiles = _tiles((stack.shape[-2], stack.shape[-1]), options)
    return PlannedImage(path, stack.axes, stack.shape, axis, planes, tiles, folder, tuple(notes))


def _linked_axis(path: Path, leading: str, wanted: str | None) -> int | None:
    if wanted is None:
        return next((leading.index(name) for name in _LINKED if name in leading), None)
    if not leading:
        # One picture among stacks has nothing to link.
        return None
    if len(wanted) != 1 or wanted not in leading:
        raise InputError(f"{path} has no axis {wanted!r} to link objects along. Choose one of {', '.join(leading)}.")
    return leading.index(wanted)


def _is_wanted(index: tuple[int, ...], leading: str, at: Mapping[str, int]) -> bool:
    return all(at.get(name, place) == place for name, place in zip(leading, index, strict=True))


def _reference(stack: ImageStack, path: Path, index: tuple[int, ...], options: PlanOptions) -> PlaneReference:
    if not index:
        limits = None if stack.rgb else options.contrast_limits or stack.contrast_limits
        return PlaneReference(path, index, limits, (stack.spacing[0], stack.spacing[1]))
    planes = stack.planes(0, (*index, None, None), contrast_limits=options.contrast_limits)
    return PlaneReference(path, index, None if stack.rgb else planes.contrast_limits, planes.spacing)


def _tiles(shape: tuple[int, int], options: PlanOptions) -> TilePlan:
    """Divide a plane; one that fits into one picture is one tile."""
    longest, side = (_LONGEST, SIDE) if options.side is None else (options.side, options.side)
    if max(shape) <= longest:
        return TilePlan(shape, max(shape), 0)
    return TilePlan(shape, side, side // 8 if options.halo is None else options.halo)


def plan_record(images: Sequence[PlannedImage]) -> list[dict[str, Any]]:
    """List what results depend on, as JSON can hold it: files with their sizes and times, and how they are divided."""
    return [
        {
            "path": str(image.path),
            # Size and time tell that a file was changed, without reading all of it.
            "file": [image.path.stat().st_size, image.path.stat().st_mtime_ns],
            "shape": list(image.shape),
            "windows": sorted({str(plane.contrast_limits) for plane in image.planes}),
            "tiles": [image.tiles.side, image.tiles.halo],
        }
        for image in images
    ]
