"""One piece of the work: a tile of a plane, looked at wherever there is a process that sees the files."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam import __version__
from napari_sam.automatic.tiles import TileRecords, find_in_tile
from napari_sam.batch.open_stacks import opened
from napari_sam.errors import InputError
from napari_sam.planes.source import PlaneIndex, PlaneSource
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam.automatic.tiles import Tile, TilePlan
    from napari_sam.batch.finding import DescribedFinder, FinderDescription
    from napari_sam.io.stacks import ImageStack
    from napari_sam.progress import Progress


@dataclass(frozen=True, slots=True)
class PlaneReference:
    """A plane of a file, and how it is seen.

    Attributes
    ----------
    path : Path
        The file or folder, an absolute path.
    index : tuple of int
        A place on each axis before y and x.
    contrast_limits : (float, float) or None
        Grey values shown black and white: the same for all tiles, planes and machines. None for colour.
    spacing : (float, float)
        Distance between pixels along y and x; only the ratio counts.
    """

    path: Path
    index: tuple[int, ...]
    contrast_limits: tuple[float, float] | None
    spacing: tuple[float, float] = (1.0, 1.0)

    def source(self, stack: ImageStack) -> PlaneSource:
        """Return what reads the plane out of its stack, which is open."""
        count = len(stack.axes)
        shape = stack.shape[-2], stack.shape[-1]
        view = PlaneIndex((count - 2, count - 1), (*self.index, None, None), shape, self.spacing)
        return PlaneSource(stack.data, view, self.contrast_limits, 1.0, coarser=stack.levels)


@dataclass(frozen=True, slots=True)
class TileTask:
    """What to look for where, and the folder that takes what is found.

    Attributes
    ----------
    plane : PlaneReference
    plan : TilePlan
        All tiles of the plane.
    tile : Tile
        The one to look at.
    finder : DescribedFinder
    folder : Path
        Of the plane's `TileRecords`, an absolute path.
    """

    plane: PlaneReference
    plan: TilePlan
    tile: Tile
    finder: DescribedFinder
    folder: Path


def do(task: TileTask, progress: Progress = no_progress) -> None:
    """Look at a tile, and record what is found; to do it twice does no harm.

    Raises
    ------
    InputError
        If the folder of the run is not seen from here, the image cannot be read, or the record cannot be written.
    """
    # Records would make it anew, where nobody would find them.
    require_shared(task.folder)
    source = task.plane.source(opened(task.plane.path))
    found = find_in_tile(source, task.tile, task.finder, progress)
    TileRecords(task.folder, task.plan).add(task.tile, found)


def describe(finder: DescribedFinder, folder: Path) -> FinderDescription:
    """Tell what objects depend on, from the process that will look for them.

    Parameters
    ----------
    finder : DescribedFinder
    folder : Path
        The folder of the run, which has to be seen from there.

    Raises
    ------
    InputError
        If it is not, or if the finder cannot work.
    """
    require_shared(folder)
    return finder.describe()


def require_shared(folder: Path) -> None:
    """Refuse to work where the folder of the run is not seen.

    Raises
    ------
    InputError
        If it is not.
    """
    if not folder.is_dir():
        raise InputError(
            f"The machine {platform.node()} does not see the folder {folder}. Images and output must lie in a folder "
            "that all machines share, under the same path."
        )


def require_version(description: FinderDescription) -> None:
    """Refuse workers with another version of this package, which may find other objects.

    Raises
    ------
    InputError
        If they have one.
    """
    if description.version != __version__:
        raise InputError(
            f"The workers have napari-sam-live {description.version}, this machine has {__version__}. Install one "
            "version everywhere."
        )
